//! What making a verifier costs, by hash: it is what an import of accounts, a
//! new password and every PLAIN log-in spend their time on.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_auth::scram::{self, Derivation, ITERATIONS_DEFAULT, MANY};
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

/// Of accounts with all three hashes, as an import makes them.
fn derive_many(c: &mut Criterion) {
    let mut group = c.benchmark_group("derive many");
    group.sample_size(20);
    let passwords = [black_box("Call me but love"); MANY];
    group.throughput(Throughput::Elements(MANY as u64));
    let mut hashes = ScramHash::ALL
        .map(|hash| (format!("{hash:?}"), vec![hash]))
        .to_vec();
    hashes.push(("all".to_owned(), ScramHash::ALL.to_vec()));
    for (name, hashes) in hashes {
        let how = Derivation {
            hashes,
            ..Derivation::default()
        };
        group.bench_function(name, |b| {
            b.iter(|| scram::verifiers_for_many(&passwords, &how));
        });
    }
    group.finish();
}

criterion_group!(benches, derive, derive_many);
criterion_main!(benches);
