//! What the store tells an operator about itself.

use std::time::Instant;

use metrics::{Counter, Histogram, Unit};
use starling_store::Error;

const STATEMENT: &str = "starling_store_scylla_statement_seconds";
const COMMIT: &str = "starling_store_scylla_commit_seconds";
const PARTITIONS: &str = "starling_store_scylla_commit_partitions";
const REPEATED: &str = "starling_store_scylla_repeated_statements_total";
const ABANDONED: &str = "starling_store_scylla_abandoned_statements_total";
const REFUSED: &str = "starling_store_scylla_refused_statements_total";

/// Tells the exporter what the names mean.
pub fn describe() {
    metrics::describe_histogram!(
        STATEMENT,
        Unit::Seconds,
        "Time until the database answered a statement. Grows when its nodes are busy, their disks slow, or one is down."
    );
    metrics::describe_histogram!(
        COMMIT,
        Unit::Seconds,
        "Time to make a batch durable on a majority. This is the delay of an acknowledgement: look at the statements when it is too long."
    );
    metrics::describe_histogram!(
        PARTITIONS,
        Unit::Count,
        "Partitions that one batch wrote to. Grows with load, because busy cycles gather more accounts."
    );
    metrics::describe_counter!(
        REPEATED,
        "Statements issued again after a timeout or a failure. Rising: a node of the database is down or slow; nothing is lost."
    );
    metrics::describe_counter!(
        ABANDONED,
        "Statements given up after every attempt. Rising: no majority answers, senders wait; look at the database at once."
    );
    metrics::describe_counter!(
        REFUSED,
        "Statements the database refused: full disks, missing rights, values too large. Above zero: the log says which."
    );
}

/// Handles of this crate's metrics.
pub(crate) struct Metrics {
    answered: Histogram,
    commit: Histogram,
    partitions: Histogram,
    repeated: Counter,
    abandoned: Counter,
    refused: Counter,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Registers the metrics with the recorder installed by then.
    pub(crate) fn new() -> Self {
        Metrics {
            answered: metrics::histogram!(STATEMENT),
            commit: metrics::histogram!(COMMIT),
            partitions: metrics::histogram!(PARTITIONS),
            repeated: metrics::counter!(REPEATED),
            abandoned: metrics::counter!(ABANDONED),
            refused: metrics::counter!(REFUSED),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "only measured, nothing depends on it"
    )]
    pub(crate) fn begin(&self) -> Instant {
        Instant::now()
    }

    pub(crate) fn answered(&self, began: Instant) {
        self.answered.record(began.elapsed());
    }

    pub(crate) fn committed(&self, began: Instant, partitions: usize) {
        self.commit.record(began.elapsed());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch is bounded far below 2^52"
        )]
        self.partitions.record(partitions as f64);
    }

    pub(crate) fn repeated(&self) {
        self.repeated.increment(1);
    }

    pub(crate) fn failed(&self, error: &Error) {
        match error {
            Error::Unavailable { .. } => self.abandoned.increment(1),
            _ => self.refused.increment(1),
        }
    }
}
