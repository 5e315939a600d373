//! The history checker against the binary: `kill -9`, cut connections and an end
//! at every step of a commit, then the proof that every acknowledged message came
//! once and in order.
//!
//! What else it can do is in `docs/reliability.md`.

use anyhow::Result;

use crate::report::Outcome;
use crate::test::cargo;
use crate::workspace;

/// Messages to be acknowledged.
const SENDS: &str = "20000";
/// How long that may take on a slow machine; on two busy cores it is a minute.
const SECONDS_MAX: &str = "1200";
/// A script that is known, so that a failure is not a matter of luck alone.
const SEED: &str = "3";

pub(crate) fn run() -> Result<Outcome> {
    let starling = workspace::starling()?;
    let kept = cargo(&["run", "--locked", "--package", "starling-check", "--"])
        .args(&[
            "--sends",
            SENDS,
            "--seed",
            SEED,
            "--seconds-max",
            SECONDS_MAX,
        ])
        .args(&["--faults", "kill", "--starling"])
        .args(&[&starling])
        .succeeds()?;
    // A checker that finds nothing when a promise is broken proves nothing.
    let found = cargo(&["test", "--locked", "--package", "starling-check"])
        .args(&["--test", "proof", "--", "--ignored"])
        .env("STARLING_BINARY", &starling)
        .succeeds()?;
    let passed = u64::from(kept) + u64::from(found);
    let failed = 2 - passed;
    Ok(Outcome::Counted { passed, failed })
}
