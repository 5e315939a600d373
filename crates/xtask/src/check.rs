//! The history checker against the binary: `kill -9`, cut connections and an end
//! at every step of a commit, then the proof that every acknowledged message came
//! once and in order.
//!
//! What else it can do is in `docs/reliability.md`.

use anyhow::Result;

use crate::built::Built;
use crate::command::Command;
use crate::report::Outcome;

/// Messages to be acknowledged.
const SENDS: &str = "20000";
/// How long that may take on a slow machine; on two busy cores it is a minute.
const SECONDS_MAX: &str = "1200";
/// A script that is known, so that a failure is not a matter of luck alone.
const SEED: &str = "3";

pub(crate) fn run() -> Result<Outcome> {
    let built = Built::now()?;
    let starling = built.program("starling")?;
    let kept = Command::new(built.program("starling-check")?)
        .args(&["--sends", SENDS, "--seed", SEED])
        .args(&["--seconds-max", SECONDS_MAX, "--faults", "kill"])
        .args(&["--starling"])
        .args(&[&starling])
        .outcome()?;
    // A checker that finds nothing when a promise is broken proves nothing.
    let found = built
        .test("starling-check", "proof")?
        .args(&["--ignored"])
        .env("STARLING_BINARY", &starling)
        .outcome()?;
    Ok(kept.and(found))
}
