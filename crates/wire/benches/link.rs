//! What a stanza costs on its way to another node and back: written and read,
//! and over loopback with TLS.
//!
//! `frames/…` is one stanza in a batch, encoded and decoded. `loopback/…` is one
//! stanza of a client from an edge to the owner of its account and delivered to
//! a client of the same edge: two of the three hops of a message.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark panics on failure"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use starling_link::contract::{Recorder, ScriptedNode, bound, from_client, message};
use starling_link::{Close, Frame, Full, Link as _, Management, Outlet};
use starling_xmpp::Stanza;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

#[path = "../tests/link"]
#[allow(dead_code, reason = "the tests use all of it")]
mod cluster {
    pub(crate) mod support;
}

use cluster::support::World;

/// Stanzas on their way at once.
const BURST: usize = 1_000;

/// Counts what it is given.
#[derive(Default)]
struct Counter {
    count: AtomicUsize,
    enough: Notify,
}

impl Counter {
    async fn wait_for(&self, count: usize) {
        loop {
            let enough = self.enough.notified();
            if self.count.load(Ordering::Acquire) >= count {
                return;
            }
            enough.await;
        }
    }
}

impl Outlet for Counter {
    fn deliver(&self, _stanza: &Stanza) -> Result<(), Full> {
        let count = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        if count.is_multiple_of(BURST) {
            self.enough.notify_waiters();
        }
        Ok(())
    }

    fn committed(&self, _number: u32) {}

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, _why: Close) {}
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(1));
    let stanza = message("an ordinary message of some forty characters");
    group.bench_function("encode and decode", |bencher| {
        let mut codec = starling_wire::link::bench::Codec::default();
        bencher.iter(|| codec.through(&stanza));
    });
    group.finish();
}

fn loopback(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("loopback");
    group.throughput(Throughput::Elements(BURST as u64));
    group.sample_size(30);
    let world = runtime.block_on(World::direct());
    let counter = Arc::new(Counter::default());
    let session = runtime.block_on(async {
        let recorder = Recorder::new();
        let (session, _) = bound(&*world.edge, &recorder).await;
        let mut bind = starling_link::contract::bind(&recorder);
        bind.outlet = Arc::clone(&counter) as _;
        let account = starling_link::contract::account();
        let owner = world.edge.owner(&account).unwrap();
        let second = owner.bind(bind).await.unwrap();
        (session, second.session)
    });
    let node: Arc<ScriptedNode> = Arc::clone(&world.owner.node);
    let back = node.outlet(session.1);
    group.bench_function(BenchmarkId::new("edge, owner, edge", BURST), |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let before = counter.count.load(Ordering::Acquire);
                for number in 0..BURST {
                    let frame = from_client(&session.0, number as u32);
                    world.edge.push(frame).unwrap();
                }
                let mut seen = 0;
                while seen < BURST {
                    for frame in node.wait_for(1).await {
                        let Frame::FromClient { stanza, .. } = frame else {
                            continue;
                        };
                        back.deliver(&stanza).unwrap();
                        seen += 1;
                    }
                }
                counter.wait_for(before + BURST).await;
            });
        });
    });
    group.finish();
}

criterion_group!(benches, frames, loopback);
criterion_main!(benches);
