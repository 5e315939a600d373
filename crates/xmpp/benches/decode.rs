//! What one stanza costs: decoding, stamping and writing, payload look-up.
//!
//! The mark to keep: decode and check a 300-byte message in 1.5 µs or less.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_xmpp::stream::{Decoder, Event, Limits};
use starling_xmpp::{Jid, Stanza, ns};

const OPEN: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>";

/// 300 bytes, as a current client sends them.
const MESSAGE: &str = "<message to='juliet@example.com/balcony' type='chat' id='b7c5a3e8-4f1d'>\
    <body>Neither, fair saint, if either thee dislike. What's in a name?</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='b7c5a3e8-4f1d-9'/></message>";

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

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("stanza");
    group.throughput(Throughput::Bytes(MESSAGE.len() as u64));
    let mut decoder = opened();
    let mut buffer = BytesMut::with_capacity(65_536);
    group.bench_function("decode and check a message", |b| {
        b.iter(|| {
            buffer.extend_from_slice(black_box(MESSAGE.as_bytes()));
            decoder.feed(&mut buffer)
        });
    });
    let stanza = message();
    let from = Jid::parse("romeo@example.net/orchard").unwrap();
    let mut out = BytesMut::with_capacity(4_096);
    group.bench_function("stamp and write a message", |b| {
        b.iter(|| {
            out.clear();
            let mut stanza = black_box(&stanza).clone();
            stanza.head.from = Some(from.clone());
            stanza.write(&mut out);
            out.len()
        });
    });
    group.bench_function("find a payload and its text", |b| {
        b.iter(|| {
            let stanza = black_box(&stanza);
            stanza.has(ns::SID, "stanza-id") | stanza.child_text(ns::CLIENT, "body").is_some()
        });
    });
    let stored = stanza.to_bytes();
    group.bench_function("parse a stored message", |b| {
        b.iter(|| Stanza::parse(black_box(&stored).clone()));
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
