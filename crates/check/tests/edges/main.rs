//! The engine, its commit cycle, its log and the edges before it in a simulated
//! world: time stands still while anybody has work, everything takes as long as
//! the dice say, nodes die or are given up while they live on, shards move, edges
//! die, streams are lost and resumed. Many seeds, each judged as a run against
//! real processes is; the same seed takes the same way again.
//!
//! The clients are those of the checker, and speak XML to the real edge. The
//! network between nodes is stood in for: `lane` sends again what was not settled
//! from node to node, `edge`, `attached` and `remote` are the link of an edge.
//! They do as the real one does, which has tests of its own.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests panic on failure; numbers are small"
)]

/// Tells what happens to the world, for a seed that is looked at:
/// `SIMULATION_TELLS=1`.
macro_rules! tell {
    ($($what:tt)*) => {
        if $crate::shared::seeds::has_variable("SIMULATION_TELLS") {
            eprintln!("{:>9.3} {}", $crate::seconds(), format!($($what)*));
        }
    };
}

mod attached;
mod client;
mod edge;
mod halt;
mod lane;
mod node;
mod remote;
mod run;
#[path = "../shared/mod.rs"]
mod shared;
mod table;
mod ways;
mod world;

use std::sync::Arc;
use std::time::Duration;

use starling_check::dice::Dice;
use starling_check::history::{History, Recorder};
use starling_check::verdict::Promise;
use starling_xmpp::BareJid;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use client::Client;
use shared::engine::jid;
use shared::seeds;
use world::{Flaw, Net};

/// Seeds of the run that is part of the tests.
const SEEDS: u64 = 8;
/// How long everybody talks, in the time of the simulation.
const TALK: Duration = Duration::from_secs(8);
const CLIENTS: u32 = 6;

/// One life of everybody under a seed.
fn life(seed: u64, flaw: Flaw) -> History {
    seeds::run(async {
        BEGAN.set(Some(Instant::now()));
        let name = |number| jid(&format!("sim-{number}@localhost"));
        let accounts: Arc<[BareJid]> = (0..CLIENTS).map(name).collect();
        let net = Net::start(seed, flaw, &accounts).await;
        let recorder = Arc::new(Recorder::default());
        let phase = watch::Sender::new(0);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = Client::new(
                number,
                Arc::clone(&accounts),
                Arc::clone(&net),
                Dice::new(seed, u64::from(number)),
                Arc::clone(&recorder),
                phase.subscribe(),
            );
            clients.spawn(client.live());
        }
        let start = Instant::now();
        while start.elapsed() < TALK {
            sleep(Duration::from_millis(200 + net.roll(1_800))).await;
            net.harm();
        }
        seeds::settle(clients, &phase, &recorder).await
    })
}

#[test]
fn many_seeds_break_nothing() {
    seeds::break_nothing(0..SEEDS, |seed| life(seed, Flaw::None));
}

#[test]
fn a_seed_takes_the_same_way_again() {
    seeds::take_the_same_way_again(&[1, 5], |seed| life(seed, Flaw::None));
}

#[test]
fn an_acknowledgement_before_the_rows_are_stored_is_found() {
    seeds::shows(Promise::NoLoss, |seed| life(seed, Flaw::StoresLater));
}

#[test]
fn a_message_that_is_not_known_again_is_found() {
    seeds::shows(Promise::NoDuplicate, |seed| life(seed, Flaw::ForgetsIds));
}

thread_local! {
    static BEGAN: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
}

fn seconds() -> f64 {
    BEGAN
        .get()
        .map_or(0.0, |began| began.elapsed().as_secs_f64())
}
