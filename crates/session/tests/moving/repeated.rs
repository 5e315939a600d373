//! Much that is said once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use starling_link::{Frame, Link, MessageId, Receipt, Settle};
use starling_session::Config;
use starling_xmpp::Jid;

use super::support::*;

/// Counts what is settled.
#[derive(Default)]
struct Settled(AtomicUsize);

impl Settle for Settled {
    fn settle(&self, _number: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// All that was said to an account while it was out of reach comes at once, and
/// may have come before: it was promised to its senders, so none of it is refused,
/// and the log is not looked through for each.
#[tokio::test(start_paused = true)]
async fn what_comes_again_by_the_hundred_is_neither_refused_nor_doubled() {
    let config = Config {
        account_waiting_stanzas_max: 10,
        ..Config::default()
    };
    let world = World::start(&config);
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let settled = Arc::new(Settled::default());
    let say = |number: u64, is_repeated| {
        let said = message(&juliet, &number.to_string()).from(romeo.jid.clone());
        let routed = starling_link::Routed {
            target: juliet.jid.to_bare(),
            stanza: said,
            receipt: Some(Receipt::new(Arc::clone(&settled) as _, number)),
            id: Some(MessageId(number.into())),
            is_repeated,
            trace: None,
        };
        world.way.push(Frame::Routed(routed)).unwrap();
    };
    (0..200).for_each(|number| say(number, false));
    at_juliet
        .until("the first ones", |state| state.stanzas.len() == 201)
        .await;
    world.turn();
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    (0..300).for_each(|number| say(number, true));
    at_juliet
        .until("the others", |state| state.stanzas.len() >= 301)
        .await;
    settled_all(&world.second).await;
    let numbers: Vec<String> = (0..300).map(|number: u64| number.to_string()).collect();
    assert_eq!(at_juliet.ids()[1..], numbers, "each once and in order");
    assert_eq!(at_romeo.ids(), ["p"], "nothing was refused");
    assert_eq!(settled.0.load(Ordering::Relaxed), 500);
}

/// A node that dies leaves messages of many senders to one account that may have
/// come: the log is read once and not for each of them.
#[tokio::test(start_paused = true)]
async fn what_many_say_again_is_looked_for_once() {
    const SENDERS: u64 = 50;
    let world = World::start(&Config::default());
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let settled = Arc::new(Settled::default());
    let say = |number: u64, is_repeated| {
        let from = Jid::parse(&format!("sender{}@elsewhere/r", number % SENDERS)).unwrap();
        let routed = starling_link::Routed {
            target: juliet.jid.to_bare(),
            stanza: message(&juliet, &number.to_string()).from(from),
            receipt: Some(Receipt::new(Arc::clone(&settled) as _, number)),
            id: Some(MessageId(number.into())),
            is_repeated,
            trace: None,
        };
        world.way.push(Frame::Routed(routed)).unwrap();
    };
    (0..SENDERS).for_each(|number| say(number, false));
    at_juliet
        .until("the first ones", |state| state.stanzas.len() == 51)
        .await;
    world.turn();
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.attended();
    let before = world.store.pages_read();
    // One of each that came, then one of each that did not.
    (0..2 * SENDERS).for_each(|number| say(number, true));
    at_juliet
        .until("the others", |state| state.stanzas.len() >= 101)
        .await;
    settled_all(&world.second).await;
    let numbers: Vec<String> = (0..2 * SENDERS).map(|number| number.to_string()).collect();
    assert_eq!(at_juliet.ids()[1..], numbers, "each once and in order");
    let pages = world.store.pages_read() - before;
    assert!(pages < SENDERS / 5, "{pages} pages were read");
}
