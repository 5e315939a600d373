//! One page of one or several reports: a table of their figures and plots over
//! time, in a single file that loads nothing. The figures are the reports'.

mod plot;
mod plots;
pub(crate) mod table;

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::report::Report;
use crate::report::figures::order;

const STYLE: &str = include_str!("html/style.css");

/// The page of these reports.
pub(crate) fn page(reports: &[Report]) -> String {
    let title = match reports {
        [report] => format!("{} · {}", report.scenario, report.label),
        _ => "Load tests side by side".to_owned(),
    };
    let mut body = String::new();
    for scenario in scenarios(reports) {
        let of: Vec<&Report> = reports
            .iter()
            .filter(|report| report.scenario == scenario)
            .collect();
        section(&mut body, &of);
    }
    document(&title, &body)
}

/// A whole document.
pub(crate) fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>\n"
    )
}

/// Names of scenarios, each once, in their order.
pub(crate) fn scenarios(reports: &[Report]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for report in reports {
        if !names.contains(&report.scenario) {
            names.push(report.scenario.clone());
        }
    }
    names
}

/// Reports of one scenario.
pub(crate) fn section(body: &mut String, reports: &[&Report]) {
    let Some(first) = reports.first() else {
        return;
    };
    let _ = write!(
        body,
        "<section><h2>{}</h2><p>{}</p>",
        escape(&first.scenario),
        escape(&first.about)
    );
    body.push_str(&figures(reports));
    body.push_str("<div class=\"plots\">");
    body.push_str(&plots::of(reports));
    body.push_str("</div>");
    for report in reports {
        body.push_str(&details(report));
    }
    body.push_str("</section>");
}

fn figures(reports: &[&Report]) -> String {
    let mut names: Vec<&String> = reports
        .iter()
        .flat_map(|report| report.figures.keys())
        .collect();
    names.sort_by_key(|name| order(name));
    names.dedup();
    let head = reports.iter().map(|report| report.label.clone()).collect();
    let row = |name: &&String| {
        let cells = reports.iter().map(|report| {
            report
                .figures
                .get(*name)
                .copied()
                .map_or_else(String::new, number)
        });
        (String::clone(name), cells.collect())
    };
    table::table(head, names.iter().map(row).collect())
}

fn details(report: &Report) -> String {
    let ended = i64::try_from(report.ended).unwrap_or_default();
    let ended = OffsetDateTime::from_unix_timestamp(ended).ok();
    let ended = ended
        .and_then(|ended| ended.format(&Rfc3339).ok())
        .unwrap_or_default();
    let mut text = format!(
        "<details><summary>{}: {} users, {} worker processes, {} s, ended {ended}</summary>",
        escape(&report.label),
        report.users,
        report.workers,
        number(report.seconds)
    );
    let totals = report
        .totals
        .iter()
        .map(|(name, count)| (name.clone(), vec![count.to_string()]));
    text += &table::table(vec!["in the whole run".to_owned()], totals.collect());
    if !report.failures.is_empty() {
        let failures = report
            .failures
            .iter()
            .map(|(name, count)| (name.clone(), vec![count.to_string()]));
        text += &table::table(vec!["failed".to_owned()], failures.collect());
    }
    let rows = report.latencies.iter().map(|(name, latency)| {
        let parts = crate::report::PERCENTILES.iter();
        let micros =
            parts.map(|(part, _)| latency.percentiles.get(*part).copied().unwrap_or_default());
        (
            format!("{name} (ms)"),
            micros.map(|micros| number(micros as f64 / 1e3)).collect(),
        )
    });
    let head = crate::report::PERCENTILES
        .iter()
        .map(|(part, _)| (*part).to_owned());
    text += &table::table(head.collect(), rows.collect());
    let rows = report.processes.iter().map(|process| {
        let cpu = number(process.cpu_seconds);
        let memory = number(process.end.resident_kib as f64 / 1024.0);
        (
            format!("{}: {}", process.part, process.name),
            vec![cpu, memory],
        )
    });
    let head = vec!["CPU (s)".to_owned(), "memory (MiB)".to_owned()];
    text + &table::table(head, rows.collect()) + "</details>"
}

/// A number with as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        whole if whole >= 100.0 || whole.fract() == 0.0 => 0,
        tens if tens >= 10.0 => 1,
        units if units >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// Text as HTML has it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
