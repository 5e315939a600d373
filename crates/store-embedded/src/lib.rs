//! The embedded store: tables in one file, through redb, and a journal in front
//! of them, with one writer and group commit.
//!
//! * A commit is acknowledged after the sync that covers it, never before
//!   (`writer`): it is then in the journal (`journal`).
//! * What is in the journal lies over the tables in memory (`layers`, `view`)
//!   until a thread of its own has written it into them (`settle`).
//! * Entries in the tables have pointers, by which the conversation with one
//!   address is found (`pointer`).
//! * A failed write or sync stops the store for good (`fault`); a full disk
//!   does not get that far (`space`).
//! * Reads see the last durable state and never wait for the writer
//!   (`snapshot`).
//! * How the writer is doing is told without asking it (`pulse`).
//! * What the bytes mean is written down in [`starling_store::record`], `key` and `table`.

mod apply;
mod backup;
pub mod config;
pub mod error;
mod fault;
mod journal;
mod key;
mod layers;
mod metrics;
mod open;
mod pointer;
mod pulse;
mod schema;
mod settle;
mod size;
mod snapshot;
mod space;
mod store;
mod table;
mod view;
mod writer;

#[cfg(test)]
mod faults;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use redb::Database;
use starling_store::{Error, codec, record};
use tokio::sync::{Mutex, mpsc};

pub use config::Config;
pub use error::OpenError;
pub use metrics::describe as describe_metrics;

use fault::Health;
use layers::Layers;
use open::Opened;
use pulse::Pulse;
use settle::{Ground, Settler};
use space::Space;
use writer::{Job, QUEUE_COMMITS_MAX, Writer};

/// Name of the data file in its folder.
pub const FILE_NAME: &str = "starling.redb";

/// How the names of the journal's two segments begin, beside the data file.
pub const JOURNAL_NAME: &str = "starling.journal";

/// A store in one folder.
///
/// Dropping it waits for what is queued, puts it into the tables, and closes
/// the files: the journal is empty then.
pub struct Embedded {
    database: Arc<Database>,
    layers: Arc<Layers>,
    health: Arc<Health>,
    pulse: Arc<Pulse>,
    space: Arc<Space>,
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Held while a backup is written.
    backups: Arc<Mutex<()>>,
    path: PathBuf,
}

impl Embedded {
    /// Opens the store in `folder`, which must exist, and creates it if there
    /// is none. Reads the whole file when the last end was unclean.
    ///
    /// # Errors
    /// One of [`OpenError`], each with what to do about it.
    pub fn open(folder: &Path, config: &Config) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        let opened = open::store(folder, config.cache_bytes)?;
        let space = Space::new(space::of_disk(folder), config.free_bytes_min);
        Self::start(opened, space, config, path.clone())
            .map_err(|source| OpenError::Io { path, source })
    }

    fn start(
        opened: Opened,
        space: Space,
        config: &Config,
        path: PathBuf,
    ) -> std::io::Result<Self> {
        let Opened {
            database,
            journal,
            id,
        } = opened;
        let (database, health) = (Arc::new(database), Arc::new(Health::new()));
        let (layers, metrics) = (Arc::new(Layers::default()), metrics::Metrics::new());
        let (pulse, space) = (Arc::new(Pulse::default()), Arc::new(space));
        let (sender, jobs) = mpsc::channel(QUEUE_COMMITS_MAX);
        let settler = Settler::start(Ground {
            database: Arc::clone(&database),
            layers: Arc::clone(&layers),
            health: Arc::clone(&health),
            metrics: metrics.clone(),
            id,
            is_recovery_instant: config.is_recovery_instant,
        })?;
        let writer = Writer {
            database: Arc::clone(&database),
            layers: Arc::clone(&layers),
            journal,
            id,
            journal_bytes: config.journal_bytes as u64,
            settler,
            jobs,
            health: Arc::clone(&health),
            metrics,
            pulse: Arc::clone(&pulse),
            space: Arc::clone(&space),
            gathered: 0,
        };
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let writer = thread.spawn(move || writer.run())?;
        Ok(Embedded {
            database,
            layers,
            health,
            pulse,
            space,
            jobs: Some(sender),
            writer: Some(writer),
            backups: Arc::default(),
            path,
        })
    }

    /// Where the data file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the store has stopped for good; never returns while it
    /// works. The process should exit with the error's message.
    pub async fn failed(&self) -> Error {
        self.health.failed().await
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Embedded")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // The writer catches panics and reports them to those concerned.
            let _ = writer.join();
        }
    }
}
