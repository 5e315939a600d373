//! Numbers of stanzas go round: after 2^32 - 1 comes 0 (XEP-0198 §4). Which of
//! two is the later is decided by the shorter way between them.

/// Whether `number` comes after `other`, less than half a round later.
#[must_use]
pub fn is_ahead(number: u32, other: u32) -> bool {
    (1..=u32::MAX / 2).contains(&number.wrapping_sub(other))
}

#[cfg(test)]
mod tests {
    use super::is_ahead;

    #[test]
    fn the_end_of_a_round_is_before_the_beginning_of_the_next() {
        assert!(is_ahead(1, 0) && !is_ahead(0, 1) && !is_ahead(7, 7));
        assert!(is_ahead(2, u32::MAX) && !is_ahead(u32::MAX, 2));
    }
}
