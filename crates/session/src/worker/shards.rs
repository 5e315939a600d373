//! The shards of a worker, by number.
//!
//! Every piece of work looks its shard up some five times. In a `HashMap` that
//! was 3 % of a message from socket to socket (docs/performance.md).

use starling_cluster::{SHARDS, Shard as ShardNumber};

use crate::shard::Shard;

/// A map from all numbers there are.
pub(super) struct Shards(Vec<Option<Box<Shard>>>);

impl Default for Shards {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| None).collect())
    }
}

impl Shards {
    pub(super) fn contains_key(&self, number: &ShardNumber) -> bool {
        self.get(number).is_some()
    }

    pub(super) fn get(&self, number: &ShardNumber) -> Option<&Shard> {
        self.0.get(usize::from(number.number()))?.as_deref()
    }

    pub(super) fn get_mut(&mut self, number: &ShardNumber) -> Option<&mut Shard> {
        let place = self.0.get_mut(usize::from(number.number()))?;
        place.as_deref_mut()
    }

    pub(super) fn insert(&mut self, number: ShardNumber, shard: Shard) {
        // Invariant: a shard's number is below SHARDS.
        if let Some(place) = self.0.get_mut(usize::from(number.number())) {
            *place = Some(Box::new(shard));
        }
    }

    pub(super) fn remove(&mut self, number: &ShardNumber) {
        if let Some(place) = self.0.get_mut(usize::from(number.number())) {
            *place = None;
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Shard> {
        self.0.iter().flatten().map(|shard| &**shard)
    }
}
