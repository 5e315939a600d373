//! The commented defaults: `starling config default` and `docs/starling.toml`.
//!
//! Comments, order and limits come from the structs of the sections.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Config;
use super::origin::join;
use super::schema::{self, Kind, Schema};

/// Columns a comment may take.
const COLUMNS_MAX: usize = 80;

/// Whole numbers from here on are written in groups of three digits.
const GROUPED_MIN: u64 = 10_000;

const HEADER: &str = "\
# The configuration of Starling, with every key and its default.
# An empty file does the same: set only what you want to be different.
# A variable overrides a key: STARLING_LOG__LEVEL=debug is level in [log].
";

/// The text of the commented defaults.
#[must_use]
pub fn template() -> String {
    let schema = schema::whole();
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    let mut text = HEADER.to_owned();
    table(&mut text, "", Schema::new(&schema), &defaults);
    text
}

/// Writes keys before tables, as TOML wants it.
fn table(text: &mut String, key: &str, schema: Schema<'_>, defaults: &Table) {
    let Kind::Table(fields) = schema.kind() else {
        return;
    };
    let (tables, keys): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .partition(|(_, schema)| matches!(schema.kind(), Kind::Table(_) | Kind::Map(_)));
    for (name, schema) in keys {
        comment(text, schema);
        match (defaults.get(name), schema.example()) {
            (Some(value), _) => _ = writeln!(text, "{name} = {}", show(value)),
            (None, Some(example)) => _ = writeln!(text, "# {name} = {example}"),
            (None, None) => _ = writeln!(text, "# {name} ="),
        }
    }
    for (name, schema) in tables {
        let below = defaults.get(name).and_then(Value::as_table);
        let below = below.cloned().unwrap_or_default();
        let key = join(key, name);
        match schema.kind() {
            Kind::Map(each) => {
                for (name, value) in &below {
                    let key = format!("{key}.\"{name}\"");
                    section(text, &key, schema, each, value.as_table());
                }
            }
            _ => section(text, &key, schema, schema, Some(&below)),
        }
    }
}

fn section(
    text: &mut String,
    key: &str,
    described: Schema<'_>,
    schema: Schema<'_>,
    defaults: Option<&Table>,
) {
    text.push('\n');
    comment(text, described);
    let _ = writeln!(text, "[{key}]");
    table(text, key, schema, &defaults.cloned().unwrap_or_default());
}

/// The description, wrapped, and the limits of a number.
fn comment(text: &mut String, schema: Schema<'_>) {
    let mut words: Vec<String> = schema
        .description()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if let Kind::Integer(min, max) = schema.kind() {
        match (min, max) {
            (Some(min), Some(max)) => {
                words.push(format!("From {} to {}.", digits(min), digits(max)))
            }
            (Some(min), None) if min > 0 => words.push(format!("At least {}.", digits(min))),
            _ => {}
        }
    }
    let mut line = String::from("#");
    for word in words {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS_MAX {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    if line.len() > 1 {
        let _ = writeln!(text, "{line}");
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Integer(number) => digits(*number),
        other => other.to_string(),
    }
}

/// `262_144`.
fn digits(number: i64) -> String {
    if number.unsigned_abs() < GROUPED_MIN {
        return number.to_string();
    }
    let plain = number.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    if number < 0 {
        format!("-{grouped}")
    } else {
        grouped
    }
}
