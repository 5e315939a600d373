//! Durable commits per second through the embedded store with 64 writers, and
//! the cost of one login read. Mark: at least 30,000 acknowledgements a second.

#![allow(clippy::unwrap_used, reason = "a benchmark panics on failure")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_store::archive::Change;
use starling_store::contract::sample;
use starling_store::{Stamp, Store, Write};
use starling_store_embedded::{Config, Embedded};
use starling_xmpp::BareJid;

// That of the program: a tenth of a commit is allocating.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const WRITERS: u64 = 64;

/// In the build folder, so that a real disk is measured and not one in memory.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

/// Linux: a disk in memory, which shows what is left when syncs cost nothing.
const MEMORY: &str = "/dev/shm";

/// Commits of each writer in one measured round.
const COMMITS_PER_WRITER: u64 = 100;

/// How the engine commits: each worker all it has collected, as one.
const WORKERS: u64 = 2;
const CYCLES_PER_WORKER: u64 = 16;
const MESSAGES_PER_CYCLE: u64 = 200;

/// Bytes of a page of the store, written to see what a sync costs by itself.
const PAGE_BYTES: usize = 4_096;

fn message(owner: &BareJid, epoch: u32, seq: u64) -> Write {
    let mut entry = sample::entry(epoch, seq, false);
    entry.stanza = vec![b'x'; 300].into();
    let change = Change::Append(entry);
    Write::new(owner.clone(), Stamp::new(epoch, seq), change)
}

fn owner(number: u64) -> BareJid {
    sample::bare(&format!("user{number}@capulet.example"))
}

/// One round: every writer commits one message at a time, each waiting for its
/// acknowledgement.
async fn round_of_writers(store: &Arc<Embedded>, epoch: u32) {
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let owner = owner(writer);
            for seq in 1..=COMMITS_PER_WRITER {
                let write = message(&owner, epoch, seq);
                store.commit(vec![write]).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// One round: every worker commits cycles of messages for many accounts.
async fn round_of_workers(store: &Arc<Embedded>, epoch: u32) {
    let workers = (0..WORKERS).map(|worker| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let owners = (0..WRITERS).map(|number| owner(number * WORKERS + worker));
            let owners: Vec<BareJid> = owners.collect();
            let mut seq = 0;
            for _ in 0..CYCLES_PER_WORKER {
                let batch = (0..MESSAGES_PER_CYCLE).map(|_| {
                    seq += 1;
                    message(&owners[(seq % WRITERS) as usize], epoch, seq)
                });
                store.commit(batch.collect()).await.unwrap();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// A place to write to, and the settings.
struct Case {
    name: &'static str,
    folder: &'static str,
}

const CASES: [Case; 2] = [
    Case {
        name: "disk",
        folder: DISK,
    },
    Case {
        name: "memory",
        folder: MEMORY,
    },
];

fn commits(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("commit");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for case in CASES.iter().filter(|case| Path::new(case.folder).exists()) {
        let folder = tempfile::tempdir_in(case.folder).unwrap();
        let config = Config::default();
        let store = Arc::new(Embedded::open(folder.path(), &config).unwrap());
        let mut epoch = 0;
        group.throughput(Throughput::Elements(WRITERS * COMMITS_PER_WRITER));
        group.bench_function(format!("64 writers, {}", case.name), |bencher| {
            bencher.iter(|| {
                epoch += 1;
                runtime.block_on(round_of_writers(&store, epoch));
            });
        });
        let messages = WORKERS * CYCLES_PER_WORKER * MESSAGES_PER_CYCLE;
        group.throughput(Throughput::Elements(messages));
        group.bench_function(format!("2 workers, {}", case.name), |bencher| {
            bencher.iter(|| {
                epoch += 1;
                runtime.block_on(round_of_workers(&store, epoch));
            });
        });
    }
    group.finish();
}

/// What the disk itself takes to make one page durable.
fn sync(criterion: &mut Criterion) {
    let mut file = tempfile::tempfile_in(DISK).unwrap();
    let page = [0; PAGE_BYTES];
    file.write_all(&page).unwrap();
    file.sync_all().unwrap();
    criterion.bench_function("fdatasync", |bencher| {
        bencher.iter(|| {
            file.rewind().unwrap();
            file.write_all(&page).unwrap();
            file.sync_data().unwrap();
        });
    });
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

criterion_group!(benches, sync, commits, login);
criterion_main!(benches);
