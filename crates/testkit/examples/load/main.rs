//! What a node costs under real connections: memory of sessions that do
//! nothing, CPU time of messages between sessions.
//!
//!     cargo build --release
//!     cargo run --release -p starling-testkit --example load -- \
//!         target/release/starling idle 10000
//!
//! Both processes need a file for each session: raise `ulimit -n` if need be.
//! Comparing servers is not its business, and latency is not either.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a tool that stops at the first mistake and prints what it found"
)]

mod chat;
mod idle;
mod node;

use std::path::PathBuf;

use chat::Kind;

const USAGE: &str = "usage: load <the program starling> idle|no-store|chat|offline [count]";

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = PathBuf::from(arguments.next().expect(USAGE));
    let what = arguments.next().expect(USAGE);
    let count = arguments.next().map(|count| count.parse().expect(USAGE));
    match what.as_str() {
        "idle" => idle::measure(&program, count.unwrap_or(10_000)).await,
        "no-store" => chat::measure(&program, Kind::NoStore, count).await,
        "chat" => chat::measure(&program, Kind::Chat, count).await,
        "offline" => chat::measure(&program, Kind::Offline, count).await,
        _ => panic!("{USAGE}"),
    }
}
