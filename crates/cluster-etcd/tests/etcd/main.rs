//! Nodes on a real etcd: joining, placing, moving, failing over, outages.
//!
//! These tests start etcd, which must be installed: `cargo xtask test` does it
//! and runs them, `cargo xtask test --skip etcd` leaves them out. What plans are
//! made of is tested without etcd in the pure crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic on failure, and tell what they measured"
)]

mod failover;
mod join;
mod moves;
mod outage;
mod security;
mod support;
