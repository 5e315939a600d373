//! The two orders of the store: where an entry stands in a log, and which of
//! two writes to one row is the later. Who may assign them is the matter of
//! `cluster` and `session`.

use std::fmt;

/// Where an entry stands in its owner's log: by epoch, then by sequence.
///
/// Assigned by the owner of the shard, never by a clock. Sequence numbers may
/// have gaps; a position is never used twice for different entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The shard's epoch when the entry was appended.
    pub epoch: u32,
    /// Strictly ascending within the epoch and the owner.
    pub seq: u64,
}

impl Position {
    /// Before every entry: the first sequence number in use is 1.
    pub const START: Position = Position { epoch: 0, seq: 0 };

    /// Bytes of [`Position::to_bytes`].
    pub const BYTES: usize = 12;

    /// The position with these parts.
    #[must_use]
    pub fn new(epoch: u32, seq: u64) -> Self {
        Position { epoch, seq }
    }

    /// Where the next entry goes under the given epoch.
    ///
    /// A new epoch goes on counting, so that sequence numbers alone tell the
    /// order to a reader who has lost the epoch.
    #[must_use]
    pub fn next(self, epoch: u32) -> Self {
        debug_assert!(epoch >= self.epoch, "epochs never go back");
        Position {
            epoch,
            seq: self.seq + 1,
        }
    }

    /// Big-endian, so that bytes sort as positions do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[4..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// The inverse of [`Position::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [e0, e1, e2, e3, s @ ..] = bytes;
        Position {
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
            seq: u64::from_be_bytes(s),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// Which of two writes to one mutable row is the later: the higher stamp.
///
/// `(epoch << 40) + n`, so that whatever an owner of an earlier epoch writes
/// late loses: forty bits count for more than a year at any speed, and leave
/// room for four million epochs in the signed timestamp of CQL, where a stamp is
/// two timestamps: one for what it deletes, the later one for what it puts. A
/// backend with a single writer may rely on commit order instead, because there
/// the owner of a shard never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// Low bits that count the writes of one owner within one epoch.
    pub const COUNTER_BITS: u32 = 40;

    /// The last epoch whose stamps have room twice in a signed timestamp.
    pub const EPOCH_MAX: u32 = (1 << (62 - Self::COUNTER_BITS)) - 1;

    /// The stamp of the `n`th write of an owner under `epoch`.
    #[must_use]
    pub fn new(epoch: u32, n: u64) -> Self {
        debug_assert!(
            n >> Self::COUNTER_BITS == 0,
            "an owner counts its own writes"
        );
        debug_assert!(epoch <= Self::EPOCH_MAX, "an epoch is a count of moves");
        Stamp((u64::from(epoch) << Self::COUNTER_BITS) + n)
    }

    /// Under which epoch.
    #[must_use]
    pub fn epoch(self) -> u32 {
        // The rest is below 2^22, see [`Self::EPOCH_MAX`].
        u32::try_from(self.0 >> Self::COUNTER_BITS).unwrap_or(u32::MAX)
    }

    /// As the database wants it.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_sort_as_positions_do(a: (u32, u64), b: (u32, u64)) {
            let (a, b) = (Position::new(a.0, a.1), Position::new(b.0, b.1));
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
            prop_assert_eq!(a, Position::from_bytes(a.to_bytes()));
        }

        #[test]
        fn a_stale_owner_always_loses(
            epoch in 0..Stamp::EPOCH_MAX,
            old in 0..1u64 << Stamp::COUNTER_BITS,
            new: u32,
        ) {
            prop_assert!(Stamp::new(epoch, old) < Stamp::new(epoch + 1, u64::from(new)));
            prop_assert!(i64::try_from(Stamp::new(epoch + 1, old).value() * 2 + 1).is_ok());
        }
    }
}
