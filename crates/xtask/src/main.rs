//! Project chores, run as `cargo xtask CHORE`.
//!
//! What a chore does is in its module. This file only reads the command line.
//! Nothing here is needed to build or run Starling.

mod built;
mod cassandra;
mod check;
mod clients;
mod cluster;
mod command;
mod etcd;
mod instructions;
mod node;
mod report;
mod system;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks and tests everything: what must pass before a change is merged.
    Test(test::Options),
    /// Runs a whole cluster on this machine, to try it by hand
    Cluster {
        #[command(subcommand)]
        what: cluster::What,
    },
    /// What the hot path costs, in instructions.
    Instructions {
        #[command(subcommand)]
        what: instructions::What,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Test(options) => test::run(&options),
        Chore::Cluster { what } => cluster::run(&what),
        Chore::Instructions { what } => instructions::run(&what).map(|()| ExitCode::SUCCESS),
    }
}
