//! The hot path, to be counted in instructions below callgrind: a stanza in,
//! through the engine, and out.
//!
//! Without an argument it names its cases, one in a line. With the name of one
//! it prints how many units it does, and does them in [`counted`], warm.
//! `cargo xtask test --only instructions` runs it and says what got dearer.
//!
//! It is a program and no benchmark of the engine because it has to be built
//! optimised, and quickly: without what benchmarks and tests need.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;

use bytes::BytesMut;
use starling_xmpp::stream::{Decoder, Event, Limits};
use starling_xmpp::{Jid, Stanza};

#[path = "../../session/benches/node/mod.rs"]
mod node;

use node::{Node, ROUND_MESSAGES};

/// How often something is done that needs no engine.
const STANZAS: usize = 256;

/// Rounds before the one that counts: tables have grown, memory is there.
const WARM_UP_ROUNDS: usize = 2;

const OPEN: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>";

/// 300 bytes, as a current client sends them.
const MESSAGE: &str = "<message to='juliet@example.com/balcony' type='chat' id='b7c5a3e8-4f1d'>\
    <body>Neither, fair saint, if either thee dislike. What's in a name?</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='b7c5a3e8-4f1d-9'/></message>";

const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";

/// A name, the units of one round, and what makes the round.
type Case = (&'static str, usize, fn() -> Box<dyn FnMut()>);

const CASES: [Case; 6] = [
    ("decode", STANZAS, decode),
    ("stamp-and-write", STANZAS, stamp_and_write),
    ("no-store", ROUND_MESSAGES, || many(NO_STORE)),
    ("no-store-singly", ROUND_MESSAGES, || singly(NO_STORE)),
    ("chat", ROUND_MESSAGES, || many("")),
    ("chat-singly", ROUND_MESSAGES, || singly("")),
];

fn decode() -> Box<dyn FnMut()> {
    let mut decoder = opened();
    let mut buffer = BytesMut::with_capacity(65_536);
    Box::new(move || {
        for _ in 0..STANZAS {
            buffer.extend_from_slice(black_box(MESSAGE.as_bytes()));
            assert!(matches!(
                black_box(decoder.feed(&mut buffer)),
                Ok(Some(Event::Stanza(_)))
            ));
        }
    })
}

fn stamp_and_write() -> Box<dyn FnMut()> {
    let stanza = message();
    let from = Jid::parse("romeo@example.net/orchard").unwrap();
    let mut out = BytesMut::with_capacity(4_096);
    Box::new(move || {
        for _ in 0..STANZAS {
            out.clear();
            let mut stanza = black_box(&stanza).clone();
            stanza.head.from = Some(from.clone());
            stanza.write(&mut out);
            black_box(out.len());
        }
    })
}

fn opened() -> Decoder {
    let mut decoder = Decoder::new(Limits::AUTHENTICATED);
    let event = decoder.feed(&mut BytesMut::from(OPEN)).unwrap();
    assert!(matches!(event, Some(Event::Open(_))));
    decoder
}

fn message() -> Stanza {
    match opened().feed(&mut BytesMut::from(MESSAGE)).unwrap() {
        Some(Event::Stanza(stanza)) => stanza,
        other => panic!("{other:?}"),
    }
}

/// Everything at once: what a busy node does.
fn many(extra: &str) -> Box<dyn FnMut()> {
    let node = Node::start(extra);
    Box::new(move || node.deliver_round())
}

/// One after the other: what a node does that has little to do.
fn singly(extra: &str) -> Box<dyn FnMut()> {
    let node = Node::start(extra);
    Box::new(move || node.deliver_round_singly())
}

/// What is inside is counted, and nothing else.
#[inline(never)]
fn counted(round: &mut dyn FnMut()) {
    round();
    // Or the call above would be a jump, and callgrind would not see the end.
    black_box(());
}

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES.iter().for_each(|(name, ..)| println!("{name}"));
        return;
    };
    let found = CASES.iter().find(|(name, ..)| *name == wanted);
    let (_, units, prepare) = found.expect("there is a case of this name");
    let mut round = prepare();
    (0..WARM_UP_ROUNDS).for_each(|_| round());
    counted(&mut *round);
    println!("{units}");
}
