//! Errors to and from gRPC status: what a question between nodes can end with.
//!
//! The details of a status are a `Failure` of `control.proto`. A status without
//! them was made by the transport, and means what its code says.

use bytes::Bytes;
use prost::Message as _;
use starling_link::{BindError, Error, ReattachError, ResumeError};
use tonic::{Code, Status};

use crate::link::pb::Malformed;
use crate::link::v1::failure::Kind;
use crate::link::v1::{Failure, Refusal, Reply, reply};

/// The status of a failed question.
pub(crate) fn of_error(error: &Error) -> Status {
    let (code, kind, text) = match error {
        Error::Unavailable => (Code::Unavailable, Kind::Unavailable, ""),
        Error::Store(text) => (Code::Internal, Kind::Store, text.as_str()),
        Error::Stale => (Code::Aborted, Kind::Stale, ""),
        Error::NoAccount => (Code::NotFound, Kind::NoAccount, ""),
        Error::ShuttingDown => (Code::Unavailable, Kind::ShuttingDown, ""),
    };
    status(code, error, failure(kind, text))
}

/// The status of a refused binding.
pub(crate) fn of_bind(error: &BindError) -> Status {
    let (code, kind) = match error {
        BindError::BadResource => (Code::InvalidArgument, Kind::BadResource),
        BindError::Conflict => (Code::AlreadyExists, Kind::Conflict),
        BindError::TooManySessions => (Code::ResourceExhausted, Kind::TooManySessions),
        BindError::NoAccount => (Code::NotFound, Kind::BindNoAccount),
        BindError::Stale => (Code::Aborted, Kind::BindStale),
        BindError::Link(error) => return of_error(error),
    };
    status(code, error, failure(kind, ""))
}

/// The status of a refused resumption.
pub(crate) fn of_resume(error: &ResumeError) -> Status {
    let (code, failure) = match error {
        ResumeError::Unknown { h } => {
            let failure = Failure {
                h: *h,
                ..failure(Kind::ResumeUnknown, "")
            };
            (Code::NotFound, failure)
        }
        ResumeError::TooHigh { h, sent } => {
            let failure = Failure {
                h: Some(*h),
                sent: *sent,
                ..failure(Kind::ResumeTooHigh, "")
            };
            (Code::OutOfRange, failure)
        }
        ResumeError::Stale => (Code::Aborted, failure(Kind::ResumeStale, "")),
        ResumeError::Link(error) => return of_error(error),
    };
    status(code, error, failure)
}

/// What a status means for a question.
pub(crate) fn error(status: &Status) -> Error {
    let failure = details(status);
    match failure.kind() {
        Kind::Unavailable => Error::Unavailable,
        Kind::Store => Error::Store(failure.text),
        Kind::Stale | Kind::BindStale | Kind::ResumeStale => Error::Stale,
        Kind::NoAccount | Kind::BindNoAccount | Kind::ReattachNoAccount => Error::NoAccount,
        Kind::ShuttingDown => Error::ShuttingDown,
        // Answers to other questions: the other side is not what it should be.
        Kind::BadResource
        | Kind::Conflict
        | Kind::TooManySessions
        | Kind::ResumeUnknown
        | Kind::ResumeTooHigh
        | Kind::ReattachLate
        | Kind::ReattachUnreadable => {
            Error::Store(format!("an answer to another question: {status}"))
        }
        Kind::Unspecified => of_transport(status),
    }
}

/// What a status means for a binding.
pub(crate) fn bind_error(status: &Status) -> BindError {
    match details(status).kind() {
        Kind::BadResource => BindError::BadResource,
        Kind::Conflict => BindError::Conflict,
        Kind::TooManySessions => BindError::TooManySessions,
        Kind::BindNoAccount => BindError::NoAccount,
        Kind::BindStale => BindError::Stale,
        Kind::Unspecified
        | Kind::Unavailable
        | Kind::Store
        | Kind::Stale
        | Kind::NoAccount
        | Kind::ShuttingDown
        | Kind::ResumeUnknown
        | Kind::ResumeTooHigh
        | Kind::ResumeStale
        | Kind::ReattachLate
        | Kind::ReattachUnreadable
        | Kind::ReattachNoAccount => BindError::Link(error(status)),
    }
}

/// What a status means for a resumption.
pub(crate) fn resume_error(status: &Status) -> ResumeError {
    let failure = details(status);
    match failure.kind() {
        Kind::ResumeUnknown => ResumeError::Unknown { h: failure.h },
        Kind::ResumeTooHigh => ResumeError::TooHigh {
            h: failure.h.unwrap_or_default(),
            sent: failure.sent,
        },
        Kind::ResumeStale => ResumeError::Stale,
        Kind::Unspecified
        | Kind::Unavailable
        | Kind::Store
        | Kind::Stale
        | Kind::NoAccount
        | Kind::ShuttingDown
        | Kind::BadResource
        | Kind::Conflict
        | Kind::TooManySessions
        | Kind::BindNoAccount
        | Kind::BindStale
        | Kind::ReattachLate
        | Kind::ReattachUnreadable
        | Kind::ReattachNoAccount => ResumeError::Link(error(status)),
    }
}

/// The status of a session that was not taken over.
pub(crate) fn of_reattach(error: &ReattachError) -> Status {
    let (code, kind, text) = match error {
        ReattachError::Late => (Code::FailedPrecondition, Kind::ReattachLate, ""),
        ReattachError::Unreadable(why) => (
            Code::InvalidArgument,
            Kind::ReattachUnreadable,
            why.as_str(),
        ),
        ReattachError::NoAccount => (Code::NotFound, Kind::ReattachNoAccount, ""),
        ReattachError::Link(error) => return of_error(error),
    };
    status(code, error, failure(kind, text))
}

/// What a status means for a session that is brought to a new owner.
pub(crate) fn reattach_error(status: &Status) -> ReattachError {
    let failure = details(status);
    match failure.kind() {
        Kind::ReattachLate => ReattachError::Late,
        Kind::ReattachUnreadable => ReattachError::Unreadable(failure.text),
        Kind::ReattachNoAccount => ReattachError::NoAccount,
        Kind::Unspecified
        | Kind::Unavailable
        | Kind::Store
        | Kind::Stale
        | Kind::NoAccount
        | Kind::ShuttingDown
        | Kind::BadResource
        | Kind::Conflict
        | Kind::TooManySessions
        | Kind::BindNoAccount
        | Kind::BindStale
        | Kind::ResumeUnknown
        | Kind::ResumeTooHigh
        | Kind::ResumeStale => ReattachError::Link(error(status)),
    }
}

/// The answer to a question that came by a lane, as its bytes say it.
pub(crate) fn reply(answer: Result<reply::What, Status>) -> Reply {
    let what = answer.unwrap_or_else(|status| {
        reply::What::Refusal(Refusal {
            code: status.code().into(),
            text: status.message().to_owned(),
            details: Bytes::copy_from_slice(status.details()),
        })
    });
    Reply { what: Some(what) }
}

/// What such an answer means.
pub(crate) fn of_reply(reply: Reply) -> Result<reply::What, Status> {
    match reply.what {
        Some(reply::What::Refusal(Refusal {
            code,
            text,
            details,
        })) => Err(Status::with_details(Code::from(code), text, details)),
        Some(what) => Ok(what),
        None => Err(Status::internal("an answer that is not known here")),
    }
}

fn failure(kind: Kind, text: &str) -> Failure {
    Failure {
        kind: kind.into(),
        text: text.to_owned(),
        h: None,
        sent: 0,
    }
}

fn status(code: Code, error: &impl std::fmt::Display, failure: Failure) -> Status {
    Status::with_details(code, error.to_string(), failure.encode_to_vec().into())
}

fn details(status: &Status) -> Failure {
    Failure::decode(status.details()).unwrap_or_default()
}

/// A status that no node of ours made on purpose.
fn of_transport(status: &Status) -> Error {
    match status.code() {
        // The connection, or the other side, is not there: try again.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unavailable => Error::Unavailable,
        // Trying again will not help; an operator has to look.
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => Error::Store(format!("the other node refused: {status}")),
    }
}

/// The status of what another node sent and nobody can read.
pub(crate) fn malformed(why: Malformed) -> Status {
    Status::data_loss(why.to_string())
}

/// An error with its causes, for a log.
pub(crate) struct Chain<'a>(pub(crate) &'a Status);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.message())?;
        let mut source = std::error::Error::source(self.0);
        while let Some(why) = source {
            write!(f, ": {why}")?;
            source = why.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors() -> [Error; 5] {
        [
            Error::Unavailable,
            Error::Store("no disk".to_owned()),
            Error::Stale,
            Error::NoAccount,
            Error::ShuttingDown,
        ]
    }

    #[test]
    fn every_error_comes_back_as_it_was() {
        for before in errors() {
            assert_eq!(error(&of_error(&before)), before);
        }
    }

    #[test]
    fn every_refusal_of_a_binding_comes_back_as_it_was() {
        let own = [
            BindError::BadResource,
            BindError::Conflict,
            BindError::TooManySessions,
            BindError::NoAccount,
            BindError::Stale,
        ];
        for before in own.into_iter().chain(errors().map(BindError::Link)) {
            assert_eq!(bind_error(&of_bind(&before)), before);
        }
    }

    #[test]
    fn every_refusal_of_a_resumption_comes_back_as_it_was() {
        let own = [
            ResumeError::Unknown { h: None },
            ResumeError::Unknown { h: Some(0) },
            ResumeError::Unknown { h: Some(7) },
            ResumeError::TooHigh { h: 9, sent: 8 },
            ResumeError::Stale,
        ];
        for before in own.into_iter().chain(errors().map(ResumeError::Link)) {
            assert_eq!(resume_error(&of_resume(&before)), before);
        }
    }

    #[test]
    fn every_refusal_of_a_session_that_moves_comes_back_as_it_was() {
        let own = [
            ReattachError::Late,
            ReattachError::Unreadable("a version".to_owned()),
            ReattachError::NoAccount,
        ];
        for before in own.into_iter().chain(errors().map(ReattachError::Link)) {
            assert_eq!(reattach_error(&of_reattach(&before)), before);
        }
    }

    #[test]
    fn a_status_of_the_transport_means_to_try_again_or_to_look() {
        let unavailable = Status::unavailable("connection refused");
        assert_eq!(error(&unavailable), Error::Unavailable);
        let refused = Status::permission_denied("not your role");
        assert!(matches!(error(&refused), Error::Store(_)));
    }
}
