//! Several at once must be what one after the other is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// More than two registers of any hash.
const JOBS_MAX: usize = 35;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// RFC 8018 §5.2, against the `pbkdf2` crate.
    #[test]
    fn many_are_what_one_by_one_is(
        jobs in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 1..200)), 0..JOBS_MAX),
        iterations in 1..40u32,
    ) {
        let jobs: Vec<_> = jobs
            .iter()
            .map(|(password, salt)| Job { password, salt })
            .collect();
        for hash in ScramHash::ALL {
            let expected = many::one_by_one(hash, &jobs, iterations);
            for (machine, given) in many::on_every_machine(hash, &jobs, iterations) {
                prop_assert_eq!(&given, &expected, "{:?} on {}", hash, machine);
            }
        }
    }
}

/// The edges of a key: RFC 2104 §2 hashes what is longer than a block.
#[test]
fn keys_about_as_long_as_a_block() {
    for length in [0, 1, 63, 64, 65, 127, 128, 129] {
        let password = vec![0xa5; length];
        let job = Job {
            password: &password,
            salt: b"salt",
        };
        for hash in ScramHash::ALL {
            let expected = hi(hash, &password, b"salt", 3);
            for (machine, given) in many::on_every_machine(hash, &[job; 3], 3) {
                assert!(
                    given.iter().all(|it| *it == expected),
                    "{length} on {machine}"
                );
            }
        }
    }
}
