//! What is on its way from one shard, in order: which of it has a row, and how
//! far the rows of each peer are done. No IO.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use starling_cluster::{Epoch, Shard};
use starling_link::{Frame, Link, Way};
use starling_store::Position;
use starling_store::outbox::{Bucket, Change, Extent, Hours, Outline, Row};
use starling_xmpp::BareJid;
use starling_xmpp::time::UnixMillis;
use tokio::time::Instant;

use super::{AFTER_SILENT, AFTER_UNREACHABLE, Keep, OnWay, Wanted};

/// A row that is not durable after so long is asked for again: its account was
/// lost on the way.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The stanzas of one shard.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// Those that the link has not taken yet.
    undriven: usize,
    /// As it was last written.
    extent: Extent,
}

struct Entry {
    on_way: Arc<OnWay>,
    since: Instant,
    /// The row, if it has to have one.
    place: Option<Place>,
    /// The link has it.
    is_driven: bool,
}

#[derive(Clone, Copy)]
struct Place {
    hour: u32,
    position: Position,
    stored_at: UnixMillis,
    asked_at: Instant,
}

/// What a sweep has to know.
pub(super) struct Sweep<'a> {
    pub(super) shard: Shard,
    pub(super) epoch: Epoch,
    pub(super) hour: u32,
    pub(super) now: Instant,
    pub(super) time: UnixMillis,
    pub(super) link: &'a dyn Link,
}

/// How much there is.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) stanzas: usize,
    pub(super) bytes: usize,
    pub(super) undriven: usize,
    pub(super) rows: usize,
    pub(super) oldest: Option<UnixMillis>,
}

impl Queue {
    /// Whether nothing of it need be remembered.
    pub(super) fn is_unused(&self) -> bool {
        self.entries.is_empty() && self.extent == Extent::default()
    }

    pub(super) fn load(&self) -> Load {
        let mut load = Load {
            undriven: self.undriven,
            ..Load::default()
        };
        for entry in &self.entries {
            load.stanzas += 1;
            load.bytes += entry.on_way.bytes();
            if let Some(place) = entry.place {
                load.rows += 1;
                let oldest = load
                    .oldest
                    .map_or(place.stored_at, |at| at.min(place.stored_at));
                load.oldest = Some(oldest);
            }
        }
        load
    }

    /// Whether something that was sent before to a peer has not found its way.
    pub(super) fn is_behind(&self, peer: &SmolStr) -> bool {
        let mut entries = self.entries.iter();
        self.undriven > 0 && entries.any(|entry| !entry.is_driven && entry.on_way.peer == *peer)
    }

    /// Adds a stanza that the link gets now.
    pub(super) fn push(&mut self, on_way: Arc<OnWay>) {
        self.entries.push_back(Entry {
            on_way,
            since: Instant::now(),
            place: None,
            is_driven: true,
        });
    }

    /// Takes over what an earlier owner has stored.
    pub(super) fn adopt(&mut self, outline: Outline, rows: Vec<Row>) {
        let places = self.entries.iter().filter_map(|entry| entry.place);
        let known: HashSet<Position> = places.map(|place| place.position).collect();
        self.extent = outline.extent;
        let now = Instant::now();
        for row in rows
            .into_iter()
            .filter(|row| !known.contains(&row.position))
        {
            let place = Place {
                hour: row.bucket.hour,
                position: row.position,
                stored_at: row.stored_at,
                asked_at: now,
            };
            if let Some(on_way) = OnWay::found(row) {
                self.undriven += 1;
                self.entries.push_back(Entry {
                    on_way,
                    since: now,
                    place: Some(place),
                    is_driven: false,
                });
            }
        }
    }

    /// Hands over what the link has not taken yet, in the order of each peer.
    pub(super) fn drive(&mut self, link: &dyn Link) {
        if self.undriven == 0 {
            return;
        }
        let mut refused: HashSet<SmolStr> = HashSet::new();
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_driven) {
            if refused.contains(&entry.on_way.peer) {
                continue;
            }
            match link.push(Frame::Routed(entry.on_way.routed())) {
                Ok(()) => {
                    entry.is_driven = true;
                    self.undriven -= 1;
                }
                Err(_) => drop(refused.insert(entry.on_way.peer.clone())),
            }
        }
    }

    /// Finds out what is to be stored now.
    pub(super) fn sweep(&mut self, sweep: &Sweep<'_>, seq: &mut u64) -> Vec<Wanted> {
        let is_over = |entry: &Entry| entry.place.is_none() && entry.on_way.is_settled();
        self.entries.retain(|entry| !is_over(entry));
        let account = self
            .entries
            .front()
            .map(|entry| entry.on_way.sender.clone());
        let before = self.extent.clone();
        let keeps = self.place(sweep, seq);
        let mut marks = self.complete(sweep.shard);
        if self.extent != before {
            let (shard, extent) = (sweep.shard.number(), self.extent.clone());
            marks.push(Change::Extend { shard, extent });
        }
        let wanted = |(account, mut keep): (BareJid, Keep)| {
            // Rows are found only within the extent: it is stored with them.
            keep.changes.extend(marks.iter().cloned());
            Wanted {
                shard: sweep.shard,
                account,
                keep,
            }
        };
        let nothing = Keep {
            changes: Vec::new(),
            stored: Vec::new(),
        };
        match account.filter(|_| keeps.is_empty() && !marks.is_empty()) {
            Some(account) => vec![wanted((account, nothing))],
            None => keeps.into_iter().map(wanted).collect(),
        }
    }

    /// Gives rows to what has waited too long, and to what is behind a row.
    fn place(&mut self, sweep: &Sweep<'_>, seq: &mut u64) -> BTreeMap<BareJid, Keep> {
        let placed = self.entries.iter().filter(|entry| entry.place.is_some());
        let mut waiting: BTreeSet<SmolStr> =
            placed.map(|entry| entry.on_way.peer.clone()).collect();
        let mut keeps: BTreeMap<BareJid, Keep> = BTreeMap::new();
        for entry in &mut self.entries {
            let on_way = &entry.on_way;
            let is_due = match entry.place {
                Some(place) => !on_way.is_stored() && sweep.now >= place.asked_at + ASK_AGAIN_AFTER,
                None => waiting.contains(&on_way.peer) || sweep.is_late(entry),
            };
            if !is_due {
                continue;
            }
            if !on_way.is_kept() {
                on_way.release();
                continue;
            }
            waiting.insert(on_way.peer.clone());
            let place = entry.place.get_or_insert_with(|| {
                *seq += 1;
                let last = self.extent.hours.map_or(0, |hours| hours.last);
                Place {
                    hour: sweep.hour.max(last),
                    position: Position::new(sweep.epoch.0, *seq),
                    stored_at: sweep.time,
                    asked_at: sweep.now,
                }
            });
            place.asked_at = sweep.now;
            let first = self.extent.hours.map_or(place.hour, |hours| hours.first);
            let last = place.hour.max(first);
            self.extent.hours = Some(Hours { first, last });
            let keep = keeps.entry(on_way.sender.clone()).or_insert_with(|| Keep {
                changes: Vec::new(),
                stored: Vec::new(),
            });
            keep.changes
                .push(Change::Put(row(sweep.shard, *place, on_way)));
            keep.stored.push(Arc::clone(on_way));
        }
        keeps
    }

    /// Takes out what has arrived, as far as nothing before it to the same peer
    /// has not, and says how far that is.
    fn complete(&mut self, shard: Shard) -> Vec<Change> {
        let Some(hours) = self.extent.hours else {
            return Vec::new();
        };
        let mut behind: HashSet<SmolStr> = HashSet::new();
        let mut done: BTreeMap<SmolStr, Position> = BTreeMap::new();
        let mut last = self.extent.through;
        self.entries.retain(|entry| {
            let Some(place) = entry.place else {
                return true;
            };
            let on_way = &entry.on_way;
            last = last.max(place.position);
            if !(on_way.is_settled() && on_way.is_stored()) || behind.contains(&on_way.peer) {
                behind.insert(on_way.peer.clone());
                return true;
            }
            done.insert(on_way.peer.clone(), place.position);
            false
        });
        let placed = self.entries.iter().filter_map(|entry| entry.place);
        let first = placed.map(|place| place.hour).min();
        let shard = shard.number();
        let clear = |hour| Change::Clear(Bucket { shard, hour });
        let mut changes: Vec<Change> = (hours.first..first.unwrap_or(hours.last + 1))
            .map(clear)
            .collect();
        match first {
            Some(first) => {
                self.extent.hours = Some(Hours { first, ..hours });
                changes.extend(done.into_iter().map(|(peer, through)| Change::Done {
                    shard,
                    peer,
                    through,
                }));
            }
            None => {
                self.extent = Extent {
                    through: last,
                    ..Extent::default()
                };
                changes.push(Change::ForgetPeers { shard });
            }
        }
        changes
    }
}

impl Sweep<'_> {
    /// Whether a stanza has been on its way for too long.
    fn is_late(&self, entry: &Entry) -> bool {
        let age = self.now.saturating_duration_since(entry.since);
        age >= AFTER_UNREACHABLE
            && match self.link.way(&entry.on_way.target) {
                Way::Here => false,
                Way::There => age >= AFTER_SILENT,
                Way::Nowhere => true,
            }
    }
}

fn row(shard: Shard, place: Place, on_way: &OnWay) -> Row {
    Row {
        bucket: Bucket {
            shard: shard.number(),
            hour: place.hour,
        },
        position: place.position,
        peer: on_way.peer.clone(),
        target: on_way.target.clone(),
        id: on_way.id.0,
        stanza: on_way.stanza.to_bytes(),
        stored_at: place.stored_at,
    }
}
