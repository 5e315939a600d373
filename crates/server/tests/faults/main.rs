//! Faults of a cluster of real processes under load: session nodes, edges, etcd
//! and the database are killed, halted and cut off, nodes join and restart, and
//! meanwhile people write to each other. Every test proves that no acknowledged
//! message is lost, none comes twice and their order stays, and prints for how
//! long its people had to wait.
//!
//! It needs programs that may not be there, so it is ignored unless asked for:
//! `cargo xtask test --only faults`. The tests share one cluster and run one
//! after the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    reason = "tests panic on failure; parts of the shared files are not used here"
)]

mod book;
mod dependencies;
mod line;
mod load;
mod nodes;
mod planned;
#[path = "../shared/mod.rs"]
mod shared;
mod stage;
