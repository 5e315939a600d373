//! What the store tells an operator about itself.

use std::time::Duration;

use metrics::{Counter, Histogram, Unit};

/// Handles of this crate's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    commits: Counter,
    refused: Counter,
    batch: Histogram,
    sync: Histogram,
}

impl Metrics {
    /// Describes and registers the metrics with the recorder installed by then.
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(
            "starling_store_embedded_commits_total",
            "Commits made durable. Falls to zero when nobody writes or the disk hangs."
        );
        metrics::describe_counter!(
            "starling_store_embedded_refused_total",
            "Commits refused for lack of disk space. Above zero: free space or enlarge the disk."
        );
        metrics::describe_histogram!(
            "starling_store_embedded_batch_commits",
            Unit::Count,
            "Commits that shared one sync. Grows with load; at its bound the disk is too slow."
        );
        metrics::describe_histogram!(
            "starling_store_embedded_sync_seconds",
            Unit::Seconds,
            "Time to sync a batch. This is the delay of an acknowledgement: use a faster disk when it is too long."
        );
        Metrics {
            commits: metrics::counter!("starling_store_embedded_commits_total"),
            refused: metrics::counter!("starling_store_embedded_refused_total"),
            batch: metrics::histogram!("starling_store_embedded_batch_commits"),
            sync: metrics::histogram!("starling_store_embedded_sync_seconds"),
        }
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

    pub(crate) fn refused(&self) {
        self.refused.increment(1);
    }
}
