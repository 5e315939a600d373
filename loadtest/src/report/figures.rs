//! The few numbers of a run that are worth comparing. All follow from what else
//! is in the report.

use std::collections::BTreeMap;

use super::{Report, Role, growth, memory};
use crate::gauges::is_queue;
use crate::load::{BEGUN_ANEW, CUT_OFF, IN_VAIN, MADE, RESUMED};
use crate::scenario::Scenario;

/// What is looked for first comes first.
const ORDER: [&str; 12] = [
    "server CPU of",
    " CPU of",
    " a second",
    " p50",
    " p99",
    "online (ms)",
    "memory of a user",
    "memory growth",
    "sessions ",
    "reconnections in vain",
    "lost",
    "failures",
];

/// Sorts names of figures by what they tell, then by name.
pub(crate) fn order(name: &str) -> (usize, String) {
    let rank = ORDER.iter().position(|part| name.contains(part));
    (rank.unwrap_or(ORDER.len()), name.to_owned())
}

/// By name, with the unit in it.
pub(super) fn of(report: &Report, scenario: &Scenario) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    for (name, count) in &report.counts {
        figures.insert(
            format!("{name} a second"),
            count.total as f64 / report.seconds,
        );
    }
    for (name, latency) in &report.latencies {
        for part in ["p50", "p99"] {
            let micros = latency.percentiles.get(part).copied().unwrap_or_default();
            figures.insert(format!("{name} {part} (ms)"), micros as f64 / 1e3);
        }
    }
    came_back(report, &mut figures);
    let lost: u64 = report
        .totals
        .iter()
        .filter(|(name, _)| name.ends_with("lost"))
        .map(|(_, lost)| lost)
        .sum();
    figures.insert("lost".to_owned(), lost as f64);
    figures.insert(
        "failures".to_owned(),
        report.failures.values().sum::<u64>() as f64,
    );
    let generator = report.cpu_seconds(Role::Generator);
    figures.insert(
        "load's own CPU (%)".to_owned(),
        100.0 * generator / report.seconds,
    );
    if report
        .processes
        .iter()
        .any(|process| process.role == Role::Server)
    {
        of_server(report, scenario, &mut figures);
    }
    figures
}

/// What tells whether a storm was weathered, and what was stored before: of the
/// whole run, if there was any of it.
fn came_back(report: &Report, figures: &mut BTreeMap<String, f64>) {
    for name in [CUT_OFF, RESUMED, BEGUN_ANEW, IN_VAIN, MADE] {
        let total = report.totals.get(name).copied().unwrap_or_default();
        if total > 0 || name != MADE && figures.contains_key(CUT_OFF) {
            figures.insert(name.to_owned(), total as f64);
        }
    }
    if let Some(back) = report.latencies.get("back") {
        let micros = back.percentiles.get("max").copied().unwrap_or_default();
        figures.insert("back max (ms)".to_owned(), micros as f64 / 1e3);
    }
}

fn of_server(report: &Report, scenario: &Scenario, figures: &mut BTreeMap<String, f64>) {
    let cpu = report.cpu_seconds(Role::Server);
    figures.insert("server CPU (%)".to_owned(), 100.0 * cpu / report.seconds);
    let work: Vec<_> = scenario
        .load
        .iter()
        .filter_map(|load| load.work())
        .collect();
    if let [work] = work.as_slice()
        && let Some(count) = report.counts.get(*work)
    {
        figures.insert(
            format!("server CPU of one {work} (µs)"),
            cpu * 1e6 / count.total as f64,
        );
        for (part, cpu) in report.cpu_seconds_by_part() {
            let each = cpu * 1e6 / count.total as f64;
            figures.insert(format!("{part} CPU of one {work} (µs)"), each);
        }
    }
    let came = report.ready.cpu_seconds - report.before.cpu_seconds;
    if report.prepared > 0 {
        let each = came * 1e3 / report.prepared as f64;
        figures.insert("server CPU to bring a user online (ms)".to_owned(), each);
    }
    for (name, gauge) in &report.gauges {
        if is_queue(name) {
            figures.insert(format!("{name}, at the beginning"), gauge.begin);
            figures.insert(format!("{name}, at most"), gauge.most);
            figures.insert(format!("{name}, at the end"), gauge.end);
        }
    }
    figures.extend(memory::of(report));
    figures.extend(growth::of(report));
}
