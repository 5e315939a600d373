//! Durable commits per second through the embedded store with 64 writers, and
//! the cost of one login read. Mark: at least 30,000 acknowledgements a second.

#![allow(clippy::unwrap_used, reason = "a benchmark panics on failure")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_store::archive::Change;
use starling_store::contract::sample;
use starling_store::{Stamp, Store, Write};
use starling_store_embedded::{Config, Embedded};

const WRITERS: u64 = 64;

/// In the build folder, so that a real disk is measured and not one in memory.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

/// Commits of each writer in one measured round.
const COMMITS_PER_WRITER: u64 = 100;

/// One round: every writer commits one message at a time, each waiting for its
/// acknowledgement.
async fn round(store: &Arc<Embedded>, epoch: u32) {
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let owner = sample::bare(&format!("user{writer}@capulet.example"));
            for seq in 1..=COMMITS_PER_WRITER {
                let mut entry = sample::entry(epoch, seq, false);
                entry.stanza = vec![b'x'; 300].into();
                let change = Change::Append(entry);
                let write = Write::new(owner.clone(), Stamp::new(epoch, seq), change);
                store.commit(vec![write]).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

fn commits(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(WRITERS * COMMITS_PER_WRITER));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for (name, is_recovery_instant) in [("64_writers", false), ("64_writers_quick_repair", true)] {
        let folder = tempfile::tempdir_in(DISK).unwrap();
        let config = Config {
            is_recovery_instant,
            ..Config::default()
        };
        let store = Arc::new(Embedded::open(folder.path(), &config).unwrap());
        let mut epoch = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                epoch += 1;
                runtime.block_on(round(&store, epoch));
            });
        });
    }
    group.finish();
}

fn login(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let folder = tempfile::tempdir_in(DISK).unwrap();
    let store = Embedded::open(folder.path(), &Config::default()).unwrap();
    let owner = sample::bare("juliet@capulet.example");
    runtime.block_on(async {
        store
            .create_account(sample::account(owner.as_str()))
            .await
            .unwrap();
        sample::commit(&store, owner.as_str(), sample::everything()).await;
    });
    criterion.bench_function("login_bundle", |bencher| {
        bencher.iter(|| runtime.block_on(store.login(&owner)).unwrap());
    });
}

criterion_group!(benches, commits, login);
criterion_main!(benches);
