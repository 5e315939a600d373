//! What a change of presence costs an account with many contacts, all of them
//! online here, and what its roster costs a client that asks for it.
//!
//! From the frame of the edge to the outlets, as in `routing.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::cell::Cell;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

mod node;

use node::crowd::Crowd;

const CONTACTS: [usize; 3] = [10, 100, 1_000];

fn presence(c: &mut Criterion) {
    let mut group = c.benchmark_group("presence");
    for contacts in CONTACTS {
        let crowd = Crowd::start(contacts);
        group.throughput(Throughput::Elements(contacts as u64));
        let is_away = Cell::new(false);
        group.bench_function(BenchmarkId::new("broadcast", contacts), |b| {
            b.iter(|| {
                is_away.set(!is_away.get());
                crowd.change_presence(is_away.get());
            });
        });
        group.bench_function(BenchmarkId::new("roster", contacts), |b| {
            b.iter(|| crowd.ask_roster());
        });
    }
    group.finish();
}

criterion_group!(benches, presence);
criterion_main!(benches);
