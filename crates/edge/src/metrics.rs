//! What the edge counts, each with a sentence an operator can act on.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const CONNECTIONS: &str = "starling_edge_open_connections";
const CONNECTIONS_TOTAL: &str = "starling_edge_accepted_connections_total";
const REFUSED_TOTAL: &str = "starling_edge_refused_connections_total";
const HANDSHAKE_FAILURES_TOTAL: &str = "starling_edge_tls_failures_total";
const AUTHENTICATIONS_TOTAL: &str = "starling_edge_authentications_total";
const ENDINGS_TOTAL: &str = "starling_edge_ended_streams_total";
const STANZAS_IN_TOTAL: &str = "starling_edge_received_stanzas_total";
const DELIVERY_SECONDS: &str = "starling_edge_delivery_seconds";
const LOGIN_SECONDS: &str = "starling_edge_login_seconds";
const THROTTLED_TOTAL: &str = "starling_edge_throttled_reads_total";

const MOVED_SECONDS: &str = "starling_edge_moved_sessions_seconds";
const LEFT_BEHIND_TOTAL: &str = "starling_edge_left_behind_sessions_total";

/// Tells the exporter what the names mean.
pub fn describe() {
    describe_gauge!(
        CONNECTIONS,
        Unit::Count,
        "Open client connections. Compare with limits.connections_max and the file descriptors."
    );
    describe_counter!(
        CONNECTIONS_TOTAL,
        "Connections accepted. A steep rise without more sessions means clients reconnect in a loop."
    );
    describe_counter!(
        REFUSED_TOTAL,
        "Connections closed at once, by the limit that was reached. Raise it, or block the address."
    );
    describe_counter!(
        HANDSHAKE_FAILURES_TOTAL,
        "TLS handshakes that failed. A rise after a reload points at the certificate."
    );
    describe_counter!(
        AUTHENTICATIONS_TOTAL,
        "Authentications by mechanism and outcome. Many not-authorized mean guessing; \
         temporary-auth-failure means a lock or a store that does not answer."
    );
    describe_counter!(
        ENDINGS_TOTAL,
        "Streams ended, by reason. Many of resource-constraint or stalled mean slow clients."
    );
    describe_counter!(
        STANZAS_IN_TOTAL,
        "Stanzas received from clients. Against those that the engine routes, it tells what is asked of the server itself."
    );
    describe_histogram!(
        DELIVERY_SECONDS,
        Unit::Seconds,
        "Time from reading a stanza from its client until it is written to its recipient's connection, of one stanza in 64. What users feel: if it grows while commits are fast, look for busy cores or slow readers."
    );
    describe_histogram!(
        LOGIN_SECONDS,
        Unit::Seconds,
        "Time from accepting a connection until its session is bound, with every round trip to the client. If it grows for everybody, the cores are busy with TLS and passwords, or the store is slow to read."
    );
    describe_counter!(
        THROTTLED_TOTAL,
        "Times a client sent faster than limits.stanzas_per_second and was read more slowly."
    );
    describe_histogram!(
        MOVED_SECONDS,
        Unit::Seconds,
        "Time from learning that a session's node is another until the session was there, its client still connected. What a client waits is this and what the cluster took to name the node."
    );
    describe_counter!(
        LEFT_BEHIND_TOTAL,
        "Clients closed because their session could not be brought to its account's new node. They come back by themselves; many of them after one failure mean that an edge was slow."
    );
}

pub(crate) fn opened() {
    gauge!(CONNECTIONS).increment(1.0);
    counter!(CONNECTIONS_TOTAL).increment(1);
}

pub(crate) fn closed() {
    gauge!(CONNECTIONS).decrement(1.0);
}

pub(crate) fn refused(limit: &'static str) {
    counter!(REFUSED_TOTAL, "limit" => limit).increment(1);
}

pub(crate) fn handshake_failed() {
    counter!(HANDSHAKE_FAILURES_TOTAL).increment(1);
}

pub(crate) fn authenticated(mechanism: &'static str, outcome: &'static str) {
    counter!(AUTHENTICATIONS_TOTAL, "mechanism" => mechanism, "outcome" => outcome).increment(1);
}

pub(crate) fn ended(reason: &'static str) {
    counter!(ENDINGS_TOTAL, "reason" => reason).increment(1);
}

pub(crate) fn stanzas_received(count: u64) {
    // Looked up once: this is the one that counts with the stanzas.
    static RECEIVED: LazyLock<Counter> = LazyLock::new(|| counter!(STANZAS_IN_TOTAL));
    RECEIVED.increment(count);
}

/// Between two nodes as exact as their clocks.
pub(crate) fn delivered(received_at: SystemTime) {
    let took = received_at.elapsed().unwrap_or_default();
    histogram!(DELIVERY_SECONDS).record(took);
}

pub(crate) fn logged_in(took: Duration) {
    histogram!(LOGIN_SECONDS).record(took);
}

pub(crate) fn throttled() {
    counter!(THROTTLED_TOTAL).increment(1);
}

/// A session is at another node, its client still connected.
pub(crate) fn moved(took: Duration) {
    histogram!(MOVED_SECONDS).record(took);
}

/// A session could not be brought to another node.
pub(crate) fn left_behind() {
    counter!(LEFT_BEHIND_TOTAL).increment(1);
}
