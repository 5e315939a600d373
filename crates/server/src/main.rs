//! The program `starling`.

use std::process::ExitCode;

use clap::Parser;
use starling_server::cli::{self, Arguments, Command, Exit};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = arguments.command.unwrap_or(Command::Serve);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done: anyhow::Result<Exit> = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::run(&arguments.global, command)));
    done.unwrap_or_else(|error| cli::tell(&error)).into()
}
