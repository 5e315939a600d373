//! Every metric of a node: what the crates declare, gathered, and
//! `docs/metrics.md` out of it. What is counted is each crate's own
//! `metrics.rs`.

use std::fmt::Write as _;

use starling_telemetry::declared::{Declaration, declared};

/// The crates that declare metrics, and how: one line for each.
const DECLARING: &[fn()] = &[
    starling_cluster_etcd::describe_metrics,
    starling_edge::metrics::describe,
    starling_features::describe_metrics,
    starling_session::describe_metrics,
    starling_store_embedded::describe_metrics,
    starling_store_scylla::describe_metrics,
    starling_telemetry::traces::describe,
    starling_wire::metrics::describe,
];

/// Tells the recorder that is installed what the names mean.
pub fn describe() {
    for describe in DECLARING {
        describe();
    }
}

/// Every metric, by name; those of the process last.
#[must_use]
pub fn declarations() -> Vec<Declaration> {
    let mut all = declared(describe);
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all.extend(starling_telemetry::process::declarations());
    all
}

/// The text of `docs/metrics.md`.
#[must_use]
pub fn metrics_markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         What `/metrics` tells, written out of the code's declarations; do not edit it.\n\
         After a change: `STARLING_WRITE_DOCS=1 cargo test -p starling-server --lib metrics`.\n\
         How to turn it on is in [operating.md](operating.md).\n\n\
         | metric | kind | what it tells |\n\
         | --- | --- | --- |\n",
    );
    for one in declarations() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            one.name,
            one.kind.name(),
            one.description
        );
    }
    text
}

#[cfg(test)]
mod tests;
