//! What making a verifier costs, by hash: it is what an import of accounts, a
//! new password and every PLAIN log-in spend their time on.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_auth::scram::{self, ITERATIONS_DEFAULT};
use starling_xmpp::credentials::ScramHash;

fn derive(c: &mut Criterion) {
    let mut group = c.benchmark_group("derive");
    group.sample_size(20);
    group.throughput(Throughput::Elements(u64::from(ITERATIONS_DEFAULT)));
    for hash in ScramHash::ALL {
        group.bench_function(format!("{hash:?}"), |b| {
            b.iter(|| {
                let password = black_box("Call me but love");
                scram::derive(password, hash, &[7; 16], ITERATIONS_DEFAULT).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, derive);
criterion_main!(benches);
