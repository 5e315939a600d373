//! Overrides from the environment: `STARLING_EDGE__TCP__LISTEN=…`.
//!
//! Two underscores stand for the dot. A variable without them is none of ours:
//! Kubernetes, for one, sets `STARLING_PORT` for a service of our name.
//!
//! What a name may be that is no key of ours, that of a host, cannot be spelt in
//! a variable: it has dots, hyphens and letters of any script. So the variable
//! has a label in its place, and `…__<LABEL>__NAME` says whose label it is.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::{Table, Value};

use super::Config;
use super::origin::{Origins, join};
use super::problem::Problem;
use super::schema::{Kind, Schema};

/// What every one of our variables begins with.
const PREFIX: &str = "STARLING_";

/// What stands for the dot in a key.
const DOT: &str = "__";

/// The key that says whose label it stands below.
const NAME: &str = "name";

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
        let (labels, mut problems) = Labels::read(self, schema);
        for variable in self.variables() {
            let set = match variable.names(&labels, table, schema) {
                Ok(Some(names)) => variable.set(&names, table, schema).map(|()| names),
                Ok(None) => continue,
                Err(message) => Err(message),
            };
            match set {
                Ok(names) => set_places(origins, &names, variable.variable),
                Err(message) => problems.push(variable.problem(message)),
            }
        }
        problems
    }

    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    fn variables(&self) -> impl Iterator<Item = Variable<'_>> {
        self.0.iter().map(|(variable, value)| {
            let name = variable.strip_prefix(PREFIX).unwrap_or(variable);
            Variable {
                variable,
                names: name.split(DOT).map(str::to_ascii_lowercase).collect(),
                value: value.to_str(),
            }
        })
    }
}

/// One variable, taken apart.
struct Variable<'a> {
    variable: &'a str,
    /// As it is written, in small letters; labels are not resolved.
    names: Vec<String>,
    /// `None` if it is not UTF-8.
    value: Option<&'a str>,
}

impl Variable<'_> {
    /// The names of the key, with what the label stands for in its place.
    /// `None` if what is wrong with the label was told.
    fn names(
        &self,
        labels: &Labels,
        table: &Table,
        schema: Schema<'_>,
    ) -> Result<Option<Vec<String>>, String> {
        let mut names = self.names.clone();
        let Some(at) = place_of_label(&names, schema) else {
            return Ok(Some(names));
        };
        let label = &names[..=at];
        if let Some(name) = labels.0.get(label) {
            let Some(name) = name else { return Ok(None) };
            names[at].clone_from(name);
            return Ok(Some(names));
        }
        // Without a label it is the name itself, if there is such a one.
        if names[at].contains('.') || has(table, label) || is_default(label) {
            return Ok(Some(names));
        }
        let beginning = label.join(DOT).to_ascii_uppercase();
        Err(format!(
            "nothing says which one \"{}\" is: set {PREFIX}{beginning}__NAME to its name",
            names[at]
        ))
    }

    fn set(&self, names: &[String], table: &mut Table, schema: Schema<'_>) -> Result<(), String> {
        let text = self.value.ok_or("the value is not UTF-8")?;
        let is_done = match self.whose_name(schema) {
            Some(at) => set(table, &names[..=at], None),
            None => {
                let below = names
                    .iter()
                    .try_fold(schema, |schema, name| schema.below(name));
                set(table, names, Some(parse(text, below)))
            }
        };
        match is_done {
            true => Ok(()),
            false => Err("a key above this one has a value, so it is no table".into()),
        }
    }

    /// If it says whose label it is: where the label stands.
    fn whose_name(&self, schema: Schema<'_>) -> Option<usize> {
        let at = place_of_label(&self.names, schema)?;
        let is_name = self.names.len() == at + 2 && self.names.last()? == NAME;
        is_name.then_some(at)
    }

    fn problem(&self, message: String) -> Problem {
        let key = self.names.iter();
        Problem {
            place: self.variable.to_owned(),
            key: key.fold(String::new(), |key, name| join(&key, name)),
            message,
        }
    }
}

/// What the labels stand for, by the names up to them; `None` for one of which
/// something is wrong.
struct Labels(BTreeMap<Vec<String>, Option<String>>);

impl Labels {
    fn read(environment: &Environment, schema: Schema<'_>) -> (Self, Vec<Problem>) {
        let (mut labels, mut problems) = (BTreeMap::new(), Vec::new());
        for variable in environment.variables() {
            let Some(at) = variable.whose_name(schema) else {
                continue;
            };
            let name = variable.value.map(|name| name.trim().to_owned());
            let wrong = match &name {
                None => Some("the value is not UTF-8".into()),
                Some(name) if name.is_empty() => Some("the name is empty".into()),
                Some(name) if labels.values().any(|other| *other == Some(name.clone())) => {
                    Some(format!("another label is \"{name}\" already: use that one"))
                }
                Some(_) => None,
            };
            let is_right = wrong.is_none();
            problems.extend(wrong.map(|message| variable.problem(message)));
            let label = variable.names[..=at].to_vec();
            labels.insert(label, name.filter(|_| is_right));
        }
        (Self(labels), problems)
    }
}

/// Where a free name stands, if the schema has a place for one.
fn place_of_label(names: &[String], schema: Schema<'_>) -> Option<usize> {
    let mut schema = schema;
    for (at, name) in names.iter().enumerate() {
        if let Kind::Map(_) = schema.kind() {
            return Some(at);
        }
        schema = schema.below(name)?;
    }
    None
}

/// Whether the file has that table.
fn has(table: &Table, names: &[String]) -> bool {
    let mut table = table;
    for name in names {
        match table.get(name).and_then(Value::as_table) {
            Some(below) => table = below,
            None => return false,
        }
    }
    true
}

/// Whether that table is there without any configuration.
fn is_default(names: &[String]) -> bool {
    Table::try_from(Config::default()).is_ok_and(|defaults| has(&defaults, names))
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

/// False if something above the key is not a table. Without a value it becomes
/// a table, if it is not there.
fn set(table: &mut Table, names: &[String], value: Option<Value>) -> bool {
    let entry = |name: &String, table: &mut Table| {
        table
            .entry(name.clone())
            .or_insert_with(|| Value::Table(Table::new()))
            .is_table()
    };
    match (names, value) {
        ([], _) => false,
        ([name], None) => entry(name, table),
        ([name], Some(value)) => {
            table.insert(name.clone(), value);
            true
        }
        ([name, below @ ..], value) => {
            entry(name, table)
                && table
                    .get_mut(name)
                    .and_then(Value::as_table_mut)
                    .is_some_and(|table| set(table, below, value))
        }
    }
}
