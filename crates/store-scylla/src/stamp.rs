//! A stamp as CQL timestamps.
//!
//! Of two cells the one with the later timestamp counts, and at the same
//! timestamp a deletion counts for more than a value. So a stamp is two
//! timestamps, the even one for what it deletes and the odd one for what it
//! puts: a change that clears and then fills needs no second stamp, and an
//! account that is created after a removal has a timestamp between that removal
//! and its owner's next write.

use starling_store::Stamp;

/// The timestamp of what this stamp deletes.
pub(crate) fn of_delete(stamp: Stamp) -> i64 {
    // Invariant: a stamp is below 2^62, see `Stamp::EPOCH_MAX`.
    i64::try_from(stamp.value()).map_or(i64::MAX - 1, |value| value.saturating_mul(2))
}

/// The timestamp of what this stamp puts.
pub(crate) fn of_put(stamp: Stamp) -> i64 {
    of_delete(stamp) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_stamp_wins_whatever_it_does() {
        let (one, two) = (Stamp::new(1, 1), Stamp::new(1, 2));
        assert!(of_put(one) < of_delete(two));
        assert!(of_delete(one) < of_put(one));
        let last = Stamp::new(Stamp::EPOCH_MAX, 0);
        assert!(of_put(last) > of_put(Stamp::new(Stamp::EPOCH_MAX - 1, 9)));
    }
}
