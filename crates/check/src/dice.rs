//! The seeded generator that writes the script of a run.
//!
//! Splitmix64: small, good enough for choosing, and the same everywhere, so
//! that a seed means the same script in every version of every dependency.

/// A generator of choices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The choices of one client or fault under this seed.
    #[must_use]
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// The next number.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of at least `from` and below `to`, which is more than `from`.
    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from)
    }

    /// True in so many of 10,000 cases.
    pub fn falls(&mut self, of_ten_thousand: u64) -> bool {
        self.roll() % 10_000 < of_ten_thousand
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_is_a_script() {
        let numbers = |seed| -> Vec<u64> {
            let mut dice = Dice::new(seed, 7);
            (0..50).map(|_| dice.within(3, 9)).collect()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!(numbers(1).iter().all(|number| (3..9).contains(number)));
    }
}
