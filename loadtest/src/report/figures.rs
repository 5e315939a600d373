//! The few numbers of a run that are worth comparing. All follow from what else
//! is in the report.

use std::collections::BTreeMap;

use super::{Report, Role};
use crate::scenario::Scenario;

/// What is looked for first comes first.
const ORDER: [&str; 9] = [
    "server CPU of",
    " CPU of",
    " a second",
    " p50",
    " p99",
    "online (ms)",
    "memory of a user",
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
    let prepared = report.prepared as f64;
    if report.prepared > 0 {
        let each = came * 1e3 / prepared;
        figures.insert("server CPU to bring a user online (ms)".to_owned(), each);
    }
    let end = report
        .processes
        .iter()
        .filter(|process| process.role == Role::Server);
    let end = end.fold((0, 0), |(resident, private), process| {
        (
            resident + process.end.resident_kib,
            private + process.end.private_kib,
        )
    });
    if report.prepared > 0 {
        let each = |end: u64, before: u64| (end as f64 - before as f64) / prepared;
        let resident = each(end.0, report.before.resident_kib);
        figures.insert("server memory of a user (KiB)".to_owned(), resident);
        let private = each(end.1, report.before.private_kib);
        figures.insert("private memory of a user (KiB)".to_owned(), private);
    }
    figures.insert("server memory (MiB)".to_owned(), end.0 as f64 / 1024.0);
}
