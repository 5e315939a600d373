//! What comes of a comparison: medians of all rounds and how they relate, as a
//! table in the terminal, as JSON and as a page with plots.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::html::{self, number, table};
use crate::report::Report;
use crate::report::figures::order;

/// The server that others are compared with.
const OURS: &str = "starling";

/// All runs so far.
#[derive(Default)]
pub(super) struct Outcome {
    reports: Vec<Report>,
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    scenario: String,
    label: String,
    error: String,
}

/// Values of one figure over the rounds.
#[derive(Debug, PartialEq, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

/// By scenario, figure and label.
type Spreads = BTreeMap<String, BTreeMap<String, BTreeMap<String, Spread>>>;

impl Outcome {
    pub(super) fn add(&mut self, report: Report) {
        self.reports.push(report);
    }

    pub(super) fn fail(&mut self, scenario: &str, label: &str, error: &str) {
        self.failures.push(Failure {
            scenario: scenario.to_owned(),
            label: label.to_owned(),
            error: error.to_owned(),
        });
    }

    /// The median of one figure.
    pub(super) fn median(&self, scenario: &str, label: &str, figure: &str) -> Option<f64> {
        let is_it = |report: &&Report| report.scenario == scenario && report.label == label;
        let reports = self.reports.iter().filter(is_it);
        let values = reports.filter_map(|report| report.figures.get(figure).copied());
        Spread::of(values.collect()).map(|spread| spread.median)
    }

    /// Whether every run could be made, and nothing went wrong in ours.
    pub(super) fn is_clean(&self) -> bool {
        let ours = self
            .reports
            .iter()
            .filter(|report| report.label.starts_with(OURS));
        self.failures.is_empty() && ours.into_iter().all(Report::is_clean)
    }

    /// Writes what there is so far.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        #[derive(Serialize)]
        struct Json<'a> {
            figures: Spreads,
            failures: &'a [Failure],
        }
        let json = Json {
            figures: self.spreads(),
            failures: &self.failures,
        };
        std::fs::write(
            folder.join("compare.json"),
            serde_json::to_vec_pretty(&json)?,
        )?;
        Ok(std::fs::write(folder.join("compare.html"), self.page())?)
    }

    /// The table, on standard output.
    pub(super) fn tell(&self) -> Result<()> {
        let mut out = stdout().lock();
        for (scenario, figures) in self.spreads() {
            let labels = self.labels(&scenario);
            writeln!(out, "\n## {scenario}\n")?;
            writeln!(out, "| | {} |", labels.join(" | "))?;
            writeln!(out, "|{}", " --- |".repeat(labels.len() + 1))?;
            for (figure, by_label) in sorted(&figures) {
                let cells: Vec<String> = labels.iter().map(|label| cell(by_label, label)).collect();
                writeln!(out, "| {figure} | {} |", cells.join(" | "))?;
            }
        }
        for Failure {
            scenario,
            label,
            error,
        } in &self.failures
        {
            writeln!(out, "\n{scenario}, {label}: {error}")?;
        }
        Ok(())
    }

    fn spreads(&self) -> Spreads {
        let mut values = BTreeMap::<_, BTreeMap<_, BTreeMap<_, Vec<f64>>>>::new();
        for report in &self.reports {
            let figures = values.entry(report.scenario.clone()).or_default();
            for (name, value) in &report.figures {
                let by_label = figures.entry(name.clone()).or_default();
                by_label
                    .entry(report.label.clone())
                    .or_default()
                    .push(*value);
            }
        }
        let spread = |(label, values)| Some((label, Spread::of(values)?));
        let by_label = |(figure, labels): (String, BTreeMap<String, Vec<f64>>)| {
            (figure, labels.into_iter().filter_map(spread).collect())
        };
        let by_figure = |(scenario, figures): (String, BTreeMap<_, _>)| {
            (scenario, figures.into_iter().map(by_label).collect())
        };
        values.into_iter().map(by_figure).collect()
    }

    /// Labels of a scenario, ours first.
    fn labels(&self, scenario: &str) -> Vec<String> {
        let of = self
            .reports
            .iter()
            .filter(|report| report.scenario == scenario);
        let mut labels: Vec<String> = of.map(|report| report.label.clone()).collect();
        labels.sort_by_key(|label| (!label.starts_with(OURS), label.clone()));
        labels.dedup();
        labels
    }

    fn page(&self) -> String {
        let mut body = String::from(
            "<p>Medians of all rounds, with the least and the most; behind them, how many times \
             the value of Starling's first column it is. Plots show the last round.</p>",
        );
        let spreads = self.spreads();
        for scenario in html::scenarios(&self.reports) {
            let labels = self.labels(&scenario);
            let _ = write!(body, "<h2>{}: medians</h2>", html::escape(&scenario));
            let figures = spreads.get(&scenario).map(sorted).unwrap_or_default();
            let rows = figures.into_iter().map(|(figure, by_label)| {
                (
                    figure.clone(),
                    labels.iter().map(|label| cell(by_label, label)).collect(),
                )
            });
            body += &table::table(labels.clone(), rows.collect());
            let last = |label: &String| {
                let of = self.reports.iter().rev();
                let mut of = of.filter(|report| report.scenario == scenario);
                of.find(|report| report.label == *label)
            };
            let last: Vec<&Report> = labels.iter().filter_map(last).collect();
            html::section(&mut body, &last);
        }
        let failures = self.failures.iter();
        let failures = failures.map(|one| {
            (
                format!("{}, {}", one.scenario, one.label),
                vec![one.error.clone()],
            )
        });
        body += &table::table(vec!["could not be measured".to_owned()], failures.collect());
        html::document("Servers side by side", &body)
    }
}

/// What is looked for first comes first.
fn sorted<T>(figures: &BTreeMap<String, T>) -> Vec<(&String, &T)> {
    let mut figures: Vec<_> = figures.iter().collect();
    figures.sort_by_key(|(figure, _)| order(figure));
    figures
}

/// Median, spread and ratio of one label.
fn cell(by_label: &BTreeMap<String, Spread>, label: &str) -> String {
    let Some(spread) = by_label.get(label) else {
        return String::new();
    };
    let mut text = number(spread.median);
    if spread.least < spread.most {
        let _ = write!(text, " ({}–{})", number(spread.least), number(spread.most));
    }
    let ours = by_label.iter().find(|(name, _)| name.starts_with(OURS));
    if let Some((name, ours)) = ours
        && name != label
        && ours.median > 0.0
        && spread.median > 0.0
    {
        let _ = write!(text, " ×{}", number(spread.median / ours.median));
    }
    text
}

/// One run in one line, for the terminal.
pub(super) fn line(report: &Report) -> String {
    let figure = |name: &str| {
        let mut all = report.figures.iter();
        let found = all.find(|(key, _)| key.contains(name))?;
        Some(format!(", {} {}", number(*found.1), found.0))
    };
    let parts = [
        "server CPU of one",
        " a second",
        " p50",
        "memory of a user",
        "load's own CPU",
    ];
    let parts: String = parts.into_iter().filter_map(figure).collect();
    let problems = if report.is_clean() { "" } else { ", NOT CLEAN" };
    format!("{}, {}{parts}{problems}", report.scenario, report.label)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Spread, cell};

    #[test]
    fn the_median_of_rounds_is_told_with_its_ratio() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[]), None);
        let even = spread(&[4.0, 1.0]);
        assert_eq!(
            even,
            Some(Spread {
                median: 2.5,
                least: 1.0,
                most: 4.0
            })
        );
        let by_label: BTreeMap<_, _> =
            [("starling", [4.0, 5.0, 6.0]), ("other", [40.0, 50.0, 60.0])]
                .into_iter()
                .filter_map(|(label, values)| Some((label.to_owned(), spread(&values)?)))
                .collect();
        assert_eq!(cell(&by_label, "starling"), "5 (4–6)");
        assert_eq!(cell(&by_label, "other"), "50 (40–60) ×10");
    }
}
