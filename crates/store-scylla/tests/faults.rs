//! What is promised when the database dies: nothing acknowledged is lost, one of
//! three nodes is not missed, and a pause is waited for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests panic on failure"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use starling_store::account::Read as _;
use starling_store::archive::{Change, Query, Read as _};
use starling_store::contract::sample::{account, bare, entry};
use starling_store::{Creation, Error, Fence as _, Position, Stamp, Store, Write};
use starling_store_scylla::{Config, Scylla};
use starling_testkit::cassandra::{Cluster, SKIP, VARIABLE, Wanted, wanted};
use tokio::sync::watch;

/// A bound on failure, on a busy machine; no test waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(240);

/// Owners that write at once.
const OWNERS: u64 = 8;

/// A database of its own: these tests kill it.
fn cluster(nodes: u8) -> Option<Cluster> {
    if wanted() == Wanted::Skip {
        eprintln!("LEFT OUT, because {VARIABLE}={SKIP}");
        return None;
    }
    Some(Cluster::start(nodes).unwrap_or_else(|error| panic!("{error}")))
}

fn config(cluster: &Cluster, replicas: u32) -> Config {
    Config {
        contact_points: cluster.contact_points(),
        keyspace: "faults".to_owned(),
        replication: BTreeMap::from([("datacenter1".to_owned(), replicas)]),
        connect_timeout: Duration::from_secs(20),
        ..Config::default()
    }
}

async fn connect(config: &Config) -> Arc<Scylla> {
    let connected = Scylla::connect(config).await;
    Arc::new(connected.unwrap_or_else(|error| panic!("{error}")))
}

fn owner(n: u64) -> String {
    format!("user{n}@capulet.example")
}

fn append(n: u64, seq: u64) -> Vec<Write> {
    let change = Change::Append(entry(1, seq, false));
    vec![Write::new(bare(&owner(n)), Stamp::new(1, seq), change)]
}

/// Owners that append one entry after the other, each until it is acknowledged.
struct Writers {
    tasks: Vec<tokio::task::JoinHandle<u64>>,
    stop: Arc<AtomicBool>,
    acknowledged: watch::Receiver<u64>,
}

impl Writers {
    fn start(store: &Arc<Scylla>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, acknowledged) = watch::channel(0);
        let sender = Arc::new(sender);
        let tasks = (0..OWNERS).map(|n| {
            let (store, stop, sender) = (Arc::clone(store), Arc::clone(&stop), Arc::clone(&sender));
            tokio::spawn(async move {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    match store.commit(append(n, last + 1)).await {
                        Ok(()) => {
                            last += 1;
                            sender.send_modify(|count| *count += 1);
                        }
                        // The same again, as the engine does.
                        Err(Error::Unavailable { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                last
            })
        });
        Writers {
            tasks: tasks.collect(),
            stop,
            acknowledged,
        }
    }

    /// Waits until so many more have been acknowledged.
    async fn more(&mut self, count: u64) {
        let wanted = *self.acknowledged.borrow() + count;
        let more = self.acknowledged.wait_for(|reached| *reached >= wanted);
        tokio::time::timeout(DEADLINE, more)
            .await
            .expect("acknowledgements")
            .unwrap();
    }

    /// Ends them; returns the last acknowledged entry of each.
    async fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut last = Vec::new();
        for task in self.tasks {
            last.push(
                tokio::time::timeout(DEADLINE, task)
                    .await
                    .expect("an end")
                    .unwrap(),
            );
        }
        last
    }
}

/// The same again until there is an answer, as the engine does.
async fn patiently<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Error>>,
{
    let answer = async {
        loop {
            match call().await {
                Ok(answer) => return answer,
                Err(Error::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, answer)
        .await
        .expect("an answer")
}

/// Every entry that was acknowledged is there, in order and once.
async fn check(store: &Scylla, last: &[u64]) {
    for (n, last) in (0..).zip(last) {
        let (name, mut found, mut after) = (bare(&owner(n)), Vec::new(), Position::START);
        loop {
            let query = Query::after(after, 1_000);
            let page = patiently(|| store.archive_page(&name, &query)).await;
            let Some(end) = page.last() else { break };
            after = end.position;
            found.extend(page.iter().map(|entry| entry.position.seq));
        }
        assert!(
            found.len() as u64 >= *last,
            "{name}: {} of {last}",
            found.len()
        );
        assert!(
            found.iter().copied().eq(1..=found.len() as u64),
            "{name}: {found:?}"
        );
    }
}

/// Promise 1: a power cut of the whole database loses nothing acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_of_the_database() {
    let Some(mut cluster) = cluster(1) else {
        return;
    };
    let config = config(&cluster, 1);
    let store = connect(&config).await;
    assert_eq!(
        store.create_account(account(&owner(0))).await.unwrap(),
        Creation::Created
    );
    store.fence("node-1", "a test").await.unwrap();
    let mut writers = Writers::start(&store);
    writers.more(500).await;
    cluster.kill(0).unwrap();
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.start_node(0).unwrap();
        cluster
    });
    let _cluster = cluster.await.unwrap();
    // The same store goes on by itself.
    writers.more(200).await;
    let last = writers.end().await;
    check(&store, &last).await;
    let fresh = connect(&config).await;
    check(&fresh, &last).await;
    assert!(fresh.is_fenced("node-1").await.unwrap());
    assert!(fresh.login(&bare(&owner(0))).await.unwrap().is_some());
}

/// A quorum is enough, for writes, reads and lightweight transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_nodes_is_not_missed() {
    let Some(mut cluster) = cluster(3) else {
        return;
    };
    let config = config(&cluster, 3);
    let store = connect(&config).await;
    let mut writers = Writers::start(&store);
    writers.more(200).await;
    cluster.kill(1).unwrap();
    writers.more(200).await;
    let first = bare(&owner(0));
    // Until the others have noticed, some answers come late.
    patiently(|| store.create_account(account(&owner(0)))).await;
    patiently(|| store.fence("node-1", "a test")).await;
    assert!(patiently(|| store.is_fenced("node-1")).await);
    assert!(patiently(|| store.account(&first)).await.is_some());
    // Back again, and another one gone: the majority is a different one, and
    // what only the old one had is still a majority's.
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.start_node(1).unwrap();
        cluster
    });
    let mut cluster = cluster.await.unwrap();
    writers.more(100).await;
    cluster.kill(2).unwrap();
    writers.more(100).await;
    let last = writers.end().await;
    check(&store, &last).await;
    assert!(patiently(|| store.is_fenced("node-1")).await);
}

/// DESIGN: a timeout does not mean "not written": the same again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_database_is_waited_for() {
    let Some(cluster) = cluster(1) else { return };
    let config = Config {
        request_attempts: 100,
        ..config(&cluster, 1)
    };
    let store = connect(&config).await;
    store.commit(append(0, 1)).await.unwrap();
    cluster.signal(0, "STOP").unwrap();
    let before = store.repeated();
    let commit = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(append(0, 2)).await }
    });
    let repeated = async {
        while store.repeated() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, repeated)
        .await
        .expect("a repetition");
    assert!(!commit.is_finished(), "nothing is acknowledged meanwhile");
    cluster.signal(0, "CONT").unwrap();
    tokio::time::timeout(DEADLINE, commit)
        .await
        .expect("a commit")
        .unwrap()
        .unwrap();
    check(&store, &[2]).await;
}

/// No false acknowledgement, and a clear answer to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_acknowledged() {
    let Some(mut cluster) = cluster(1) else {
        return;
    };
    let config = Config {
        request_timeout: Duration::from_millis(500),
        ..config(&cluster, 1)
    };
    let store = connect(&config).await;
    store.commit(append(0, 1)).await.unwrap();
    cluster.kill(0).unwrap();
    let error = store.commit(append(0, 2)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = store.is_fenced("node-1").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}
