//! The CQL store against a real Apache Cassandra: the contract of every store,
//! and what is this one's own. One database serves all of these tests, each with
//! a keyspace of its own; `STARLING_TEST_CQL` names one that runs already, or
//! leaves the tests out. What happens when the database dies is in `faults`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests panic on failure"
)]

mod contract;
mod database;
mod log;
mod schema;
mod secured;
mod stamps;
