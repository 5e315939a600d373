//! What the sections allow, read from the schema that `schemars` derives.
//!
//! Only as much of JSON Schema as our structs produce; what is not recognised
//! is [`Kind::Other`], and left to `serde`.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The schema of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'a>(&'a Value);

/// What a key may be set to.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// A table with these keys.
    Table(Vec<(&'a str, Schema<'a>)>),
    /// A table whose keys are free.
    Map(Schema<'a>),
    /// A list.
    List(Schema<'a>),
    /// Some text, perhaps of a form that has a name.
    Text(Option<&'a str>),
    /// One of these words.
    Word(Vec<&'a str>),
    /// A whole number, perhaps with limits.
    Integer(Option<i64>, Option<i64>),
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// Anything else.
    Other,
}

/// Makes the schema of the whole configuration.
pub(super) fn whole() -> Value {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

impl<'a> Schema<'a> {
    /// The schema in `value`.
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// The comment of the field, its lines joined where they only wrap.
    pub(super) fn description(self) -> Option<&'a str> {
        self.0.get("description")?.as_str()
    }

    /// A value to show for a key that has none by default.
    pub(super) fn example(self) -> Option<&'a Value> {
        self.0.get("examples")?.get(0)
    }

    /// Whether a list with one element may be written without brackets.
    pub(super) fn is_one_or_many(self) -> bool {
        self.0.get("x-one-or-many").and_then(Value::as_bool) == Some(true)
    }

    /// What it allows.
    pub(super) fn kind(self) -> Kind<'a> {
        if let Some(inner) = self.non_null() {
            return inner.kind();
        }
        if let Some(words) = self.words() {
            return Kind::Word(words);
        }
        match self.type_name() {
            Some("object") => self.object(),
            Some("array") => self
                .0
                .get("items")
                .map_or(Kind::Other, |items| Kind::List(Schema(items))),
            Some("string") => Kind::Text(self.0.get("format").and_then(Value::as_str)),
            Some("integer") => Kind::Integer(self.limit("minimum"), self.limit("maximum")),
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Flag,
            _ => Kind::Other,
        }
    }

    /// The schema of a key below, if there may be such a key.
    pub(super) fn below(self, name: &str) -> Option<Self> {
        match self.kind() {
            Kind::Table(fields) => fields
                .into_iter()
                .find_map(|(field, schema)| (field == name).then_some(schema)),
            Kind::Map(schema) => Some(schema),
            _ => None,
        }
    }

    fn object(self) -> Kind<'a> {
        if let Some(fields) = self.0.get("properties").and_then(Value::as_object) {
            let fields = fields
                .iter()
                .map(|(name, schema)| (name.as_str(), Schema(schema)));
            return Kind::Table(fields.collect());
        }
        match self.0.get("additionalProperties") {
            Some(schema) if schema.is_object() => Kind::Map(Schema(schema)),
            // A struct without fields.
            Some(Value::Bool(false)) => Kind::Table(Vec::new()),
            _ => Kind::Other,
        }
    }

    /// The type, without the `null` of an `Option`: TOML has none.
    fn type_name(self) -> Option<&'a str> {
        match self.0.get("type")? {
            Value::String(name) => Some(name),
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .find(|&name| name != "null"),
            _ => None,
        }
    }

    /// The other half of `anyOf: [schema, null]`, the form of some `Option`s.
    fn non_null(self) -> Option<Self> {
        let [first, second] = self.0.get("anyOf")?.as_array()?.as_slice() else {
            return None;
        };
        let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
        match (is_null(first), is_null(second)) {
            (false, true) => Some(Schema(first)),
            (true, false) => Some(Schema(second)),
            _ => None,
        }
    }

    /// The words of an enumeration, with comments or without.
    fn words(self) -> Option<Vec<&'a str>> {
        if let Some(words) = self.0.get("enum").and_then(Value::as_array) {
            return Some(words.iter().filter_map(Value::as_str).collect());
        }
        let mut words = Vec::new();
        for variant in self.0.get("oneOf")?.as_array()? {
            match (
                variant.get("const"),
                variant.get("enum").and_then(Value::as_array),
            ) {
                (Some(word), _) => words.push(word.as_str()?),
                (None, Some(several)) => words.extend(several.iter().filter_map(Value::as_str)),
                (None, None) => return None,
            }
        }
        Some(words)
    }

    fn limit(self, name: &str) -> Option<i64> {
        let limit = self.0.get(name)?;
        // schemars writes some limits as floats.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "limits are small whole numbers"
        )]
        limit
            .as_i64()
            .or_else(|| limit.as_f64().map(|limit| limit as i64))
    }
}
