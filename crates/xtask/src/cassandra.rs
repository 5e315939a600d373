//! Tests that need a real CQL database: what it takes is installed, the database
//! is fetched, then they run. Starting it is `testkit`'s work, so that the same
//! tests find one without this command. How to leave the step out, `report` says.

use std::ffi::{OsStr, OsString};

use anyhow::{Context, Result};
use starling_testkit::cassandra;

use crate::built::Built;
use crate::clients::{self, Part};
use crate::report::{Outcome, say};
use crate::system::{ETCD, JAVA, MAVEN};
use crate::test::libtest_counts;

/// The package that is tested, left out of the tests of the workspace.
pub(crate) const PACKAGE: &str = "starling-store-scylla";

/// Variables that tell tests how a client is run, one word a line.
const SLIXMPP: &str = "STARLING_TEST_SLIXMPP";
const XMPP_JS: &str = "STARLING_TEST_XMPP_JS";

/// One node for the contract, and three for what happens when one of them dies.
pub(crate) fn tests() -> Result<Outcome> {
    if let cassandra::Wanted::Running(points) = cassandra::wanted() {
        say(&format!("using the database at {}", points.join(", ")));
    }
    JAVA.provide()?;
    MAVEN.provide()?;
    cassandra::fetch().context("no Apache Cassandra")?;
    // Each test of a fault starts a database of its own.
    Built::now()?.run_all(PACKAGE, &["--test-threads=2"])
}

/// A cluster of processes, of which session nodes and edges are killed; clients
/// by other hands come back to it.
pub(crate) fn cluster() -> Result<Outcome> {
    if let Some(left_out) = ground()? {
        return Ok(left_out);
    }
    Built::now()?
        .test(SERVER, "cluster")?
        .args(&["--ignored"])
        .env(SLIXMPP, lines(&clients::slixmpp_words(Part::Resuming)?))
        .env(XMPP_JS, lines(&clients::xmpp_js_words(Part::Resuming)?))
        .counted(libtest_counts)
}

/// Nodes, etcd and the database die, hang and are cut off while people write.
pub(crate) fn faults() -> Result<Outcome> {
    if let Some(left_out) = ground()? {
        return Ok(left_out);
    }
    if cassandra::wanted() != cassandra::Wanted::Own {
        let why = format!("{} names a database that is not ours", cassandra::VARIABLE);
        return Ok(Outcome::LeftOut(why));
    }
    Built::now()?
        .test(SERVER, "faults")?
        .args(&["--ignored", "--test-threads=1"])
        .counted(libtest_counts)
}

/// Every scenario of the single node, on three edges and three session nodes, and
/// the clients by other hands there.
pub(crate) fn scenarios() -> Result<Outcome> {
    if let Some(left_out) = ground()? {
        return Ok(left_out);
    }
    Built::now()?
        .test(SERVER, "scenarios")?
        // They wait for the database more than they compute.
        .args(&["--test-threads=8"])
        .env("STARLING_TEST_WORLD", "cluster")
        .env(SLIXMPP, lines(&clients::slixmpp_words(Part::Everyday)?))
        .env(XMPP_JS, lines(&clients::xmpp_js_words(Part::Everyday)?))
        .counted(libtest_counts)
}

/// One word a line.
fn lines(words: &[OsString]) -> OsString {
    words.join(OsStr::new("\n"))
}

const SERVER: &str = "starling-server";

/// Sees to what a cluster stands on, or says why it is left out.
fn ground() -> Result<Option<Outcome>> {
    if cassandra::wanted() == cassandra::Wanted::Skip {
        let why = format!("by {}={}", cassandra::VARIABLE, cassandra::SKIP);
        return Ok(Some(Outcome::LeftOut(why)));
    }
    ETCD.provide()?;
    JAVA.provide()?;
    MAVEN.provide()?;
    cassandra::fetch().context("no Apache Cassandra")?;
    Ok(None)
}
