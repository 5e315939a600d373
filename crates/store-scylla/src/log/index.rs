//! The index of one log: its buckets and its seals.

use starling_store::codec::{Decoder, Encoder, Malformed};
use starling_store::{Error, Position, Seal};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use crate::client::Client;
use crate::error::corrupt;
use crate::value::{position, values};

/// Rows that say where a bucket begins.
pub(crate) const BUCKET: &str = "bucket";

/// Rows that hold a seal: the position is its epoch's first, the value the last
/// position that counts.
pub(crate) const SEAL: &str = "seal";

/// Version of a bucket's value.
const VERSION: u8 = 1;

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Where it begins, and its name.
    pub(crate) start: Position,
    /// When its first entry was accepted.
    pub(crate) first_at: UnixMillis,
    /// About how many entries it has: as many at least as were noted.
    pub(crate) entries: u64,
    /// About how many bytes they take.
    pub(crate) bytes: u64,
}

impl Bucket {
    /// The value of its row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION, 24);
        out.signed(self.first_at.0)
            .number(self.entries)
            .number(self.bytes);
        out.finish()
    }

    fn decode(start: Position, value: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(value, VERSION)?;
        let bucket = Bucket {
            start,
            first_at: UnixMillis(from.signed()?),
            entries: from.number()?,
            bytes: from.number()?,
        };
        from.finish().map(|()| bucket)
    }
}

/// Everything the index says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// In order.
    buckets: Vec<Bucket>,
    seals: Vec<Seal>,
}

impl Index {
    /// Reads the index of an owner's log.
    pub(crate) async fn read(client: &Client, owner: &BareJid) -> Result<Self, Error> {
        let mut index = Index::default();
        client
            .rows::<(String, Vec<u8>, Option<Vec<u8>>), _>(
                &client.statements.index,
                values![owner.as_str()],
                |(kind, at, value)| {
                    index
                        .add(&kind, &at, &value.unwrap_or_default())
                        .map_err(|error| corrupt(format!("the index of {owner}"), error))
                },
            )
            .await?;
        index.buckets.sort_by_key(|bucket| bucket.start);
        Ok(index)
    }

    fn add(&mut self, kind: &str, at: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let at = position(at).ok_or(Malformed("not a position"))?;
        match kind {
            BUCKET => self.buckets.push(Bucket::decode(at, value)?),
            SEAL => self.seals.push(Seal {
                epoch: at.epoch,
                last: position(value).ok_or(Malformed("not a position"))?,
            }),
            // A kind of a newer version is none of ours.
            _ => {}
        }
        Ok(())
    }

    /// All buckets, in order, also those that came too late.
    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The buckets with entries that count, in order.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = &Bucket> {
        self.buckets
            .iter()
            .filter(|bucket| !self.is_void(bucket.start))
    }

    /// Whether an entry at this place came too late.
    pub(crate) fn is_void(&self, position: Position) -> bool {
        self.seals.iter().any(|seal| seal.is_void(position))
    }

    /// The last position of an epoch that counts, if later ones do not.
    pub(crate) fn cap(&self, epoch: u32) -> Option<Position> {
        let seals = self.seals.iter().filter(|seal| seal.epoch > epoch);
        seals.map(|seal| seal.last).min()
    }

    /// The bucket that has, or would have, the entry at this place.
    pub(crate) fn bucket_of(&self, position: Position) -> Option<&Bucket> {
        let before = self
            .buckets
            .partition_point(|bucket| bucket.start <= position);
        let bucket = self.buckets[..before].last()?;
        (bucket.start.epoch == position.epoch).then_some(bucket)
    }

    /// The beginning of the next bucket.
    pub(crate) fn next_of(&self, bucket: &Bucket) -> Option<&Bucket> {
        let behind = self
            .buckets
            .partition_point(|other| other.start <= bucket.start);
        self.buckets.get(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(epoch: u32, seq: u64) -> Bucket {
        Bucket {
            start: Position::new(epoch, seq),
            first_at: UnixMillis(5),
            entries: 7,
            bytes: 9,
        }
    }

    #[test]
    fn a_bucket_is_found_within_its_epoch() {
        let index = Index {
            buckets: vec![bucket(1, 5), bucket(1, 100), bucket(2, 50)],
            seals: vec![],
        };
        let start = |epoch, seq| {
            let found = index.bucket_of(Position::new(epoch, seq));
            found.map(|bucket| (bucket.start.epoch, bucket.start.seq))
        };
        assert_eq!(start(1, 4), None);
        assert_eq!(start(1, 5), Some((1, 5)));
        assert_eq!(start(1, 99), Some((1, 5)));
        assert_eq!(start(1, 900), Some((1, 100)));
        assert_eq!(start(2, 49), None);
        assert_eq!(start(3, 1), None);
    }

    #[test]
    fn a_late_bucket_of_a_sealed_epoch_is_dead() {
        let last = Position::new(1, 7);
        let index = Index {
            buckets: vec![bucket(1, 5), bucket(1, 8), bucket(2, 9)],
            seals: vec![
                Seal { epoch: 2, last },
                Seal {
                    epoch: 3,
                    last: Position::new(2, 20),
                },
            ],
        };
        let live: Vec<_> = index.live().map(|bucket| bucket.start.seq).collect();
        assert_eq!(live, [5, 9]);
        assert_eq!(index.cap(1), Some(last));
        assert_eq!(index.cap(2), Some(Position::new(2, 20)));
        assert_eq!(index.cap(3), None);
    }

    #[test]
    fn a_bucket_comes_back() {
        let bucket = bucket(1, 2);
        assert_eq!(Bucket::decode(bucket.start, &bucket.encode()), Ok(bucket));
    }
}
