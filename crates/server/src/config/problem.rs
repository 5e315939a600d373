//! A mistake in a configuration: where it is, what it is, what to do.

use std::fmt;

use serde::Serialize;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// File and line, or the variable: "starling.toml:3".
    pub place: String,
    /// The key, in full: "edge.tcp.listen". Empty for a mistake in the syntax.
    pub key: String,
    /// What is wrong and, where that is not plain from it, what would be right.
    pub message: String,
}

/// Every mistake of a configuration. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    /// The line it is in; those of no file come last.
    pub(super) fn line(&self) -> usize {
        let line = self
            .place
            .rsplit(':')
            .next()
            .and_then(|line| line.parse().ok());
        line.unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(out, "{}: {}", self.place, self.message)
        } else {
            write!(out, "{}: {}: {}", self.place, self.key, self.message)
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(out, "the configuration has a mistake:")?,
            n => writeln!(out, "the configuration has {n} mistakes:")?,
        }
        for problem in &self.0 {
            writeln!(out, "  {problem}")?;
        }
        write!(out, "Every key is explained by: starling config default")
    }
}

impl std::error::Error for Problems {}
