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
# A variable overrides a key: STARLING_LOG__LEVEL=debug is level in [log]. That
# of a host has a label: STARLING_HOST__A__NAME=example.org says which A is.
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
        .partition(|(_, schema)| is_table(*schema));
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
    // A table of tables needs no line of its own.
    if has_keys(schema) {
        text.push('\n');
        comment(text, described);
        let _ = writeln!(text, "[{key}]");
    }
    table(text, key, schema, &defaults.cloned().unwrap_or_default());
}

fn is_table(schema: Schema<'_>) -> bool {
    matches!(schema.kind(), Kind::Table(_) | Kind::Map(_))
}

fn has_keys(schema: Schema<'_>) -> bool {
    let Kind::Table(fields) = schema.kind() else {
        return false;
    };
    fields.into_iter().any(|(_, schema)| !is_table(schema))
}

/// The description, wrapped, and the limits of a number.
fn comment(text: &mut String, schema: Schema<'_>) {
    let mut words: Vec<String> = described(schema)
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

/// The description. A struct may begin its own with its section, which is to
/// be read right below.
fn described(schema: Schema<'_>) -> String {
    let text = schema.description().unwrap_or_default();
    let Some((_, rest)) = text
        .strip_prefix("`[")
        .and_then(|rest| rest.split_once("]`: "))
    else {
        return text.to_owned();
    };
    let mut letters = rest.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
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
