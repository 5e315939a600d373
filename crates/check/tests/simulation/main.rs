//! The engine, its commit cycle and its log in a simulated world: time stands
//! still while anybody has work, everything takes as long as the dice say, nodes
//! die or are given up while they live on, streams are lost and resumed. Many
//! seeds, each judged as a run against real processes is; the same seed takes
//! the same way again.
//!
//! The network between nodes is stood in for by `lane`, which sends again what
//! was not settled, as the real one does; that one has tests of its own.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests panic on failure; numbers are small"
)]

mod client;
mod lane;
#[path = "../shared/mod.rs"]
mod shared;
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
use world::{Flaw, NODES, Net};

/// Seeds of the run that is part of the tests.
const SEEDS: u64 = 50;
/// How long everybody talks, in the time of the simulation.
const TALK: Duration = Duration::from_secs(8);
const CLIENTS: u32 = 6;

/// One life of everybody under a seed.
fn life(seed: u64, flaw: Flaw) -> History {
    seeds::run(async {
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
            sleep(Duration::from_millis(500 + net.roll(2_500))).await;
            net.harm(net.roll(NODES as u64) as usize).await;
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
    seeds::take_the_same_way_again(&[1, 2], |seed| life(seed, Flaw::None));
}

#[test]
fn an_acknowledgement_before_the_rows_are_stored_is_found() {
    seeds::shows(Promise::NoLoss, |seed| life(seed, Flaw::StoresLater));
}

#[test]
fn a_message_that_is_not_known_again_is_found() {
    seeds::shows(Promise::NoDuplicate, |seed| life(seed, Flaw::ForgetsIds));
}

#[test]
fn a_fence_that_nobody_reads_is_found() {
    seeds::shows(Promise::NoLoss, |seed| life(seed, Flaw::IgnoresFence));
}
