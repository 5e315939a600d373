//! What a session node does while another that it needs is out of reach.
#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

mod away;
mod barrier;
mod outbox;
mod resuming;
mod support;
