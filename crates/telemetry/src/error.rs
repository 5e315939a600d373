//! What can go wrong in setting up logs.

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
}
