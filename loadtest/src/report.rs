//! What comes of a run, as it is kept in JSON. How it looks on a page is the
//! work of `html`.

pub(crate) mod figures;
mod growth;
mod memory;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::gauges::Gauge;
use crate::histogram::Histogram;
use crate::process::Usage;
use crate::record::{Count, Record};
use crate::scenario::Scenario;

/// The form of these files; others are not read.
const VERSION: u32 = 1;
/// Of which percentiles are told, in percent.
pub(crate) const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// All that is known of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    version: u32,
    pub(crate) scenario: String,
    pub(crate) about: String,
    /// What the server is called.
    pub(crate) label: String,
    /// When it ended, in seconds since 1970.
    pub(crate) ended: u64,
    /// The time that counted, in seconds.
    pub(crate) seconds: f64,
    pub(crate) users: u64,
    pub(crate) workers: usize,
    /// Sessions that were there before the load began.
    pub(crate) prepared: u64,
    /// What is worth comparing: name, value, and the unit in the name.
    pub(crate) figures: BTreeMap<String, f64>,
    /// Latencies, in microseconds.
    pub(crate) latencies: BTreeMap<String, Latency>,
    pub(crate) counts: BTreeMap<String, Count>,
    /// Of the whole run, before and after what counted too.
    pub(crate) totals: BTreeMap<String, u64>,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) processes: Vec<Process>,
    /// The server before anybody came, and when everybody was there.
    pub(crate) before: Usage,
    pub(crate) ready: Usage,
    /// The same by part, if the server is more than one thing.
    #[serde(default)]
    pub(crate) parts: BTreeMap<String, Stages>,
    /// What the server says of itself.
    #[serde(default)]
    pub(crate) gauges: BTreeMap<String, Gauge>,
}

/// What a part of the server used before anybody came, and when everybody was
/// there.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stages {
    pub(crate) before: Usage,
    pub(crate) ready: Usage,
}

/// One kind of latency, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) percentiles: BTreeMap<String, u64>,
    pub(crate) mean: f64,
    pub(crate) count: u64,
    /// By the second: `p50`, `p99`, `max`.
    pub(crate) seconds: Vec<[u64; 3]>,
    pub(crate) histogram: Histogram,
}

/// A process in the time that counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    /// What it is a part of: the server, or one kind of its processes.
    #[serde(default)]
    pub(crate) part: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) cpu_seconds: f64,
    pub(crate) end: Usage,
    pub(crate) seconds: Vec<Sample>,
}

/// Whose process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Server,
    /// Of what the server stands on, where that is told apart: its database.
    Beneath,
    /// Of this tool.
    Generator,
}

/// A process in one second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) cpu_percent: f64,
    pub(crate) resident_kib: u64,
}

impl Process {
    pub(crate) fn new(part: String, name: String, role: Role) -> Self {
        Self {
            part,
            name,
            role,
            cpu_seconds: 0.0,
            end: Usage::default(),
            seconds: Vec::new(),
        }
    }
}

/// What a report is made of.
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) label: &'a str,
    pub(crate) workers: usize,
    pub(crate) prepared: u64,
    /// By part.
    pub(crate) before: BTreeMap<String, Usage>,
    pub(crate) ready: BTreeMap<String, Usage>,
    pub(crate) watched: Vec<Process>,
    pub(crate) gauges: BTreeMap<String, Gauge>,
    pub(crate) record: Record,
}

impl Report {
    pub(crate) fn new(run: Run<'_>) -> Self {
        let Run {
            scenario, record, ..
        } = run;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let none = Usage::default();
        let latencies = record
            .series
            .into_iter()
            .filter(|(_, series)| series.total.count() > 0);
        let latencies = latencies.map(|(name, series)| (name, Latency::new(series)));
        let counts = record
            .counts
            .into_iter()
            .filter(|(_, count)| count.total > 0);
        let mut report = Self {
            version: VERSION,
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            label: run.label.to_owned(),
            ended: since.unwrap_or_default().as_secs(),
            seconds: scenario.run.duration.as_secs_f64(),
            users: scenario.users(),
            workers: run.workers,
            prepared: run.prepared,
            figures: BTreeMap::new(),
            latencies: latencies.collect(),
            counts: counts.collect(),
            totals: record.totals,
            failures: record.failures,
            processes: run.watched,
            before: run.before.values().copied().fold(none, Usage::plus),
            ready: run.ready.values().copied().fold(none, Usage::plus),
            parts: stages(&run.before, &run.ready),
            gauges: run.gauges,
        };
        report.figures = figures::of(&report, scenario);
        report
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let problem = || format!("the report {}", path.display());
        let text = std::fs::read(path).with_context(problem)?;
        let report: Self = serde_json::from_slice(&text).with_context(problem)?;
        anyhow::ensure!(
            report.version == VERSION,
            "{} has version {}, this program reads {VERSION}",
            problem(),
            report.version
        );
        Ok(report)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)?;
        std::fs::write(path, text).with_context(|| format!("the report {}", path.display()))
    }

    /// Whether nothing was lost, repeated or refused, and nothing failed.
    pub(crate) fn is_clean(&self) -> bool {
        let bad = |name: &str| {
            ["lost", "repeated", "out of order", "refused"]
                .iter()
                .any(|bad| name.ends_with(bad))
        };
        let is_bad = |(name, count): (&String, &u64)| *count > 0 && bad(name);
        self.failures.is_empty() && !self.totals.iter().any(is_bad)
    }

    /// CPU time of processes of one kind in the time that counted.
    pub(crate) fn cpu_seconds(&self, role: Role) -> f64 {
        let of = self.processes.iter().filter(|process| process.role == role);
        of.map(|process| process.cpu_seconds).sum()
    }

    /// CPU time by part, if the server is more than one thing.
    pub(crate) fn cpu_seconds_by_part(&self) -> BTreeMap<&str, f64> {
        let mut parts = BTreeMap::new();
        let not_ours = |process: &&Process| process.role != Role::Generator;
        for process in self.processes.iter().filter(not_ours) {
            *parts.entry(process.part.as_str()).or_default() += process.cpu_seconds;
        }
        if parts.len() < 2 {
            parts.clear();
        }
        parts
    }
}

/// By part, if there is more than one.
fn stages(
    before: &BTreeMap<String, Usage>,
    ready: &BTreeMap<String, Usage>,
) -> BTreeMap<String, Stages> {
    let stages = |(part, ready): (&String, &Usage)| {
        let before = before.get(part).copied().unwrap_or_default();
        let ready = *ready;
        (part.clone(), Stages { before, ready })
    };
    let all = ready.iter().filter(|_| ready.len() > 1);
    all.map(stages).collect()
}

impl Latency {
    fn new(series: crate::record::Series) -> Self {
        let second = |one: &Histogram| [one.quantile(0.5), one.quantile(0.99), one.max()];
        let total = series.total;
        let percentiles = PERCENTILES.iter();
        Self {
            percentiles: percentiles
                .map(|(name, part)| ((*name).to_owned(), total.quantile(*part)))
                .collect(),
            mean: total.mean(),
            count: total.count(),
            seconds: series.seconds.iter().map(second).collect(),
            histogram: total,
        }
    }
}
