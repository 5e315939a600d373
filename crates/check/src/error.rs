//! Why something could not go on. What to do about it is the caller's to say.

use std::io;

/// What went wrong between a device and its server, or around them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection is gone; a new one may work.
    #[error("the connection is gone: {0}")]
    Gone(String),
    /// The server took too long.
    #[error("the server took too long")]
    Late,
    /// The server refused what a client cannot do without.
    #[error("the server refused {what}: {answer}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What it answered.
        answer: String,
    },
    /// A server could not be started or reached.
    #[error("{0}")]
    Target(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Gone(error.to_string())
    }
}
