//! Overrides from the environment: `STARLING_EDGE__TCP__LISTEN=…`.
//!
//! Two underscores stand for the dot. A variable without them is none of ours:
//! Kubernetes, for one, sets `STARLING_PORT` for a service of our name.

use std::ffi::OsString;

use toml::{Table, Value};

use super::origin::{Origins, join};
use super::problem::Problem;
use super::schema::{Kind, Schema};

/// What every one of our variables begins with.
const PREFIX: &str = "STARLING_";

/// What stands for the dot in a key.
const DOT: &str = "__";

/// The variables that set keys, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Environment(Vec<(String, OsString)>);

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let is_ours = name.strip_prefix(PREFIX)?.contains(DOT);
            is_ours.then_some((name, value))
        });
        let mut ours: Vec<_> = ours.collect();
        ours.sort();
        Self(ours)
    }
}

impl Environment {
    /// Sets the keys in `table`, and says for each that it came from here.
    /// Keys that do not exist are set too: the check of the whole reports them.
    pub(super) fn apply(
        &self,
        table: &mut Table,
        origins: &mut Origins,
        schema: Schema<'_>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (variable, value) in &self.0 {
            let name = variable.strip_prefix(PREFIX).unwrap_or(variable);
            let names: Vec<String> = name.split(DOT).map(str::to_ascii_lowercase).collect();
            let key = names
                .iter()
                .fold(String::new(), |key, name| join(&key, name));
            let mistake = |message: &str| Problem {
                place: variable.clone(),
                key: key.clone(),
                message: message.into(),
            };
            let Some(text) = value.to_str() else {
                problems.push(mistake("the value is not UTF-8"));
                continue;
            };
            let below = names
                .iter()
                .try_fold(schema, |schema, name| schema.below(name));
            if set(table, &names, parse(text, below)) {
                set_places(origins, &names, variable);
            } else {
                problems.push(mistake(
                    "a key above this one has a value, so it is no table",
                ));
            }
        }
        problems
    }
}

/// Notes that a variable set a key, and made the tables around it that no file
/// has.
fn set_places(origins: &mut Origins, names: &[String], variable: &str) {
    let mut key = String::new();
    for (index, name) in names.iter().enumerate() {
        key = join(&key, name);
        if index + 1 == names.len() || !origins.has(&key) {
            origins.set(&key, variable.into());
        }
    }
}

/// Reads a value as the key wants it: text needs no quotes here.
fn parse(text: &str, schema: Option<Schema<'_>>) -> Value {
    let as_text = || Value::String(text.into());
    match schema.map(Schema::kind) {
        None | Some(Kind::Text(_) | Kind::Word(_)) => as_text(),
        Some(Kind::List(each)) if !text.trim_start().starts_with('[') => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| parse(part, Some(each))).collect())
        }
        Some(_) => toml::from_str::<Table>(&format!("value = {text}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(as_text),
    }
}

/// False if something above the key is not a table.
fn set(table: &mut Table, names: &[String], value: Value) -> bool {
    match names {
        [] => false,
        [name] => {
            table.insert(name.clone(), value);
            true
        }
        [name, below @ ..] => table
            .entry(name.clone())
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .is_some_and(|table| set(table, below, value)),
    }
}

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }
}
