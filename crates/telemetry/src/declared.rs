//! The metrics that code declares: names, units and sentences, without a value.
//!
//! For `docs/metrics.md` and for the tests of names. Values are the recorder's.

use std::sync::{Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets.
    Histogram,
}

impl Kind {
    /// Its word in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One declared metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// How it behaves.
    pub kind: Kind,
    /// What an operator makes of it.
    pub description: String,
}

/// What `describe` declares, in its order.
pub fn declared(describe: impl FnOnce()) -> Vec<Declaration> {
    let listener = Listener::default();
    with_local_recorder(&listener, describe);
    listener
        .0
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// A recorder that only listens to declarations.
#[derive(Default)]
struct Listener(Mutex<Vec<Declaration>>);

impl Listener {
    fn add(&self, name: &KeyName, kind: Kind, description: &SharedString) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Declaration {
            name: name.as_str().to_owned(),
            kind,
            description: description.to_string(),
        });
    }
}

impl Recorder for Listener {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.add(&name, Kind::Counter, &description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.add(&name, Kind::Gauge, &description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.add(&name, Kind::Histogram, &description);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_heard_in_their_order() {
        let all = declared(|| {
            metrics::describe_counter!("b_total", Unit::Count, "Grows.");
            metrics::describe_gauge!("a_bytes", "Goes up and down.");
        });
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.name.as_str(), one.kind))
            .collect();
        assert_eq!(told, [("b_total", Kind::Counter), ("a_bytes", Kind::Gauge)]);
        assert_eq!(all[0].description, "Grows.");
    }
}
