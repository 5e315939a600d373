//! What the store tells an operator about itself.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

const COMMITS: &str = "starling_store_embedded_durable_commits_total";
const REFUSED: &str = "starling_store_embedded_refused_commits_total";
const BATCH: &str = "starling_store_embedded_batch_commits";
const SYNC: &str = "starling_store_embedded_sync_seconds";
const SETTLE: &str = "starling_store_embedded_settle_seconds";
const FREE: &str = "starling_store_embedded_free_bytes";

/// Tells the exporter what the names mean.
pub fn describe() {
    metrics::describe_counter!(
        COMMITS,
        "Commits made durable. Falls to zero when nobody writes or the disk hangs."
    );
    metrics::describe_counter!(
        REFUSED,
        "Commits refused for lack of disk space. Above zero: free space or enlarge the disk."
    );
    metrics::describe_histogram!(
        BATCH,
        Unit::Count,
        "Commits that shared one sync. Grows with load; at its bound the disk is too slow."
    );
    metrics::describe_histogram!(
        SYNC,
        Unit::Seconds,
        "Time to sync a batch. This is the delay of an acknowledgement: use a faster disk when it is too long."
    );
    metrics::describe_histogram!(
        SETTLE,
        Unit::Seconds,
        "Time to put a part of the journal into the tables, with rests for other work, which are left out once the next part is full. Longer than it takes to fill twice the next part: senders wait; use a faster disk or raise store.embedded.journal_bytes."
    );
    metrics::describe_gauge!(
        FREE,
        Unit::Bytes,
        "Free space on the disk of the data folder, at the last write or check. Below store.embedded.free_bytes_min nothing is stored and senders wait: alert well above it."
    );
}

/// Somebody has looked at the disk.
pub(crate) fn looked(bytes: Option<u64>) {
    set(&metrics::gauge!(FREE), bytes);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a disk beyond 2^52 bytes is not short of them"
)]
fn set(free: &Gauge, bytes: Option<u64>) {
    if let Some(bytes) = bytes {
        free.set(bytes as f64);
    }
}

/// Handles of this crate's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    commits: Counter,
    refused: Counter,
    batch: Histogram,
    sync: Histogram,
    settle: Histogram,
    free: Gauge,
}

impl Metrics {
    /// Registers the metrics with the recorder installed by then.
    pub(crate) fn new() -> Self {
        Metrics {
            commits: metrics::counter!(COMMITS),
            refused: metrics::counter!(REFUSED),
            batch: metrics::histogram!(BATCH),
            sync: metrics::histogram!(SYNC),
            settle: metrics::histogram!(SETTLE),
            free: metrics::gauge!(FREE),
        }
    }

    pub(crate) fn free(&self, bytes: Option<u64>) {
        set(&self.free, bytes);
    }

    pub(crate) fn synced(&self, commits: usize, took: Duration) {
        self.commits.increment(commits as u64);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch is bounded far below 2^52"
        )]
        self.batch.record(commits as f64);
        self.sync.record(took);
    }

    pub(crate) fn settled(&self, took: Duration) {
        self.settle.record(took);
    }

    pub(crate) fn refused(&self) {
        self.refused.increment(1);
    }
}
