//! What can go wrong in setting up logs, metrics and traces.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is not a filter that can be understood.
    #[error("\"{level}\" is not a log level: {reason}")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another subscriber was installed before.
    #[error("logs are set up already: {0}")]
    AlreadyInstalled(String),
    /// The subscriber is gone, so its level cannot be changed.
    #[error("the level cannot be changed: {0}")]
    Reload(String),
    /// The recorder of metrics could not be installed.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(String),
    /// The way to the receiver of traces cannot be set up.
    #[error("traces cannot be sent: {0}")]
    Traces(String),
}
