//! How a stream ends, and what the client and its session are told about it.
//!
//! The border to stream errors (RFC 6120 §4.9): every match here is exhaustive.

use smol_str::SmolStr;
use starling_link::{Close, Detached};
use starling_xmpp::stream::{StreamCondition, StreamError};

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client closed its stream (RFC 6120 §4.4).
    Closed,
    /// The socket broke, or ended in the middle of the stream.
    Lost,
    /// TLS could not be agreed on (RFC 6120 §5.4.3.2).
    Handshake,
    /// The client broke the protocol, or a limit.
    Failed(Box<StreamError>),
    /// Its session wants it so.
    Session(Close),
    /// It took nothing for `limits.write_stall_timeout`.
    Stalled,
    /// It did not answer a ping in time.
    Silent,
    /// It did not authenticate or bind in time.
    Late,
    /// No node took what it sent for `limits.unavailable_timeout`.
    Unreachable,
    /// It sent a stream error of its own (RFC 6120 §4.9.1.1).
    Forsaken,
    /// The edge stops, or lets its clients go.
    Draining,
    /// The same, and this is where the client can go instead.
    Elsewhere(SmolStr),
}

impl Ending {
    /// The client did something that a stream does not allow.
    pub(crate) fn failed(condition: StreamCondition, text: &'static str) -> Self {
        Self::Failed(Box::new(StreamError::new(condition).text(text)))
    }

    /// The client sent what nobody offered it.
    pub(crate) fn not_negotiated() -> Self {
        Self::failed(
            StreamCondition::UnsupportedStanzaType,
            "this is not negotiated on a bound stream",
        )
    }

    /// What is sent before the closing tag, if anything.
    pub(crate) fn stream_error(&self) -> Option<StreamError> {
        let (condition, text) = match self {
            // One stream error is not answered with another.
            Self::Closed | Self::Forsaken | Self::Lost | Self::Handshake => return None,
            Self::Failed(error) => return Some(StreamError::clone(error)),
            Self::Session(why) => return Some(of_session(*why)),
            Self::Stalled => (
                StreamCondition::ResourceConstraint,
                "you do not read what you are sent",
            ),
            // RFC 6120 §4.9.3.4.
            Self::Silent => (
                StreamCondition::ConnectionTimeout,
                "you did not answer a ping",
            ),
            Self::Late => (
                StreamCondition::ConnectionTimeout,
                "you took too long to log in",
            ),
            // RFC 6120 §4.9.3.6: our fault, and said so.
            Self::Unreachable => (
                StreamCondition::InternalServerError,
                "the server cannot reach your session",
            ),
            Self::Draining => (
                StreamCondition::SystemShutdown,
                "the server restarts, please come back",
            ),
            // RFC 6120 §4.9.3.19.
            Self::Elsewhere(address) => {
                let mut error = StreamError::new(StreamCondition::SeeOtherHost);
                error.address = Some(address.as_str().into());
                return Some(error);
            }
        };
        Some(StreamError::new(condition).text(text))
    }

    /// What the session is told.
    pub(crate) fn detached(&self) -> Detached {
        match self {
            // Nobody can come back to a session of a host that is gone.
            Self::Closed | Self::Session(Close::HostGone) => Detached::Closed,
            Self::Lost
            | Self::Handshake
            | Self::Failed(_)
            | Self::Session(_)
            | Self::Stalled
            | Self::Silent
            | Self::Late
            | Self::Unreachable
            | Self::Forsaken
            | Self::Draining
            | Self::Elsewhere(_) => Detached::Lost,
        }
    }

    /// Whether the other side can still be told anything.
    pub(crate) fn has_listener(&self) -> bool {
        match self {
            Self::Lost | Self::Handshake => false,
            Self::Closed
            | Self::Failed(_)
            | Self::Session(_)
            | Self::Stalled
            | Self::Silent
            | Self::Late
            | Self::Unreachable
            | Self::Forsaken
            | Self::Draining
            | Self::Elsewhere(_) => true,
        }
    }

    /// For logs and metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Lost => "lost",
            Self::Handshake => "tls-failed",
            Self::Failed(error) => error.condition.as_str(),
            Self::Session(why) => of_session(*why).condition.as_str(),
            Self::Stalled => "stalled",
            Self::Silent => "silent",
            Self::Late => "late",
            Self::Unreachable => "unreachable",
            Self::Forsaken => "client-error",
            Self::Draining => "draining",
            Self::Elsewhere(_) => "see-other-host",
        }
    }
}

fn of_session(why: Close) -> StreamError {
    let (condition, text) = match why {
        Close::Conflict => (
            StreamCondition::Conflict,
            "another connection has taken your resource",
        ),
        Close::NotAuthorized => (
            StreamCondition::NotAuthorized,
            "your session was ended by the server",
        ),
        Close::ResourceConstraint => (
            StreamCondition::ResourceConstraint,
            "more waits for you than the server can hold",
        ),
        Close::SystemShutdown => (
            StreamCondition::SystemShutdown,
            "the server restarts, please come back",
        ),
        Close::InternalServerError => (
            StreamCondition::InternalServerError,
            "the server could not keep your session",
        ),
        Close::HostGone => (
            StreamCondition::HostGone,
            "this server serves your host no more",
        ),
    };
    StreamError::new(condition).text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_lost_its_resource_hears_conflict() {
        // RFC 6120 §7.7.2.2 and §4.9.3.3.
        let ending = Ending::Session(Close::Conflict);
        let error = ending.stream_error().map(|error| error.condition);
        assert_eq!(error, Some(StreamCondition::Conflict));
        assert_eq!(ending.reason(), "conflict");
    }

    #[test]
    fn a_session_of_a_host_that_is_gone_is_over() {
        // RFC 6120 §4.9.3.7.
        let ending = Ending::Session(Close::HostGone);
        assert_eq!(ending.reason(), "host-gone");
        assert_eq!(ending.detached(), Detached::Closed);
    }

    #[test]
    fn only_a_closing_tag_is_a_clean_end() {
        // RFC 6120 §4.4; PROTOCOL B.1 15.
        assert_eq!(Ending::Closed.detached(), Detached::Closed);
        assert_eq!(Ending::Lost.detached(), Detached::Lost);
        assert_eq!(Ending::Draining.detached(), Detached::Lost);
        assert_eq!(Ending::Closed.stream_error(), None);
    }
}
