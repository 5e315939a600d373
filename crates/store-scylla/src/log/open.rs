//! Which bucket the next entry goes to, kept in memory: the owner of a log is the
//! only one who appends to it under its epoch, so what this node knows of an
//! epoch is all there is. What it does not know, the index tells once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use starling_store::Position;
use starling_store::archive::Entry;
use starling_xmpp::jid::BareJid;

use super::index::{Bucket, Index};

/// A bucket with so many entries is full. Reading by time looks through one
/// bucket at worst.
pub(crate) const BUCKET_ENTRIES_MAX: u64 = 8_192;

/// A bucket with so many bytes is full: partitions of some megabytes are what
/// both databases are best with.
pub(crate) const BUCKET_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// After so many entries it is noted how full a bucket is.
const NOTE_ENTRIES: u64 = 512;

/// Logs that one generation of the memory holds: some 200 bytes each.
const OPEN_LOGS_MAX: usize = 65_536;

/// One log under one epoch.
type Key = (BareJid, u32);

/// The logs that are being appended to.
#[derive(Debug, Default)]
pub(crate) struct OpenLogs {
    generations: Mutex<Generations>,
}

/// When the young generation is full it becomes the old one, and the old one is
/// forgotten: whoever is used stays.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Open>,
    old: HashMap<Key, Open>,
}

/// The buckets of one epoch.
#[derive(Clone, Debug, Default)]
struct Open {
    /// In order.
    buckets: Vec<Known>,
    /// The last entry of the last bucket, as far as it is known.
    tail: Position,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    bucket: Bucket,
    /// Whether the index is known to have it.
    is_indexed: bool,
}

/// Where an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The bucket's name.
    pub(crate) bucket: Position,
    /// What the index has to be told with it.
    pub(crate) note: Option<Bucket>,
}

impl OpenLogs {
    /// Changes of the maps do not panic half-way.
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the buckets of this log and epoch are known.
    pub(crate) fn knows(&self, owner: &BareJid, epoch: u32) -> bool {
        self.lock().get(&(owner.clone(), epoch)).is_some()
    }

    /// Takes over what the index says of an epoch.
    pub(crate) fn learn(&self, owner: &BareJid, epoch: u32, index: &Index) {
        let of_epoch = |bucket: &&Bucket| bucket.start.epoch == epoch;
        let buckets = index.buckets().iter().filter(of_epoch);
        let buckets = buckets.map(|bucket| Known {
            bucket: *bucket,
            is_indexed: true,
        });
        let open = Open {
            buckets: buckets.collect(),
            tail: Position::START,
        };
        self.lock()
            .young
            .entry((owner.clone(), epoch))
            .or_insert(open);
    }

    /// Where an entry goes. If the log is not known, the entry begins a bucket:
    /// ask [`OpenLogs::knows`] first.
    pub(crate) fn place(&self, owner: &BareJid, entry: &Entry) -> Place {
        let key = (owner.clone(), entry.position.epoch);
        self.lock().entry(key).place(entry)
    }

    /// The index has these buckets now.
    pub(crate) fn indexed(&self, owner: &BareJid, bucket: Position) {
        let mut generations = self.lock();
        let Some(open) = generations.get(&(owner.clone(), bucket.epoch)) else {
            return;
        };
        for known in &mut open.buckets {
            known.is_indexed |= known.bucket.start == bucket;
        }
    }

    /// Forgets a log: it was shortened or removed.
    pub(crate) fn forget(&self, owner: &BareJid) {
        let mut generations = self.lock();
        generations.young.retain(|(other, _), _| other != owner);
        generations.old.retain(|(other, _), _| other != owner);
    }
}

impl Generations {
    fn get(&mut self, key: &Key) -> Option<&mut Open> {
        if self.young.contains_key(key) || self.old.contains_key(key) {
            Some(self.entry(key.clone()))
        } else {
            None
        }
    }

    fn entry(&mut self, key: Key) -> &mut Open {
        if self.young.len() >= OPEN_LOGS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        let old = self.old.remove(&key);
        self.young
            .entry(key)
            .or_insert_with(|| old.unwrap_or_default())
    }
}

impl Open {
    fn place(&mut self, entry: &Entry) -> Place {
        let position = entry.position;
        let at = self
            .buckets
            .partition_point(|known| known.bucket.start <= position);
        let is_last = at == self.buckets.len();
        let is_full = |bucket: &Bucket| {
            bucket.entries >= BUCKET_ENTRIES_MAX || bucket.bytes >= BUCKET_BYTES_MAX
        };
        // Only behind everything may a bucket begin: what comes again, or late,
        // has to be found where it was.
        let begins = match at.checked_sub(1).map(|n| &self.buckets[n].bucket) {
            None => true,
            Some(bucket) => is_last && position > self.tail && is_full(bucket),
        };
        if begins {
            let bucket = Bucket {
                start: position,
                first_at: entry.stored_at,
                entries: 0,
                bytes: 0,
            };
            self.buckets.insert(
                at,
                Known {
                    bucket,
                    is_indexed: false,
                },
            );
        }
        let known = &mut self.buckets[if begins { at } else { at - 1 }];
        known.bucket.entries += 1;
        known.bucket.bytes += entry.stanza.len() as u64;
        self.tail = self.tail.max(position);
        let has_to_be_noted =
            !known.is_indexed || known.bucket.entries.is_multiple_of(NOTE_ENTRIES);
        Place {
            bucket: known.bucket.start,
            note: has_to_be_noted.then_some(known.bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_store::contract::sample::{bare, entry};

    #[test]
    fn a_full_bucket_is_followed_by_another() {
        let (logs, owner) = (OpenLogs::default(), bare("juliet@capulet.example"));
        let first = logs.place(&owner, &entry(3, 10, false));
        assert_eq!(first.bucket, Position::new(3, 10));
        assert!(first.note.is_some());
        logs.indexed(&owner, first.bucket);
        for n in 1..BUCKET_ENTRIES_MAX {
            let place = logs.place(&owner, &entry(3, 10 + n, false));
            assert_eq!(place.bucket, first.bucket);
            assert_eq!(place.note.is_some(), (n + 1).is_multiple_of(NOTE_ENTRIES));
        }
        let again = logs.place(&owner, &entry(3, 11, false));
        assert_eq!(
            again.bucket, first.bucket,
            "what comes again stays where it was"
        );
        let next = logs.place(&owner, &entry(3, 90_000, false));
        assert_eq!(next.bucket, Position::new(3, 90_000));
    }

    #[test]
    fn an_epoch_has_buckets_of_its_own() {
        let (logs, owner) = (OpenLogs::default(), bare("juliet@capulet.example"));
        logs.place(&owner, &entry(1, 5, false));
        assert!(!logs.knows(&owner, 2));
        assert_eq!(
            logs.place(&owner, &entry(2, 6, false)).bucket,
            Position::new(2, 6)
        );
        assert_eq!(
            logs.place(&owner, &entry(1, 7, false)).bucket,
            Position::new(1, 5)
        );
        // Ahead of all that is known: as if the index had been lost.
        assert_eq!(
            logs.place(&owner, &entry(1, 3, false)).bucket,
            Position::new(1, 3)
        );
        assert_eq!(
            logs.place(&owner, &entry(1, 4, false)).bucket,
            Position::new(1, 3)
        );
    }
}
