//! Whole exchanges, driven from outside like the edge drives them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

mod fast;
mod mechanisms;
mod oracle;
mod properties;
mod refusals;
mod support;
mod unknown;
