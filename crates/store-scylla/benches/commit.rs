//! What a commit costs through a CQL database: messages per second and time per
//! cycle with one owner, with many, and in the cycles of the engine; and one
//! login. `STARLING_TEST_CQL` names a database that runs; without it a node of
//! Apache Cassandra is started beside the benchmark, on the same cores.

#![allow(clippy::unwrap_used, reason = "a benchmark panics on failure")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_store::archive::Change;
use starling_store::contract::sample;
use starling_store::{Stamp, Store, Write};
use starling_store_scylla::{Config, Scylla};
use starling_testkit::cassandra::{Cluster, Wanted, wanted};
use starling_xmpp::BareJid;
use tokio::runtime::Runtime;

/// Messages of one cycle, and of how many owners they are.
const CYCLES: [(&str, u64, u64); 4] = [
    ("1 message of 1 owner", 1, 1),
    ("200 messages of 1 owner", 200, 1),
    ("200 messages of 64 owners", 200, 64),
    ("200 messages of 200 owners", 200, 200),
];

/// Cycles on their way at once: workers of one node.
const WORKERS: u64 = 2;

fn message(owner: &BareJid, seq: u64) -> Write {
    let mut entry = sample::entry(1, seq, false);
    entry.stanza = vec![b'x'; 300].into();
    Write::new(owner.clone(), Stamp::new(1, seq), Change::Append(entry))
}

fn store(runtime: &Runtime) -> (Option<Cluster>, Arc<Scylla>) {
    let (cluster, contact_points) = match wanted() {
        Wanted::Running(points) => (None, points),
        Wanted::Own | Wanted::Skip => {
            let cluster = Cluster::start(1).unwrap();
            let points = cluster.contact_points();
            (Some(cluster), points)
        }
    };
    let config = Config {
        contact_points,
        keyspace: format!("bench_{}", std::process::id()),
        replication: BTreeMap::from([("datacenter1".to_owned(), 1)]),
        request_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
        ..Config::default()
    };
    let store = runtime.block_on(Scylla::connect(&config)).unwrap();
    (cluster, Arc::new(store))
}

/// One cycle of every worker.
async fn cycle(store: &Arc<Scylla>, owners: &[Vec<BareJid>], messages: u64, first: u64) {
    let workers = owners.iter().map(|owners| {
        let (store, owners) = (Arc::clone(store), owners.clone());
        tokio::spawn(async move {
            let count = owners.len() as u64;
            let batch = (0..messages)
                .map(|n| message(&owners[usize::try_from(n % count).unwrap()], first + n));
            store.commit(batch.collect()).await.unwrap();
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

fn commits(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (_cluster, store) = store(&runtime);
    let mut group = criterion.benchmark_group("commit");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    let mut seq = 1;
    for (name, messages, owners) in CYCLES {
        let owners: Vec<Vec<BareJid>> = (0..WORKERS)
            .map(|worker| {
                let jid = |n| sample::bare(&format!("user{n}.{worker}@capulet.example"));
                (0..owners).map(jid).collect()
            })
            .collect();
        group.throughput(Throughput::Elements(messages * WORKERS));
        group.bench_function(format!("{WORKERS} workers, {name}"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(cycle(&store, &owners, messages, seq));
                seq += messages;
            });
        });
    }
    group.finish();

    let owner = sample::bare("juliet@capulet.example");
    runtime.block_on(async {
        let account = sample::account(owner.as_str());
        store.create_account(account).await.unwrap();
        sample::commit(&*store, owner.as_str(), sample::everything()).await;
    });
    criterion.bench_function("login_bundle", |bencher| {
        bencher.iter(|| runtime.block_on(store.login(&owner)).unwrap());
    });
}

criterion_group!(benches, commits);
criterion_main!(benches);
