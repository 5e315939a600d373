//! What can go wrong in this crate, and the errors that stanzas carry.
//!
//! Stream errors are with the stream (`stream::error`), XML errors with the
//! XML (`xml::Error`).

mod condition;
mod stanza;

pub use condition::{Condition, ErrorType};
pub use stanza::StanzaError;

use crate::stanza::Rejected;
use crate::xml;

/// Why bytes are not a stanza.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// They are not XML that XMPP allows.
    #[error(transparent)]
    Xml(#[from] xml::Error),
    /// They are one element, but no stanza.
    #[error("not a message, presence or iq of jabber:client or jabber:server")]
    NotAStanza,
    /// They are a stanza that breaks a rule of stanzas.
    #[error("malformed stanza: {}", .0.error)]
    Rejected(Box<Rejected>),
}
