//! What clusters stand on: one etcd and one node of Apache Cassandra, which
//! syncs every commit. Each cluster has a name and a keyspace of its own there.

use anyhow::{Context as _, Result};
use starling_testkit::cassandra;
use starling_testkit::etcd::Etcd;

use crate::report::Role;
use crate::run::Part;

/// Both; gone when it is dropped.
pub(super) struct Beneath {
    etcd: Etcd,
    database: cassandra::Cluster,
}

impl Beneath {
    /// Starts both.
    pub(super) async fn start() -> Result<Self> {
        let database = tokio::task::spawn_blocking(|| cassandra::Cluster::start(1));
        let database = database.await?.context("there is no database")?;
        let etcd = Etcd::start(1).await;
        Ok(Self { etcd, database })
    }

    /// Where etcd is, as TOML has a list.
    pub(super) fn endpoints(&self) -> String {
        format!("{:?}", self.etcd.endpoints())
    }

    /// Where the database is, as TOML has a list.
    pub(super) fn contact_points(&self) -> String {
        format!("{:?}", self.database.contact_points())
    }

    /// Their processes.
    pub(super) fn parts(&self) -> Vec<Part> {
        let part = |name: &str, pids| Part {
            name: name.to_owned(),
            role: Role::Beneath,
            pids,
            metrics: Vec::new(),
        };
        vec![
            part("etcd", self.etcd.pids()),
            part("database", self.database.pids()),
        ]
    }
}
