//! How a command ends: its exit code, and what is told about a failure.

use std::io::Write as _;
use std::process::ExitCode;

use starling_wire::grpc::Code;

use crate::config::Problems;

/// How a command ended. The numbers are in `starling --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was told.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The configuration is wrong.
    Configuration = 3,
    /// No node is running, or it cannot be reached.
    NotRunning = 4,
    /// There is no such account, session or node.
    NotFound = 5,
    /// The account exists already.
    Exists = 6,
    /// An import left out some lines.
    Partial = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A call that the node answered with an error; its message is a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refused {
    code: Code,
    message: String,
}

impl From<starling_wire::grpc::Status> for Refused {
    fn from(status: starling_wire::grpc::Status) -> Self {
        let message = match status.message() {
            "" => format!("the node answered: {}", status.code().description()),
            message => message.into(),
        };
        Self {
            code: status.code(),
            message,
        }
    }
}

/// Tells a failure on standard error, and which code says the same.
pub fn tell(error: &anyhow::Error) -> Exit {
    // Standard error may be closed; the code still tells.
    let _ = writeln!(std::io::stderr(), "starling: {error:#}{}", remedy(error));
    code_of(error)
}

fn code_of(error: &anyhow::Error) -> Exit {
    if error.is::<Problems>() {
        return Exit::Configuration;
    }
    match error.downcast_ref() {
        None
        | Some(
            starling_wire::Error::InUse { .. }
            | starling_wire::Error::Bind { .. }
            | starling_wire::Error::Listen { .. },
        ) => {}
        Some(starling_wire::Error::Certificate(_)) => return Exit::Configuration,
        Some(
            starling_wire::Error::PathTooLong { .. }
            | starling_wire::Error::NotRunning { .. }
            | starling_wire::Error::Connect { .. }
            | starling_wire::Error::Transport(_),
        ) => return Exit::NotRunning,
    }
    match error.downcast_ref::<Refused>().map(|refused| refused.code) {
        Some(Code::NotFound) => Exit::NotFound,
        Some(Code::AlreadyExists) => Exit::Exists,
        Some(Code::Unavailable) => Exit::NotRunning,
        _ => Exit::Failed,
    }
}

fn remedy(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref() {
        Some(starling_wire::Error::NotRunning { .. }) => {
            "\nStart one with \"starling\", or name its folder with --data."
        }
        Some(starling_wire::Error::Connect { .. }) => {
            "\nThe socket belongs to the user that the node runs as: try as that user."
        }
        _ => "",
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
    fn answers_of_the_node_have_codes_of_their_own() {
        let code = |status: starling_wire::grpc::Status| {
            code_of(&anyhow::Error::from(Refused::from(status)))
        };
        assert_eq!(
            code(starling_wire::grpc::Status::not_found("x")),
            Exit::NotFound
        );
        assert_eq!(
            code(starling_wire::grpc::Status::already_exists("x")),
            Exit::Exists
        );
        assert_eq!(
            code(starling_wire::grpc::Status::unavailable("x")),
            Exit::NotRunning
        );
        assert_eq!(
            code(starling_wire::grpc::Status::internal("x")),
            Exit::Failed
        );
    }

    #[test]
    fn context_does_not_hide_the_code() {
        let error = anyhow::Error::from(Problems(Vec::new())).context("reading it");
        assert_eq!(code_of(&error), Exit::Configuration);
    }
}
