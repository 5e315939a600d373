//! What the engine counts. Each has a sentence an operator can act on.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use starling_xmpp::stanza::Kind;
use tokio::time::Instant;

const ROUTED: &str = "starling_session_routed_stanzas_total";
const DELIVERED: &str = "starling_session_delivered_stanzas_total";
const UNDELIVERED: &str = "starling_session_undelivered_stanzas_total";
const OVERLOADED: &str = "starling_session_overloaded_stanzas_total";
const UNSTORABLE: &str = "starling_session_unstorable_stanzas_total";
const LOST: &str = "starling_session_lost_accounts_total";
const OUTBOX_STANZAS: &str = "starling_session_outbox_stanzas";
const OUTBOX_AGE: &str = "starling_session_outbox_oldest_seconds";
const OUTBOX_REFUSED: &str = "starling_session_outbox_refused_stanzas_total";
const COMMIT_WRITES: &str = "starling_session_commit_writes";
const COMMIT_SECONDS: &str = "starling_session_commit_seconds";
const COMMIT_RETRIES: &str = "starling_session_commit_retries_total";

const REPEATED: &str = "starling_session_repeated_messages_total";
const LOST_STREAMS: &str = "starling_session_lost_streams_total";
const REATTACHED: &str = "starling_session_reattached_sessions_total";
const GATHERING_SECONDS: &str = "starling_session_gathering_seconds";

/// Registers the descriptions with the recorder that is installed.
pub fn describe() {
    describe_counter!(
        ROUTED,
        Unit::Count,
        "Stanzas sent on to an account of this service, by kind."
    );
    describe_counter!(
        DELIVERED,
        Unit::Count,
        "Stanzas handed to clients, by kind."
    );
    describe_counter!(
        UNDELIVERED,
        Unit::Count,
        "Sessions ended because more waited for their client than is kept. If it grows, clients are slow or a queue is small."
    );
    describe_counter!(
        OVERLOADED,
        Unit::Count,
        "Stanzas refused because too many waited for one account: someone floods it, or the store is slow to read."
    );
    describe_counter!(
        UNSTORABLE,
        Unit::Count,
        "Stanzas refused because nothing could be stored for longer than session.store_patience. Their senders were told to try again: look at the store."
    );
    describe_counter!(
        LOST,
        Unit::Count,
        "Accounts whose handler panicked: their clients were disconnected and come back. Each is a bug; the log has its place."
    );
    describe_gauge!(
        OUTBOX_STANZAS,
        Unit::Count,
        "Stanzas that were acknowledged to their senders and wait in the store for recipients out of reach, by worker. Anything that stays means shards without a reachable owner: look at the session nodes and at the way between them."
    );
    describe_gauge!(
        OUTBOX_AGE,
        Unit::Seconds,
        "Age of the oldest of them, by worker. More than a failover takes means that a shard has been without an owner for so long."
    );
    describe_counter!(
        OUTBOX_REFUSED,
        Unit::Count,
        "Stanzas refused because too many wait for recipients out of reach. Their senders were told to try again."
    );
    describe_counter!(
        REPEATED,
        Unit::Count,
        "Messages that came to an account once more and were dropped, by where they were found: its memory, or its log. Some are usual after a node or a connection was lost; if they go on without, nodes lose each other's answers: look at the network between them and at the store."
    );
    describe_histogram!(
        COMMIT_WRITES,
        Unit::Count,
        "Writes made durable together. Large batches mean a busy node or a slow store."
    );
    describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "Time from handing a batch to the store until it was durable, with everything that was tried again. Senders wait that long for their acknowledgement: if it grows, look at the store."
    );
    describe_counter!(
        COMMIT_RETRIES,
        Unit::Count,
        "Batches that the store did not take at once. Anything but zero means that senders wait: look at the store."
    );
    describe_moves();
}

/// Of sessions that change their streams, or their nodes.
fn describe_moves() {
    describe_counter!(
        LOST_STREAMS,
        Unit::Count,
        "Streams that broke, of sessions that now wait for their clients and whose counts are stored. Many at once: an edge or a network failed."
    );
    describe_counter!(
        REATTACHED,
        Unit::Count,
        "Sessions that edges brought to a new owner of their account, by result. Those refused were closed and come back by themselves; many of them mean that edges are slow to notice, or run another version."
    );
    describe_histogram!(
        GATHERING_SECONDS,
        Unit::Seconds,
        "Time from taking a shard until every edge had brought its sessions and the shard was served. Clients wait that long: if it comes near session.reattach_timeout, an edge is listed that does not answer."
    );
}

/// One counter for each kind of stanza. These count with the stanzas, so they
/// are looked up once and kept.
struct ByKind {
    message: Counter,
    presence: Counter,
    iq: Counter,
}

impl ByKind {
    fn new(name: &'static str) -> Self {
        Self {
            message: counter!(name, "kind" => "message"),
            presence: counter!(name, "kind" => "presence"),
            iq: counter!(name, "kind" => "iq"),
        }
    }

    fn count(&self, kind: Kind) {
        match kind {
            Kind::Message => self.message.increment(1),
            Kind::Presence => self.presence.increment(1),
            Kind::Iq => self.iq.increment(1),
        }
    }
}

pub(crate) fn routed(kind: Kind) {
    static ALL: LazyLock<ByKind> = LazyLock::new(|| ByKind::new(ROUTED));
    ALL.count(kind);
}

pub(crate) fn delivered(kind: Kind) {
    static ALL: LazyLock<ByKind> = LazyLock::new(|| ByKind::new(DELIVERED));
    ALL.count(kind);
}

pub(crate) fn undelivered() {
    counter!(UNDELIVERED).increment(1);
}

pub(crate) fn account_overloaded() {
    counter!(OVERLOADED).increment(1);
}

pub(crate) fn unstorable() {
    counter!(UNSTORABLE).increment(1);
}

pub(crate) fn account_lost() {
    counter!(LOST).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "batches are far below 2^52")]
pub(crate) fn commit_started(writes: usize) -> Instant {
    histogram!(COMMIT_WRITES).record(writes as f64);
    Instant::now()
}

pub(crate) fn commit_ended(started: Instant) {
    histogram!(COMMIT_SECONDS).record(started.elapsed());
}

pub(crate) fn commit_retried() {
    counter!(COMMIT_RETRIES).increment(1);
}

pub(crate) fn outbox_refused() {
    counter!(OUTBOX_REFUSED).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "bounded far below 2^52")]
pub(crate) fn outbox(worker: usize, stanzas: usize, oldest: Duration) {
    let worker = worker.to_string();
    gauge!(OUTBOX_STANZAS, "worker" => worker.clone()).set(stanzas as f64);
    gauge!(OUTBOX_AGE, "worker" => worker).set(oldest.as_secs_f64());
}

/// A message came once more, and was found here.
pub(crate) fn repeated(found: &'static str) {
    counter!(REPEATED, "found" => found).increment(1);
}

/// A session lost its stream and waits for its client.
pub(crate) fn stream_lost() {
    counter!(LOST_STREAMS).increment(1);
}

/// An edge has brought a session, and it was taken, or not.
pub(crate) fn reattached(is_taken: bool) {
    let result = if is_taken { "taken" } else { "refused" };
    counter!(REATTACHED, "result" => result).increment(1);
}

/// A shard is served, so long after it was taken.
pub(crate) fn gathered(after: std::time::Duration) {
    histogram!(GATHERING_SECONDS).record(after.as_secs_f64());
}
