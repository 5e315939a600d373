//! What the checker is worth, on real processes: it finds what is broken on
//! purpose, and nothing when a node ends at any step.
//!
//! One program, so that its tests run beside each other: they mostly wait.

#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

mod broken;
mod failpoints;

use std::path::PathBuf;

#[expect(
    clippy::disallowed_methods,
    reason = "the program under test belongs to another package"
)]
fn starling() -> PathBuf {
    PathBuf::from(std::env::var("STARLING_BINARY").unwrap())
}
