//! Shards that are to leave a node whose store does not answer it: whoever has
//! them next may reach it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use starling_cluster::{Epoch, Shard};
use starling_link::{Attach, Bound, Registration, SessionNode as _};
use starling_session::{Config, Engine};
use tokio::time::{Instant, sleep, timeout};

use super::stream::Stream;
use super::support::*;

/// What a shard may take that nobody is served of: two seconds in which it might
/// be, and half a second in which its accounts might be read.
const SOON: Duration = Duration::from_secs(3);

/// More than a node waits for sessions, however long it keeps them waiting.
const LONG: Duration = Duration::from_secs(90);

/// Every shard leaves the first one, and comes to the second, which cannot read
/// its accounts; somebody says something meanwhile.
async fn unserved(world: &World, romeo: &Bound, juliet: &Bound) {
    let frozen = join_all(Shard::all().map(|shard| world.first.freeze(shard)));
    assert!(frozen.await.into_iter().all(|is_frozen| is_frozen));
    world.store.set_hanging(true);
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    for id in ["one", "two"] {
        world.send(romeo, juliet, id);
    }
}

async fn freeze_soon(engine: &Engine) {
    let since = Instant::now();
    let frozen = join_all(Shard::all().map(|shard| engine.freeze(shard)));
    let frozen = timeout(DEADLINE, frozen).await.unwrap();
    assert!(frozen.into_iter().all(|is_frozen| is_frozen));
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

/// Everything goes back to the first one, which reaches the store, and both
/// sessions are brought there.
async fn go_back(world: &World, both: [(&Bound, &Arc<Stream>); 2]) {
    world.store.set_hanging(false);
    world.turn_back();
    Shard::all().for_each(|shard| world.second.give_up(shard));
    Shard::all().for_each(|shard| world.first.take(shard, Epoch(3)));
    for (bound, stream) in both {
        let (summary, downstream) = stream.known();
        let request = request(bound, stream, summary, downstream);
        let brought = timeout(DEADLINE, world.first.reattach(request)).await;
        brought.unwrap().unwrap();
    }
    let shards: Vec<_> = Shard::all().map(|shard| (shard, Epoch(3))).collect();
    world.first.attended(&edge(), &shards);
}

/// Whoever waits for its accounts goes on to the next owner, and is served there.
#[tokio::test(start_paused = true)]
async fn a_shard_that_cannot_be_served_does_not_hold_up_a_node_that_stops() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    unserved(&world, &romeo, &juliet).await;
    let mut brought = pin!(world.bring(&juliet, &at_juliet));
    assert!(brought.as_mut().now_or_never().is_none(), "it is not read");
    freeze_soon(&world.second).await;
    assert!(brought.as_mut().now_or_never().is_none(), "it is frozen");
    let both = [(&juliet, &at_juliet), (&romeo, &at_romeo)];
    go_back(&world, both).await;
    let brought = timeout(DEADLINE, brought).await.unwrap();
    assert!(brought.is_err(), "its edge asks the new owner");
    at_juliet.has(&["p", "one", "two"]).await;
    assert_eq!(at_romeo.ids(), ["p"], "nothing was refused");
    assert_eq!(log(&world, &juliet).await, ["one", "two"]);
    assert!(
        timeout(DEADLINE, world.second.drain(DEADLINE))
            .await
            .unwrap()
    );
}

/// It stays after all: its sessions are brought before anything else is done, as
/// if nothing had happened.
#[tokio::test(start_paused = true)]
async fn a_shard_that_could_not_be_served_and_stays_goes_on_waiting_for_its_sessions() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    unserved(&world, &romeo, &juliet).await;
    let (summary, downstream) = at_juliet.known();
    let brought = world
        .second
        .reattach(request(&juliet, &at_juliet, summary, downstream));
    let mut brought = pin!(brought);
    assert!(brought.as_mut().now_or_never().is_none());
    freeze_soon(&world.second).await;
    world.store.set_hanging(false);
    // More than it would have waited for its sessions.
    sleep(LONG).await;
    Shard::all().for_each(|shard| world.second.keep(shard));
    let brought = timeout(DEADLINE, brought).await.unwrap();
    assert_eq!(brought.map(|brought| brought.attach), Ok(Attach(1)));
    world.bring(&romeo, &at_romeo).await.unwrap();
    assert_eq!(at_juliet.ids(), ["p"], "nothing before all are there");
    world.attended();
    at_juliet.has(&["p", "one", "two"]).await;
}

/// The last edge says that it is done while the shard is with nobody.
#[tokio::test(start_paused = true)]
async fn a_frozen_shard_is_not_served_when_its_last_session_comes() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "zero"));
    at_juliet.has(&["p", "zero"]).await;
    at_romeo
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    // It did not reach the edge.
    at_juliet.change(|state| drop(state.stanzas.pop()));
    unserved(&world, &romeo, &juliet).await;
    world.store.set_hanging(false);
    for (bound, stream) in [(&juliet, &at_juliet), (&romeo, &at_romeo)] {
        world.bring(bound, stream).await.unwrap();
    }
    freeze_soon(&world.second).await;
    world.attended();
    sleep(LONG).await;
    assert_eq!(at_juliet.ids(), ["p"], "nobody is served");
    assert_eq!(log(&world, &juliet).await, ["zero"]);
    let since = Instant::now();
    Shard::all().for_each(|shard| world.second.keep(shard));
    // They were told to look elsewhere.
    for (bound, stream) in [(&juliet, &at_juliet), (&romeo, &at_romeo)] {
        world.bring(bound, stream).await.unwrap();
    }
    at_juliet.has(&["p", "zero", "one", "two"]).await;
    assert!(since.elapsed() < SOON, "nobody is waited for");
}

/// A shard that is served has accounts that nobody has read: who waits for one
/// goes along.
#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_read_does_not_hold_up_its_shard() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let tybalt = jid("tybalt@localhost");
    let registration = Registration {
        account: tybalt.clone(),
        verifiers: Vec::new(),
    };
    assert!(world.first.register(registration).await.unwrap());
    let tybalt = Bound {
        jid: tybalt.with_resource("x").unwrap(),
        ..romeo.clone()
    };
    world.store.set_hanging(true);
    for id in ["one", "two"] {
        world.send(&romeo, &tybalt, id);
    }
    // Its workers have nothing else to do meanwhile.
    sleep(Duration::from_millis(1)).await;
    let later = async {
        // Its shard is frozen, and the account is still being read.
        sleep(Duration::from_millis(700)).await;
        world.send(&romeo, &tybalt, "three");
    };
    tokio::join!(freeze_soon(&world.first), later);
    world.store.set_hanging(false);
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    let both = [(&romeo, &at_romeo), (&juliet, &at_juliet)];
    world.move_both(both).await;
    settled_all(&world.second).await;
    assert_eq!(log(&world, &tybalt).await, ["one", "two", "three"]);
    assert_eq!(at_romeo.ids(), ["p"], "nothing was refused");
    let idle = world.first.drain(DEADLINE);
    assert!(timeout(DEADLINE, idle).await.unwrap());
}
