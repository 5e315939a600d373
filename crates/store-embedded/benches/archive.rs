//! What a page of an archive costs, however long the archive is: as a client
//! catches up with it, forwards, and as one scrolls back, from the end.

#![allow(clippy::unwrap_used, reason = "a benchmark panics on failure")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use starling_store::archive::{Change, Query, Read as _};
use starling_store::contract::sample;
use starling_store::{Position, Stamp, Store, Write};
use starling_store_embedded::{Config, Embedded};
use tokio::runtime::Runtime;

// That of the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Entries in the archive.
const LENGTHS: [u64; 3] = [200, 10_000, 100_000];
const PAGE_ENTRIES: usize = 50;
/// Entries written with one commit.
const BATCH_ENTRIES: u64 = 1_000;
const STANZA_BYTES: usize = 300;
const OWNER: &str = "juliet@capulet.example";

async fn fill(store: &Embedded, entries: u64) {
    let owner = sample::bare(OWNER);
    for batch in 0..entries.div_ceil(BATCH_ENTRIES) {
        let first = batch * BATCH_ENTRIES + 1;
        let last = (first + BATCH_ENTRIES - 1).min(entries);
        let write = |seq| {
            let mut entry = sample::entry(1, seq, false);
            entry.stanza = vec![b'x'; STANZA_BYTES].into();
            entry.is_archived = true;
            Write::new(owner.clone(), Stamp::new(1, seq), Change::Append(entry))
        };
        store
            .commit((first..=last).map(write).collect())
            .await
            .unwrap();
    }
}

fn pages(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let owner = sample::bare(OWNER);
    let mut group = criterion.benchmark_group("archive");
    group.throughput(Throughput::Elements(PAGE_ENTRIES as u64));
    for length in LENGTHS {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path(), &Config::default()).unwrap();
        runtime.block_on(fill(&store, length));
        // Somewhere else every time: not the same rows, still warm.
        let next = AtomicU64::new(0);
        group.bench_function(BenchmarkId::new("page forwards", length), |bencher| {
            bencher.iter(|| {
                let step = next.fetch_add(7_919, Ordering::Relaxed);
                let after = Position::new(1, step % (length - PAGE_ENTRIES as u64));
                let query = Query::after(after, PAGE_ENTRIES).archived_only();
                let page = runtime
                    .block_on(store.archive_page(&owner, &query))
                    .unwrap();
                assert_eq!(page.len(), PAGE_ENTRIES);
            });
        });
        group.bench_function(BenchmarkId::new("last page", length), |bencher| {
            bencher.iter(|| {
                let query = Query::before(None, PAGE_ENTRIES).archived_only();
                let page = runtime
                    .block_on(store.archive_page(&owner, &query))
                    .unwrap();
                assert_eq!(page.len(), PAGE_ENTRIES);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pages);
criterion_main!(benches);
