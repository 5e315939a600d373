//! The rules of metrics, checked over the source of every crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use starling_telemetry::declared::Kind;

use super::*;

/// What a metric may count or measure: the last word of its name, before the
/// `_total` of a counter. A new one is added here.
const UNITS: &[&str] = &[
    "accounts",
    "authentications",
    "breaks",
    "bytes",
    "changes",
    "commits",
    "connections",
    "endpoints",
    "failures",
    "frames",
    "items",
    "leases",
    "lists",
    "messages",
    "lanes",
    "moves",
    "nodes",
    "outlets",
    "partitions",
    "reads",
    "reports",
    "requests",
    "retries",
    "seconds",
    "sessions",
    "shards",
    "spans",
    "stanzas",
    "statements",
    "streams",
    "watches",
    "writes",
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files below `src` of every crate, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    fn gather(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(crates()).unwrap() {
        let folder = entry.unwrap().path().join("src");
        if folder.is_dir() {
            gather(&folder, &mut found);
        }
    }
    found
}

/// Names in quotes that begin like a metric's.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split('"');
    words.filter(|word| {
        let mut letters = word.bytes();
        word.starts_with("starling_")
            && letters.all(|letter| letter.is_ascii_lowercase() || letter == b'_')
    })
}

#[test]
fn docs_metrics_md_is_what_the_crates_declare() {
    let path = crates().join("../docs/metrics.md");
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    if env::var("STARLING_WRITE_DOCS").is_ok() {
        fs::write(&path, metrics_markdown()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), metrics_markdown());
}

/// A name that only appears in the code would be shown without its sentence.
#[test]
fn every_metric_that_is_emitted_is_declared() {
    let declared: BTreeSet<String> = declarations().into_iter().map(|one| one.name).collect();
    for (path, text) in sources() {
        if path.ends_with("metrics/tests.rs") {
            continue;
        }
        let is_home = path.ends_with("metrics.rs") || path.ends_with("telemetry/src/traces.rs");
        let emits = ["counter!(", "gauge!(", "histogram!("];
        let is_telemetry = path
            .components()
            .any(|part| part.as_os_str() == "telemetry");
        assert!(
            is_home || is_telemetry || !emits.iter().any(|emits| text.contains(emits)),
            "{}: metrics live in metrics.rs",
            path.display()
        );
        if is_home {
            for name in quoted(&text) {
                assert!(declared.contains(name), "{}: {name}", path.display());
            }
        }
    }
}

/// `starling_<crate>_<noun>_<unit>`, and `_total` for what only grows.
#[test]
fn names_follow_the_rule() {
    let folders = fs::read_dir(crates()).unwrap();
    let names: Vec<String> = folders
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.replace('-', "_"))
        .collect();
    for one in declared(describe) {
        let name = &one.name;
        let rest = name.strip_prefix("starling_").expect(name);
        let of_crate = names
            .iter()
            .filter_map(|own| rest.strip_prefix(&format!("{own}_")));
        let rest = of_crate.min_by_key(|rest| rest.len()).expect(name);
        let is_counter = one.kind == Kind::Counter;
        assert_eq!(rest.ends_with("_total"), is_counter, "{name}");
        let rest = rest.strip_suffix("_total").unwrap_or(rest);
        let (noun, unit) = rest.rsplit_once('_').unwrap_or(("", rest));
        assert!(UNITS.contains(&unit), "{name}: \"{unit}\" is not a unit");
        // What is counted may be noun and unit in one.
        assert!(is_counter || !noun.is_empty(), "{name} has no noun");
    }
}

#[test]
fn every_sentence_is_one_and_no_name_has_two() {
    let mut seen = BTreeSet::new();
    for one in declarations() {
        assert!(
            seen.insert(one.name.clone()),
            "{} is declared twice",
            one.name
        );
        let text = &one.description;
        assert!(
            text.ends_with('.') && text.len() > 20,
            "{}: {text}",
            one.name
        );
        assert!(
            !text.contains('|'),
            "{}: it would break the table",
            one.name
        );
    }
}
