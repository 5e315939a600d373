//! The sections `[log]` and `[traces]` of the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::log::parse_level;
use crate::traces;

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

/// Traces of sampled stanzas, sent to an OpenTelemetry receiver by OTLP over
/// gRPC. Addresses and contents of stanzas are never in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Where traces are sent. Nothing is traced without it.
    #[schemars(example = "http://127.0.0.1:4317")]
    pub endpoint: Option<String>,
    /// Which part of the stanzas that clients send is traced, from 0 to 1. A
    /// traced stanza costs about as much again.
    pub sample_ratio: f64,
    /// The name that the receiver shows.
    pub service_name: String,
    /// A file with a line "name: value" for each header to send along, such as
    /// "authorization: Bearer ...". It holds a secret: for the node's user only.
    #[schemars(example = "traces.headers")]
    pub headers_file: Option<PathBuf>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample_ratio: 0.001,
            service_name: "starling".into(),
            headers_file: None,
        }
    }
}

impl Traces {
    /// What is wrong with the values: the key within the section, and why.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            let message = format!("{} is not a part of all: use 0.0 to 1.0", self.sample_ratio);
            problems.push(("sample_ratio", message));
        }
        if let Some(endpoint) = &self.endpoint
            && let Err(wrong) = traces::endpoint(endpoint)
        {
            problems.push(("endpoint", wrong.to_string()));
        }
        if let Some(file) = &self.headers_file
            && let Err(wrong) = traces::headers(file)
        {
            problems.push(("headers_file", wrong.to_string()));
        }
        problems
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_traces_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "authorization Bearer x").unwrap();
        let wrong = Traces {
            endpoint: Some("127.0.0.1:4317".into()),
            sample_ratio: 1.5,
            headers_file: Some(file),
            ..Traces::default()
        };
        let keys: Vec<_> = wrong.check().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["sample_ratio", "endpoint", "headers_file"]);
        assert_eq!(Traces::default().check(), []);
    }
}
