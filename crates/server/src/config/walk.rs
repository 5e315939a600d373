//! A given configuration against the schema: every mistake, not only the first.

use toml::{Table, Value};

use super::origin::{Origins, join};
use super::problem::Problem;
use super::schema::{Kind, Schema};

/// How alike two keys must be for one to be suggested for the other.
const LIKENESS_MIN: f64 = 0.75;

/// Checks tables against the schema and gathers what is wrong.
pub(super) struct Walk<'a> {
    origins: &'a Origins,
    defaults: &'a Table,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    /// Every mistake of `given`. What is mistaken is taken out of it, so that
    /// the rest can be checked further.
    pub(super) fn check(
        given: &mut Table,
        schema: Schema<'_>,
        origins: &'a Origins,
        defaults: &'a Table,
    ) -> Vec<Problem> {
        let mut walk = Self {
            origins,
            defaults,
            problems: Vec::new(),
        };
        if let Kind::Table(fields) = schema.kind() {
            walk.table("", given, &fields);
        }
        walk.problems
    }

    /// False if the value itself is mistaken.
    fn value(&mut self, key: &str, value: &mut Value, schema: Schema<'_>) -> bool {
        let before = self.problems.len();
        match (schema.kind(), value) {
            (Kind::Table(fields), Value::Table(table)) => {
                self.table(key, table, &fields);
                return true;
            }
            (Kind::Map(each), Value::Table(table)) => {
                for (name, value) in table {
                    self.value(&join(key, name), value, each);
                }
                return true;
            }
            (Kind::List(each), Value::Array(values)) => {
                for (index, value) in values.iter_mut().enumerate() {
                    self.value(&format!("{key}[{index}]"), value, each);
                }
            }
            (Kind::List(each), value) if schema.is_one_or_many() => {
                self.value(key, value, each);
            }
            (Kind::Text(form), Value::String(text)) => self.text(key, text, form),
            (Kind::Word(words), Value::String(text)) => self.word(key, text, &words),
            (Kind::Integer(min, max), Value::Integer(number)) => self.range(key, *number, min, max),
            (Kind::Number, Value::Integer(_) | Value::Float(_))
            | (Kind::Flag, Value::Boolean(_))
            | (Kind::Other, _) => {}
            (wanted, value) => self.wrong_type(key, value, &wanted),
        }
        self.problems.len() == before
    }

    fn table(&mut self, key: &str, table: &mut Table, fields: &[(&str, Schema<'_>)]) {
        table.retain(|name, value| {
            let below = join(key, name);
            let Some((_, schema)) = fields.iter().find(|(field, _)| *field == name) else {
                self.unknown(&below, name, fields);
                return false;
            };
            self.value(&below, value, *schema)
        });
    }

    fn word(&mut self, key: &str, text: &str, words: &[&str]) {
        if !words.contains(&text) {
            let remedy = alternatives(words);
            self.report(
                key,
                format!("\"{text}\" is not possible here: use {remedy}"),
            );
        }
    }

    fn unknown(&mut self, key: &str, name: &str, fields: &[(&str, Schema<'_>)]) {
        let nearest = fields
            .iter()
            .map(|(field, _)| (*field, strsim::jaro_winkler(field, name)))
            .filter(|(_, likeness)| *likeness >= LIKENESS_MIN)
            .max_by(|one, other| one.1.total_cmp(&other.1));
        let remedy = if let Some((field, _)) = nearest {
            format!("did you mean \"{field}\"?")
        } else {
            let names: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
            format!("there are {}", names.join(", "))
        };
        self.report(key, format!("no such key: {remedy}"));
    }

    fn text(&mut self, key: &str, text: &str, form: Option<&str>) {
        let wanted = match form {
            Some("duration") if humantime::parse_duration(text).is_err() => {
                "a duration: write it as \"30s\", \"5m\" or \"1h 30m\""
            }
            Some("socket-address") if text.parse::<std::net::SocketAddr>().is_err() => {
                "an address and port: write it as \"[::]:5222\" or \"127.0.0.1:5222\""
            }
            Some("ip") if text.parse::<std::net::IpAddr>().is_err() => {
                "an IP address: write it as \"::1\" or \"127.0.0.1\""
            }
            _ => return,
        };
        self.report(key, format!("\"{text}\" is not {wanted}"));
    }

    fn range(&mut self, key: &str, number: i64, min: Option<i64>, max: Option<i64>) {
        let is_small = min.is_some_and(|min| number < min);
        let is_large = max.is_some_and(|max| number > max);
        if !is_small && !is_large {
            return;
        }
        let what = if is_small { "too small" } else { "too large" };
        let remedy = match (min, max) {
            (Some(min), Some(max)) => format!("use {min} to {max}"),
            (Some(min), None) => format!("use {min} or more"),
            (None, Some(max)) => format!("use {max} or less"),
            (None, None) => return,
        };
        self.report(key, format!("{number} is {what}: {remedy}"));
    }

    fn wrong_type(&mut self, key: &str, value: &Value, wanted: &Kind<'_>) {
        let wanted = match wanted {
            Kind::Table(_) | Kind::Map(_) => format!("a table: write [{key}] above its keys"),
            Kind::List(_) => "a list: write it in brackets, as in [\"one\", \"two\"]".into(),
            Kind::Text(_) => "text: put it in quotes".into(),
            Kind::Word(words) => format!("text: use {}", alternatives(words)),
            Kind::Integer(..) | Kind::Number => "a number: write digits without quotes".into(),
            Kind::Flag => "true or false, which have no quotes".into(),
            Kind::Other => return,
        };
        let default = self
            .default_of(key)
            .map(|default| format!(" (the default is {default})"))
            .unwrap_or_default();
        self.report(
            key,
            format!(
                "{} was given, but this is {wanted}{default}",
                name_of(value)
            ),
        );
    }

    fn default_of(&self, key: &str) -> Option<String> {
        let mut names = key.split('.');
        let mut value = self.defaults.get(names.next()?)?;
        for name in names {
            value = value.get(name)?;
        }
        (!value.is_table()).then(|| value.to_string())
    }

    fn report(&mut self, key: &str, message: String) {
        self.problems.push(Problem {
            place: self.origins.get(key).unwrap_or_default().into(),
            key: key.into(),
            message,
        });
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// `"a", "b" or "c"`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        other => other.concat(),
    }
}
