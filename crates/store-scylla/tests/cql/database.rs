//! The database of this run, and a fresh keyspace for each test.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use starling_store::{Memory, Store};
use starling_store_scylla::{Config, Scylla};
use starling_testkit::cassandra::{Cluster, SKIP, VARIABLE, Wanted, wanted};

/// Where the database is; starts it the first time. It ends with this process.
fn contact_points() -> Option<Vec<String>> {
    static DATABASE: OnceLock<Option<Vec<String>>> = OnceLock::new();
    let start = || match wanted() {
        Wanted::Running(points) => Some(points),
        Wanted::Skip => None,
        Wanted::Own => {
            let cluster = Cluster::start_throwaway().unwrap_or_else(|error| panic!("{error}"));
            let points = cluster.contact_points();
            // Whoever drops it stops it, and this process may need it until its
            // end, which is also the database's.
            std::mem::forget(cluster);
            Some(points)
        }
    };
    DATABASE.get_or_init(start).clone()
}

/// Settings for a keyspace that nobody has used yet; none if there is no
/// database and there shall be none.
pub(crate) fn config() -> Option<Config> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let Some(contact_points) = contact_points() else {
        eprintln!("LEFT OUT, because {VARIABLE}={SKIP}");
        return None;
    };
    let n = TAKEN.fetch_add(1, Ordering::Relaxed);
    Some(Config {
        contact_points,
        keyspace: format!("test_{}_{n}", std::process::id()),
        replication: BTreeMap::from([("datacenter1".to_owned(), 1)]),
        // Many keyspaces are made at once here, on few cores.
        request_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
        ..Config::default()
    })
}

/// A fresh store.
pub(crate) enum Fresh {
    Scylla(Box<Scylla>),
    /// So that tests that are left out pass.
    Memory(Memory),
}

impl Deref for Fresh {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match self {
            Fresh::Scylla(store) => &**store,
            Fresh::Memory(store) => store,
        }
    }
}

/// A store in a keyspace of its own.
pub(crate) async fn fresh() -> Fresh {
    match config() {
        Some(config) => Fresh::Scylla(Box::new(connect(&config).await)),
        None => Fresh::Memory(Memory::new()),
    }
}

pub(crate) async fn connect(config: &Config) -> Scylla {
    // Creating tables is what a database does slowest: one keyspace at a time.
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    Scylla::connect(config)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}
