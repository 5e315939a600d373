//! The section `[log]` of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::log::parse_level;

/// How the node tells what it does, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is logged: error, warn, info, debug or trace, and then exceptions
    /// for parts of the program, as in "info,starling_edge=debug".
    pub level: String,
    /// "human" for lines to read, "json" for one object a line to collect.
    pub format: Format,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lines to read, coloured on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: Format::Human,
        }
    }
}

impl Config {
    /// What is wrong with the values: the key within the section, and why.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        parse_level(&self.level)
            .err()
            .map(|wrong| ("level", wrong.to_string()))
            .into_iter()
            .collect()
    }
}
