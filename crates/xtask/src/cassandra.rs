//! Tests that need a real CQL database: what it takes is installed, the database
//! is fetched, then they run. Starting it is `testkit`'s work, so that the same
//! tests find one without this command. How to leave the step out, `report` says.

use anyhow::{Context, Result};
use starling_testkit::cassandra;

use crate::report::{Outcome, say};
use crate::system::{ETCD, JAVA, MAVEN};
use crate::test::{cargo, libtest_counts};

/// The package that is tested, left out of the tests of the workspace.
pub(crate) const PACKAGE: &str = "starling-store-scylla";

/// One node for the contract, and three for what happens when one of them dies.
pub(crate) fn tests() -> Result<Outcome> {
    if let cassandra::Wanted::Running(points) = cassandra::wanted() {
        say(&format!("using the database at {}", points.join(", ")));
    }
    JAVA.provide()?;
    MAVEN.provide()?;
    cassandra::fetch().context("no Apache Cassandra")?;
    let arguments = ["test", "--locked", "--no-fail-fast", "--package", PACKAGE];
    // Each test of a fault starts a database of its own.
    cargo(&arguments)
        .args(&["--", "--test-threads=2"])
        .counted(libtest_counts)
}

/// A cluster of processes: what single nodes do, and a session node killed.
pub(crate) fn cluster() -> Result<Outcome> {
    ETCD.provide()?;
    JAVA.provide()?;
    MAVEN.provide()?;
    cassandra::fetch().context("no Apache Cassandra")?;
    let package = ["test", "--locked", "--package", "starling-server"];
    cargo(&package)
        .args(&["--test", "cluster", "--", "--ignored"])
        .counted(libtest_counts)
}
