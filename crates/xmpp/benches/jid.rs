//! What an address costs: parsed on every stanza, compared on every hop.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark panics on failure"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use starling_xmpp::Jid;

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("jid");
    for (name, text) in [
        (
            "parse ascii full",
            "juliet.capulet@chat.example.com/balcony-7f3a9c",
        ),
        ("parse ascii bare", "juliet.capulet@chat.example.com"),
        (
            "parse ascii upper",
            "Juliet.Capulet@Chat.Example.com/balcony-7f3a9c",
        ),
        (
            "parse unicode",
            "\u{e9}milie@b\u{fc}cher.example/T\u{e9}l\u{e9}phone",
        ),
    ] {
        group.bench_function(name, |b| b.iter(|| Jid::parse(black_box(text))));
    }
    let full = Jid::parse("juliet.capulet@chat.example.com/balcony-7f3a9c").unwrap();
    group.bench_function("to_bare", |b| b.iter(|| black_box(&full).to_bare()));
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
