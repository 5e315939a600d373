//! The decoder: streams of RFC 6120 and what must never work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
