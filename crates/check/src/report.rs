//! What a run showed, for people and for scripts.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::Event;
use crate::life::grace;
use crate::pause::{Kind, pauses};
use crate::verdict::{Promise, Verdict, judge};

/// Violations of each promise that are shown with their history.
const VIOLATIONS_SHOWN: usize = 2;
/// Events shown of each.
const EVENTS_SHOWN: usize = 24;

/// What a run showed.
pub struct Report {
    /// The server.
    pub target: String,
    /// The seed of the script.
    pub seed: u64,
    /// How long the run took.
    pub took: Duration,
    /// What its history proves.
    pub verdict: Verdict,
    pauses: Vec<(&'static str, Kind)>,
    stories: Vec<String>,
}

impl Report {
    /// Judges a history.
    #[must_use]
    pub fn of(target: &str, seed: u64, history: &[Event]) -> Self {
        let verdict = judge(history, grace());
        let stories = PROMISES.iter().flat_map(|(promise, _)| {
            let all = verdict.violations.iter();
            all.filter(|violation| violation.promise == *promise)
                .take(VIOLATIONS_SHOWN)
        });
        let stories = stories.map(|violation| {
            let events = violation.story(history, EVENTS_SHOWN);
            let lines = events.iter().map(|event| format!("\n      {event}"));
            format!("{violation}{}", lines.collect::<String>())
        });
        Self {
            target: target.to_owned(),
            seed,
            took: Duration::from_micros(history.last().map_or(0, |event| event.at)),
            stories: stories.collect(),
            pauses: pauses(history).into_iter().collect(),
            verdict,
        }
    }

    /// How often a promise was broken.
    #[must_use]
    pub fn broken(&self, promise: Promise) -> usize {
        let all = self.verdict.violations.iter();
        all.filter(|violation| violation.promise == promise).count()
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let verdict = &self.verdict;
        let broken = PROMISES.map(|(promise, name)| (name.to_owned(), self.broken(promise).into()));
        let pauses = self.pauses.iter().map(|(name, kind)| {
            json!({
                "fault": name,
                "count": kind.everybody.count(),
                "endless": kind.everybody.endless,
                "p50_us": kind.everybody.quantile(500),
                "p99_us": kind.everybody.quantile(990),
                "max_us": kind.everybody.quantile(1_000),
                "clients": kind.each.count(),
                "client_p50_us": kind.each.quantile(500),
                "client_p99_us": kind.each.quantile(990),
                "client_max_us": kind.each.quantile(1_000),
            })
        });
        json!({
            "target": self.target,
            "seed": self.seed,
            "seconds": self.took.as_secs_f64(),
            "sent": verdict.sent,
            "acknowledged": verdict.acknowledged,
            "received": verdict.received,
            "refused": verdict.refused,
            "undecided": verdict.undecided,
            "repeated": verdict.repeated,
            "resumed": verdict.resumed,
            "resume_failed": verdict.failed,
            "violations": broken.into_iter().collect::<serde_json::Map<_, _>>(),
            "first_violations": self.stories,
            "pauses": pauses.collect::<Vec<_>>(),
        })
    }
}

const PROMISES: [(Promise, &str); 6] = [
    (Promise::NoLoss, "lost"),
    (Promise::NoDuplicate, "duplicate"),
    (Promise::Order, "out of order"),
    (Promise::StableId, "id changed"),
    (Promise::HonestH, "h dishonest"),
    (Promise::NoGhost, "ghosts"),
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        writeln!(f, "{}: seed {}", self.target, self.seed)?;
        let seconds = self.took.as_secs_f64();
        let counts = [
            ("sent", verdict.sent),
            ("acknowledged", verdict.acknowledged),
            ("received", verdict.received),
            ("refused", verdict.refused),
            ("undecided", verdict.undecided),
            ("repeated, recognisable", verdict.repeated),
            ("sessions resumed", verdict.resumed),
            ("resumptions failed", verdict.failed),
        ];
        writeln!(f, "  {:<24}{seconds:>10.1} s", "took")?;
        for (name, count) in counts {
            writeln!(f, "  {name:<24}{count:>10}")?;
        }
        writeln!(f, "  violations")?;
        for (promise, name) in PROMISES {
            writeln!(f, "    {name:<22}{:>10}", self.broken(promise))?;
        }
        writeln!(
            f,
            "  pause, ms           {:>6}{:>8}{:>8}{:>8}{:>8}   each client{:>8}{:>8}{:>8}",
            "count", "p50", "p99", "max", "endless", "p50", "p99", "max"
        )?;
        for (name, kind) in &self.pauses {
            let count = (kind.everybody.count(), kind.everybody.endless);
            let [half, most, all] = [500, 990, 1_000].map(|of| kind.everybody.quantile(of) / 1_000);
            write!(
                f,
                "    {name:<18}{:>6}{half:>8}{most:>8}{all:>8}{:>8}",
                count.0, count.1
            )?;
            let [half, most, all] = [500, 990, 1_000].map(|of| kind.each.quantile(of) / 1_000);
            let each = kind.each.count();
            writeln!(f, "{each:>14}{half:>8}{most:>8}{all:>8}")?;
        }
        for story in &self.stories {
            writeln!(f, "  {story}")?;
        }
        Ok(())
    }
}
