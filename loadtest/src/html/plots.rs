//! The plots of reports of one scenario, those of one kind in one plot.

use std::collections::BTreeSet;

use super::plot::{Axis, Line, plot};
use crate::report::{Report, Role, Sample};

/// Steps in which a distribution is drawn, for each nine of the percentile.
const STEPS_PER_NINE: u32 = 16;

pub(super) fn of(reports: &[&Report]) -> String {
    let mut all = String::new();
    for name in names(reports, |report| report.counts.keys().collect()) {
        let lines = lines(reports, |report| {
            let count = report.counts.get(&name)?;
            // The last second may be a part of one.
            let whole = (report.seconds.floor() as usize).min(count.seconds.len());
            Some(series(
                count.seconds[..whole].iter().map(|count| *count as f64),
            ))
        });
        all += &plot(&format!("{name} a second"), Axis::Seconds, &lines);
    }
    for name in names(reports, |report| report.latencies.keys().collect()) {
        all += &over_time(reports, &name);
        let lines = lines(reports, |report| Some(distribution(report, &name)));
        all += &plot(&format!("{name}: percentiles (ms)"), Axis::Nines, &lines);
    }
    all += &usage(reports, "CPU (%)", |sample| sample.cpu_percent);
    all + &usage(reports, "memory (MiB)", |sample| {
        sample.resident_kib as f64 / 1024.0
    })
}

fn names<'a>(
    reports: &[&'a Report],
    of: impl Fn(&'a Report) -> Vec<&'a String>,
) -> BTreeSet<String> {
    reports
        .iter()
        .flat_map(|report| of(report))
        .cloned()
        .collect()
}

fn lines(reports: &[&Report], points: impl Fn(&Report) -> Option<Vec<(f64, f64)>>) -> Vec<Line> {
    let lines = reports.iter().enumerate().filter_map(|(group, report)| {
        Some(Line {
            name: report.label.clone(),
            group,
            is_dashed: false,
            points: points(report)?,
        })
    });
    lines.collect()
}

fn series(values: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
    (1_u32..).map(f64::from).zip(values).collect()
}

fn over_time(reports: &[&Report], name: &str) -> String {
    let mut lines = Vec::new();
    for (group, report) in reports.iter().enumerate() {
        let Some(latency) = report.latencies.get(name) else {
            continue;
        };
        for (part, index) in [("p50", 0), ("p99", 1)] {
            let values = latency
                .seconds
                .iter()
                .map(|second| second[index] as f64 / 1e3);
            lines.push(Line {
                name: format!("{} {part}", report.label),
                group,
                is_dashed: index == 1,
                points: series(values),
            });
        }
    }
    plot(&format!("{name}: latency (ms)"), Axis::Seconds, &lines)
}

fn distribution(report: &Report, name: &str) -> Vec<(f64, f64)> {
    let Some(latency) = report.latencies.get(name) else {
        return Vec::new();
    };
    let histogram = &latency.histogram;
    let nines_max = (histogram.count() as f64).log10();
    let steps = (0_u32..).map(|step| f64::from(step) / f64::from(STEPS_PER_NINE));
    let steps = steps.take_while(|nines| *nines <= nines_max);
    let point = |nines: f64| {
        (
            nines,
            histogram.quantile(1.0 - 10_f64.powf(-nines)) as f64 / 1e3,
        )
    };
    steps.map(point).collect()
}

fn usage(reports: &[&Report], what: &str, value: impl Fn(&Sample) -> f64) -> String {
    let mut lines = Vec::new();
    for (group, report) in reports.iter().enumerate() {
        for role in [Role::Server, Role::Generator] {
            let of: Vec<_> = report
                .processes
                .iter()
                .filter(|process| process.role == role)
                .collect();
            let length = of
                .iter()
                .map(|process| process.seconds.len())
                .max()
                .unwrap_or_default();
            let sum = |second: usize| {
                of.iter()
                    .filter_map(|process| process.seconds.get(second))
                    .map(&value)
                    .sum()
            };
            let who = if role == Role::Server {
                ""
            } else {
                " (the load)"
            };
            lines.push(Line {
                name: format!("{}{who}", report.label),
                group,
                is_dashed: role == Role::Generator,
                points: series((0..length).map(sum)),
            });
        }
    }
    lines.retain(|line| !line.points.is_empty());
    plot(what, Axis::Seconds, &lines)
}
