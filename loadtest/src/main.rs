//! The program `loadtest`; what it can do is in `cli`.

use std::process::ExitCode;

use anyhow::Result;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<ExitCode> {
    starling_loadtest::cli::main()
}
