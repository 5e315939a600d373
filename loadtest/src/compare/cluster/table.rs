//! The cost of distribution in one table: CPU time of one message by role, and
//! how many times what one node takes it is.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::super::summary::Outcome;
use super::size::Size;
use crate::html::number;
use crate::scenario::Scenario;

/// What the single node is called.
pub(super) const SINGLE: &str = "starling";

/// What a deployment is called: one node, or so many edges and session nodes.
pub(super) fn label(size: Option<Size>) -> String {
    match size {
        None => SINGLE.to_owned(),
        Some(size) => format!("{SINGLE}, {size}"),
    }
}

/// What one unit of work costs, in µs of CPU time.
#[derive(Debug, Serialize)]
struct Row {
    scenario: String,
    /// What a unit is.
    work: &'static str,
    nodes: String,
    a_second: f64,
    edge: Option<f64>,
    session: Option<f64>,
    /// All nodes of Starling together.
    starling: f64,
    /// How many times the single node's.
    times: Option<f64>,
    etcd: Option<f64>,
    database: Option<f64>,
}

/// The table on standard output, and as `cluster.json` in a folder.
pub(super) fn tell(
    outcome: &Outcome,
    scenarios: &[Scenario],
    sizes: &[Option<Size>],
    out: &Path,
) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    for scenario in scenarios {
        rows.extend(of(outcome, scenario, sizes));
    }
    std::fs::write(out.join("cluster.json"), serde_json::to_vec_pretty(&rows)?)?;
    // Scenarios with several kinds of work have no cost of one unit.
    if rows.is_empty() {
        return Ok(());
    }
    Ok(stdout().write_all(text(&rows).as_bytes())?)
}

fn of(outcome: &Outcome, scenario: &Scenario, sizes: &[Option<Size>]) -> Vec<Row> {
    let mut works = scenario.load.iter().filter_map(|load| load.work());
    let (Some(work), None) = (works.next(), works.next()) else {
        return Vec::new();
    };
    let figure = |size, name: &str| outcome.median(&scenario.name, &label(size), name);
    let cost = |size, part: &str| figure(size, &format!("{part} CPU of one {work} (µs)"));
    let single = cost(None, "server");
    let row = |size: &Option<Size>| {
        let starling = cost(*size, "server")?;
        Some(Row {
            scenario: scenario.name.clone(),
            work,
            nodes: size.map_or_else(|| "one node".to_owned(), |size| size.to_string()),
            a_second: figure(*size, &format!("{work} a second"))?,
            edge: cost(*size, "edge"),
            session: cost(*size, "session"),
            starling,
            times: single.map(|single| starling / single),
            etcd: cost(*size, "etcd"),
            database: cost(*size, "database"),
        })
    };
    sizes.iter().filter_map(row).collect()
}

fn text(rows: &[Row]) -> String {
    let mut text = String::from(
        "\nCPU time of one unit, in µs; \"2 + 2\": two edges and two session nodes.\n\n\
         | | nodes | a second | edges | session nodes | together | of one node | etcd | database |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let cell = |value: Option<f64>| value.map_or_else(String::new, number);
    for row in rows {
        let times = row.times.map(|times| format!("×{times:.2}"));
        let _ = writeln!(
            text,
            "| {} ({}) | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.scenario,
            row.work,
            row.nodes,
            number(row.a_second),
            cell(row.edge),
            cell(row.session),
            number(row.starling),
            times.unwrap_or_default(),
            cell(row.etcd),
            cell(row.database)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, text};

    #[test]
    fn a_row_tells_the_parts_and_how_many_times_one_node_it_is() {
        let row = Row {
            scenario: "chat-saturated".to_owned(),
            work: "delivered",
            nodes: "2 + 2".to_owned(),
            a_second: 50_000.0,
            edge: Some(6.0),
            session: Some(5.0),
            starling: 11.0,
            times: Some(2.2),
            etcd: Some(0.02),
            database: None,
        };
        let text = text(&[row]);
        let last = text.lines().last();
        assert_eq!(
            last,
            Some("| chat-saturated (delivered) | 2 + 2 | 50,000 | 6 | 5 | 11 | ×2.20 | 0.020 |  |")
        );
    }
}
