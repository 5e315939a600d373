//! Where each key of a configuration was set, so that a mistake can name it.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Places by full key.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(HashMap<String, String>);

impl Origins {
    /// The places of every key in the text of a file.
    pub(super) fn of_file(file: &str, text: &str, table: &DeTable<'_>) -> Self {
        let mut origins = Self::default();
        origins.add_table(file, text, "", table);
        origins
    }

    /// Records that `key` was set at `place`, replacing what was known.
    pub(super) fn set(&mut self, key: &str, place: String) {
        self.0.insert(key.into(), place);
    }

    /// Whether it is known where `key` was set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The place of a key or of the nearest table around it.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut key = key;
        loop {
            if let Some(place) = self.0.get(key) {
                return Some(place);
            }
            key = parent(key)?;
        }
    }

    fn add_table(&mut self, file: &str, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            self.set(&key, format!("{file}:{}", line_of(text, name.span().start)));
            self.add_value(file, text, &key, value);
        }
    }

    fn add_value(&mut self, file: &str, text: &str, key: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.add_table(file, text, key, table),
            DeValue::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    self.set(
                        &key,
                        format!("{file}:{}", line_of(text, value.span().start)),
                    );
                    self.add_value(file, text, &key, value);
                }
            }
            _ => {}
        }
    }
}

/// A key within a table, quoted where TOML wants it.
pub(super) fn join(prefix: &str, name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    let name = if is_bare {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    };
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}.{name}")
    }
}

/// The line of a byte of a text, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// `host."a.b".key` → `host."a.b"` → `host`.
fn parent(key: &str) -> Option<&str> {
    if let Some(before) = key.strip_suffix(']') {
        return before.rfind('[').map(|at| &before[..at]);
    }
    let mut is_quoted = false;
    let dot = key.char_indices().rev().find(|&(_, letter)| {
        is_quoted ^= letter == '"';
        letter == '.' && !is_quoted
    });
    dot.map(|(at, _)| &key[..at])
}
