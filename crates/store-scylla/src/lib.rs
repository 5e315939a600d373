//! The durable backend on ScyllaDB and Apache Cassandra.
//!
//! * A commit is acknowledged when a majority of the replicas of every
//!   partition it touches has it, and each of them has synced it if the database
//!   runs with `commitlog_sync: batch` (`check` looks).
//! * Nothing is read before it is written, and every statement may be issued
//!   again: rows carry the owner's stamp as their timestamp (`stamp`), so neither
//!   repetition nor a late owner does harm.
//! * An owner's small rows share one partition, which is written by one batch
//!   and read by one query (`state`). Its log is cut into buckets (`log`).
//! * Lightweight transactions are for what must happen once: creating and
//!   removing accounts, first values of meta, the lock of a migration.
//! * The tables are in `schema`, and how they come to be in `migrate`.
//!
//! This crate alone speaks CQL. What the rows' values mean is
//! [`starling_store::record`].

mod account;
mod check;
mod client;
mod commit;
pub mod config;
mod connect;
mod error;
mod fence;
mod log;
mod login;
mod meta;
mod metrics;
mod migrate;
mod outbox;
mod pep;
mod schema;
mod stamp;
mod state;
mod statements;
mod store;
mod tls;
mod value;
mod why;

pub use check::Finding;
pub use config::Config;
pub use error::ConnectError;
pub use metrics::describe as describe_metrics;

use client::Client;
use log::open::OpenLogs;

/// A store in a CQL database.
#[derive(Debug)]
pub struct Scylla {
    client: Client,
    open: OpenLogs,
    findings: Vec<Finding>,
}

impl Scylla {
    /// Connects, brings the schema up to date, and looks whether the database
    /// keeps what this server promises. What it does not is logged, and told by
    /// [`Scylla::findings`].
    ///
    /// # Errors
    /// One of [`ConnectError`], each with what to do about it.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        let session = connect::session(config).await?;
        migrate::run(&session, config).await?;
        connect::refresh(&session, config).await?;
        let findings = check::run(&session, config).await;
        for finding in &findings {
            finding.log();
        }
        let client = Client::new(session, config).await?;
        Ok(Scylla {
            client,
            open: OpenLogs::default(),
            findings,
        })
    }

    /// What was found about the guarantee at the start: what is weaker than it
    /// should be, and what could not be looked at.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many statements had to be issued again since the start.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.client.repeated()
    }
}
