//! The unit of ownership and the counter that orders its owners.
//!
//! Which shard an account belongs to is decided in `placement`.

use std::fmt;

/// How many shards a cluster has. Fixed at its birth: changing it would move
/// every account.
pub const SHARDS: u16 = 1024;

/// One of the [`SHARDS`] parts into which all bare JIDs are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// The shard with this number, if there is one.
    pub fn new(number: u16) -> Option<Self> {
        (number < SHARDS).then_some(Self(number))
    }

    /// Its number, from 0 to [`SHARDS`] − 1.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// Invariant: the remainder of a division by `SHARDS` is below it.
    pub(crate) fn of_hash(hash: u64) -> Self {
        Self((hash % u64::from(SHARDS)) as u16)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// How often a shard has changed its owner. A frame or a row of an older epoch
/// is stale; there are no gaps, so two owners can never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Before a shard's first owner.
    pub const NONE: Self = Self(0);

    /// The epoch of a shard's first owner.
    pub const FIRST: Self = Self(1);

    /// The epoch of the next owner.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_shard_beyond_the_last() {
        assert!(Shard::new(SHARDS - 1).is_some());
        assert_eq!(Shard::new(SHARDS), None);
        assert_eq!(Shard::all().count(), usize::from(SHARDS));
    }

    #[test]
    fn a_later_owner_has_the_greater_epoch() {
        assert!(Epoch::FIRST.next() > Epoch::FIRST);
    }
}
