//! The log subscriber, and the handle that changes its level while it runs.
//!
//! Standard output stays free for what a command prints.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::{Config, Error, Format};

/// Changes the level of the installed logs. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Handle {
    /// Logs at `config.level` from now on. The format stays as it is.
    pub fn reload(&self, config: &Config) -> Result<(), Error> {
        let filter = parse_level(&config.level)?;
        self.filter
            .reload(filter)
            .map_err(|gone| Error::Reload(gone.to_string()))
    }
}

/// Installs the logs of this process. Works once.
pub fn init(config: &Config) -> Result<Handle, Error> {
    let (filter, handle) = reload::Layer::new(parse_level(&config.level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match config.format {
        Format::Human => registry
            .with(
                fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::stderr().is_terminal()),
            )
            .try_init(),
        Format::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    installed.map_err(|already| Error::AlreadyInstalled(already.to_string()))?;
    Ok(Handle { filter: handle })
}

/// Reads a level such as "info,starling_edge=debug".
pub(crate) fn parse_level(level: &str) -> Result<EnvFilter, Error> {
    let wrong = |reason: String| Error::Level {
        level: level.into(),
        reason,
    };
    // EnvFilter takes any word for the name of a target and then logs
    // everything of it: a misspelt level would go unnoticed.
    for part in level.split(',').filter(|part| !part.contains(['=', '['])) {
        if part
            .trim()
            .parse::<tracing::level_filters::LevelFilter>()
            .is_err()
        {
            return Err(wrong(format!(
                "use error, warn, info, debug, trace or off in place of \"{}\"",
                part.trim()
            )));
        }
    }
    EnvFilter::builder()
        .parse(level)
        .map_err(|reason| wrong(reason.to_string()))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    fn problem(level: &str) -> Option<String> {
        let config = Config {
            level: level.into(),
            ..Config::default()
        };
        config.check().pop().map(|(_, message)| message)
    }

    #[test]
    fn levels_with_exceptions_are_understood() {
        for level in [
            "info",
            "off",
            "warn,starling_edge=debug",
            "info,a[b{c=d}]=trace",
        ] {
            assert_eq!(problem(level), None, "{level}");
        }
    }

    #[test]
    fn a_misspelt_level_is_told() {
        assert_eq!(
            problem("inof").unwrap(),
            "\"inof\" is not a log level: use error, warn, info, debug, trace or off \
             in place of \"inof\""
        );
        assert!(problem("info,starling_edge=loud").is_some());
    }
}
