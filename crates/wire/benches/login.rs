//! What the two questions of a log-in, for credentials and for a session, cost
//! the link at both ends, over loopback with TLS.
//!
//!     cargo bench -p starling-wire --bench login -- lane 2000 32
//!
//! asks by the lane, or with `call` as nodes of earlier versions are asked, so
//! many times and so many at once, and prints the CPU time of one log-in. Below
//! callgrind with two numbers of log-ins, the difference is their instructions.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark panics on failure and prints what it found"
)]

use std::sync::Arc;

use starling_link::contract::{Recorder, account, bind};
use starling_link::{Attach, Detached, Frame, Link as _, SessionKey};
use tokio::task::JoinSet;

#[path = "../tests/link"]
#[allow(dead_code, reason = "the tests use all of it")]
mod cluster {
    pub(crate) mod support;
}

use cluster::support::World;

/// Log-ins, and how many of them at once.
const USUAL: [usize; 2] = [2_000, 32];

/// What a tick of `/proc/self/stat` is on Linux, whatever the clock of the
/// kernel is.
const TICK_US: f64 = 10_000.0;

async fn log_in(world: &World) {
    let owner = world.edge.owner(&account()).unwrap();
    assert!(owner.credentials(&account()).await.unwrap().is_some());
    let bound = owner.bind(bind(&Recorder::new())).await.unwrap();
    let ended = Frame::Detach {
        session: SessionKey {
            account: account(),
            id: bound.session,
        },
        attach: Attach::default(),
        how: Detached::Closed,
        acked: None,
    };
    world.edge.push(ended).unwrap();
}

/// CPU time of this process so far, in µs; nothing elsewhere than on Linux.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        * TICK_US
}

async fn run(is_lane: bool, count: usize, at_once: usize) {
    let world = match is_lane {
        true => World::new().await,
        false => World::called_only().await,
    };
    let world = Arc::new(world.without_proxy());
    // Everything is connected.
    log_in(&world).await;
    let before = cpu_us();
    let mut running = JoinSet::new();
    for _ in 0..count {
        if running.len() >= at_once {
            running.join_next().await.unwrap().unwrap();
        }
        let world = Arc::clone(&world);
        running.spawn(async move { log_in(&world).await });
    }
    running.join_all().await;
    let each = (cpu_us() - before) / count as f64;
    let way = if is_lane { "lane" } else { "call" };
    println!("{way}: {count} log-ins, {at_once} at once: {each:.1} µs of CPU each");
}

fn main() {
    let arguments = std::env::args().skip(1);
    let arguments: Vec<String> = arguments.filter(|a| !a.starts_with('-')).collect();
    let number = |n: usize| {
        let given = arguments.get(n + 1).map(|number| number.parse().unwrap());
        given.unwrap_or(USUAL[n])
    };
    let ways: &[bool] = match arguments.first().map(String::as_str) {
        Some("lane") => &[true],
        Some("call") => &[false],
        _ => &[false, true],
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for is_lane in ways {
        runtime.block_on(run(*is_lane, number(0), number(1)));
    }
}
