//! Tests that need a real etcd: the program is installed, then they run.
//!
//! They are marked as ignored, so that `cargo test` alone needs nothing that is
//! not there. How to leave the step out, `report` says.

use anyhow::Result;

use crate::built::Built;
use crate::report::Outcome;
use crate::system::ETCD;
use crate::test::libtest_counts;

/// Membership, leases, placement and fail-over on etcd.
pub(crate) fn tests() -> Result<Outcome> {
    ETCD.provide()?;
    Built::now()?
        .test("starling-cluster-etcd", "etcd")?
        // Each test starts an etcd of its own, and measures times.
        .args(&["--ignored", "--test-threads=2"])
        .counted(libtest_counts)
}
