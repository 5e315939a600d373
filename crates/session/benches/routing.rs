//! What one message costs between the edge that read it and the edge that
//! writes it: mailbox, both sides' phases with every feature, commit, router.
//!
//! The same is counted in instructions by `crates/cost`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod node;

use node::{Node, ROUND_MESSAGES};

fn routing(c: &mut Criterion) {
    let mut group = c.benchmark_group("routing");
    group.throughput(Throughput::Elements(ROUND_MESSAGES as u64));
    for (name, extra) in [
        ("no-store", "<no-store xmlns='urn:xmpp:hints'/>"),
        ("chat", ""),
    ] {
        let node = Node::start(extra);
        group.bench_function(name, |b| b.iter(|| node.deliver_round()));
        let name = format!("{name}, one in flight");
        group.bench_function(name, |b| b.iter(|| node.deliver_round_singly()));
    }
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
