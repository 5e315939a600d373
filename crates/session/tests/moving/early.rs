//! What comes to a node that the table names and that was not told so: it began
//! anew, or its word is on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use starling_cluster::{Epoch, NodeId, Owner};
use starling_link::{Bound, Frame, Link, Receipt, SessionNode as _, Settle};
use starling_session::Config;
use starling_xmpp::{Element, Stanza, Type};
use tokio::time::{Instant, sleep, timeout};

use super::stream::Stream;
use super::support::*;

/// More than a node waits for its word.
const LONG: Duration = Duration::from_secs(12);

/// How long a link waits for its node to say what it had in hand for a shard.
const LEAVING_PATIENCE: Duration = Duration::from_secs(2);

/// A sender who waits.
#[derive(Default)]
struct Sender(AtomicBool);

impl Sender {
    /// Whether it is done with.
    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Settle for Sender {
    fn settle(&self, _number: u64) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Another node sends a stanza on, and waits to be told that it arrived.
fn send_on(world: &World, from: &Bound, stanza: Stanza, to: &Bound) -> Arc<Sender> {
    let sender = Arc::new(Sender::default());
    let frame = Frame::Routed(starling_link::Routed {
        target: to.jid.to_bare(),
        stanza: stanza.from(from.jid.clone()),
        receipt: Some(Receipt::new(Arc::clone(&sender) as _, 0)),
        id: None,
        is_repeated: false,
        trace: None,
    });
    world.way.push(frame).unwrap();
    sender
}

async fn both(world: &World) -> [(Bound, Arc<Stream>); 2] {
    [
        world.online("romeo@localhost").await,
        world.online("juliet@localhost").await,
    ]
}

/// A message can wait, and its sender may have been told long ago that it
/// arrives. Who asks something is told to ask again.
#[tokio::test(start_paused = true)]
async fn a_message_waits_for_a_node_that_is_slow_to_serve() {
    let world = World::start(&Config::default());
    let [(romeo, at_romeo), (juliet, at_juliet)] = both(&world).await;
    world.turn();
    let said = send_on(&world, &romeo, message(&juliet, "late"), &juliet);
    let ping = Element::new("urn:xmpp:ping", "ping");
    let ask = Stanza::iq(Type::Get, "ask").to(juliet.jid.clone());
    let asked = send_on(&world, &romeo, ask.child(&ping), &juliet);
    sleep(LONG).await;
    assert!(asked.is_told() && !said.is_told());
    let both = [(&romeo, &at_romeo), (&juliet, &at_juliet)];
    world.move_both(both).await;
    at_juliet.has(&["p", "late"]).await;
    settled_all(&world.second).await;
    assert!(said.is_told());
    assert_eq!(at_romeo.ids(), ["p"], "the message was not refused");
}

/// The shard goes to somebody else in the end: what waited goes there too.
#[tokio::test(start_paused = true)]
async fn a_message_follows_the_shard_that_did_not_come() {
    let world = World::start(&Config::default());
    let [(romeo, at_romeo), (juliet, at_juliet)] = both(&world).await;
    world.turn();
    send_on(&world, &romeo, message(&juliet, "late"), &juliet);
    settled_all(&world.second).await;
    world.turn_back();
    at_juliet.has(&["p", "late"]).await;
    assert_eq!(at_romeo.ids(), ["p"], "nothing was refused");
}

/// The link holds what is said from then on, for as long as two seconds, until
/// the node says what it had in hand.
#[tokio::test(start_paused = true)]
async fn what_waited_for_a_shard_that_did_not_come_is_ahead_of_what_is_said_later() {
    let world = World::start(&Config::default());
    let [(romeo, at_romeo), (juliet, at_juliet)] = both(&world).await;
    world.turn();
    send_on(&world, &romeo, message(&juliet, "before"), &juliet);
    settled_all(&world.second).await;
    *world.table.leaving.lock().unwrap() = Some((NodeId::new("second"), Vec::new()));
    world.turn_back();
    let since = Instant::now();
    let link = &world.second.env().link;
    let after = message(&juliet, "after").from(romeo.jid.clone());
    link.push(routed(&juliet, after)).unwrap();
    at_juliet.has(&["p", "before", "after"]).await;
    assert!(since.elapsed() < LEAVING_PATIENCE);
    assert_eq!(at_romeo.ids(), ["p"], "nothing was refused");
}

/// Both were on their way to a worker, and the table changed between them.
#[tokio::test(start_paused = true)]
async fn what_waited_for_a_shard_that_did_not_come_is_ahead_of_what_comes_next() {
    let world = World::start(&Config::default());
    let [(romeo, _), (juliet, at_juliet)] = both(&world).await;
    world.turn();
    send_on(&world, &romeo, message(&juliet, "one"), &juliet);
    settled_all(&world.second).await;
    world.turn_back();
    for id in ["two", "three"] {
        let next = message(&juliet, id).from(romeo.jid.clone());
        world.second.push(routed(&juliet, next)).unwrap();
    }
    at_juliet.has(&["p", "one", "two", "three"]).await;
}

/// Its link heard from another node that the shard is its own, and the table has
/// not come yet: what the link brings waits, and is not handed round in a circle
/// that leaves no time for anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_waits_for_a_node_whose_link_heard_of_the_shard_first() {
    let world = World::start(&Config::default());
    let [(romeo, at_romeo), (juliet, at_juliet)] = both(&world).await;
    let second = Owner {
        node: NodeId::new("second"),
        epoch: Epoch(2),
    };
    *world.table.heard.lock().unwrap() = Some(second);
    send_on(&world, &romeo, message(&juliet, "early"), &juliet);
    timeout(DEADLINE, settled_all(&world.second)).await.unwrap();
    let both = [(&romeo, &at_romeo), (&juliet, &at_juliet)];
    world.move_both(both).await;
    at_juliet.has(&["p", "early"]).await;
}
