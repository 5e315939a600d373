//! Moves that are planned: nothing in hand is lost, and whoever is connected
//! stays so.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use starling_cluster::Shard;
use starling_link::{Attach, Link as _, SessionNode};
use starling_session::Config;
use starling_xmpp::{Stanza, Type};
use tokio::time::timeout;

use super::support::*;

/// A planned move: what comes while the shard is with nobody waits, and goes to
/// whoever has it then, with the sessions.
#[tokio::test(start_paused = true)]
async fn sessions_of_a_shard_that_is_handed_over_go_along() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for shard in Shard::all() {
        assert!(world.first.freeze(shard).await);
    }
    world.send(&romeo, &juliet, "late");
    for stream in [&at_romeo, &at_juliet] {
        stream.until("it is told", |state| state.is_lost).await;
    }
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    at_juliet.has(&["p", "late"]).await;
}

/// The table tells edges and nodes at the same time, and an edge may be the first
/// to act: what it brings then is not kept waiting for itself.
#[tokio::test(start_paused = true)]
async fn a_session_that_comes_before_its_shard_is_not_left_behind() {
    let world = World::start(&Config::default());
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.turn();
    let (summary, downstream) = at_juliet.known();
    let early = world
        .second
        .reattach(request(&juliet, &at_juliet, summary, downstream));
    let mut early = pin!(early);
    assert!(early.as_mut().now_or_never().is_none(), "nobody serves it");
    // Behind it in the mailbox, so that it has been looked at.
    settled_all(&world.second).await;
    world.take();
    let brought = timeout(DEADLINE, early).await.unwrap();
    assert_eq!(brought.map(|brought| brought.attach), Ok(Attach(1)));
    world.attended();
    let sessions = world.second.sessions(&juliet.jid.to_bare()).await.unwrap();
    assert_eq!(sessions.len(), 1);
}

/// A shard that is to go on as soon as it has come: whoever waited for the first
/// move is served before the second.
#[tokio::test(start_paused = true)]
async fn a_shard_that_has_just_come_is_served_before_it_goes_on() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for shard in Shard::all() {
        assert!(world.first.freeze(shard).await);
    }
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.send(&romeo, &juliet, "meanwhile");
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    let leaving = Shard::all().map(|shard| world.second.freeze(shard));
    let mut leaving = pin!(futures_util::future::join_all(leaving));
    assert!(leaving.as_mut().now_or_never().is_none());
    settled_all(&world.second).await;
    assert!(
        leaving.as_mut().now_or_never().is_none(),
        "romeo is not there"
    );
    world.bring(&romeo, &at_romeo).await.unwrap();
    assert_eq!(at_juliet.ids(), ["p"], "nothing before all are there");
    world.attended();
    at_juliet.has(&["p", "meanwhile"]).await;
    let left = timeout(DEADLINE, leaving).await.unwrap();
    assert!(left.into_iter().all(|is_frozen| is_frozen));
    at_juliet.until("it is told", |state| state.is_lost).await;
}

/// A planned move that is called off when the shard is frozen already: the
/// clients were told to look for its new owner, which is the old one.
#[tokio::test(start_paused = true)]
async fn sessions_of_a_shard_that_stays_after_all_go_on() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for shard in Shard::all() {
        assert!(world.first.freeze(shard).await);
    }
    world.send(&romeo, &juliet, "meanwhile");
    for stream in [&at_romeo, &at_juliet] {
        stream.until("it is told", |state| state.is_lost).await;
    }
    let (summary, downstream) = at_juliet.known();
    let back = world
        .first
        .reattach(request(&juliet, &at_juliet, summary, downstream));
    let mut back = pin!(back);
    assert!(back.as_mut().now_or_never().is_none(), "it is frozen");
    Shard::all().for_each(|shard| world.first.keep(shard));
    let back = timeout(DEADLINE, back).await.unwrap();
    let attach = back.unwrap().attach;
    assert_eq!(attach, Attach(1));
    at_juliet
        .until("the message", |state| state.stanzas.len() >= 2)
        .await;
    world.say(&juliet, 2, attach, message(&juliet, "to herself"));
    at_juliet
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    assert_eq!(at_juliet.state.lock().unwrap().closed, None);
}

/// Answers are in no log: whatever is in hand when a shard is frozen reaches the
/// client's edge before that is told to go, and the rest follows the shard.
#[tokio::test(start_paused = true)]
async fn nothing_on_its_way_is_lost_when_a_shard_moves() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let mut all = vec!["p".to_owned()];
    let mut frozen = None;
    for number in 0..40 {
        let (stored, answer) = (format!("stored-{number}"), format!("answer-{number}"));
        let message = message(&juliet, &stored).from(romeo.jid.clone());
        world.way.push(routed(&juliet, message)).unwrap();
        let result = Stanza::iq(Type::Result, &answer).from(romeo.jid.clone());
        world.way.push(routed(&juliet, result)).unwrap();
        all.extend([stored, answer]);
        tokio::task::yield_now().await;
        if number == 20 {
            let first = Arc::clone(&world.first);
            frozen = Some(tokio::spawn(async move {
                let shards = Shard::all().map(|shard| first.freeze(shard));
                futures_util::future::join_all(shards).await;
            }));
        }
    }
    timeout(DEADLINE, frozen.unwrap()).await.unwrap().unwrap();
    for stream in [&at_romeo, &at_juliet] {
        stream.until("it is told", |state| state.is_lost).await;
    }
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    at_juliet.has(&all).await;
}
