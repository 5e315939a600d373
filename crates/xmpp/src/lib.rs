//! JIDs, stanzas, error conditions, the XML reader and writer, stream framing.
//!
//! Bytes first: a stanza is the bytes it came as plus a parsed head, and what
//! nobody changes is never written anew. There is no IO in here, no clock and
//! no runtime: sockets belong to `edge`, meaning belongs to `session` and
//! `features`.

pub mod credentials;
pub mod element;
pub mod error;
pub mod jid;
pub mod ns;
pub mod payload;
pub mod stanza;
pub mod stream;
pub mod time;
pub mod xml;

pub use element::Element;
pub use error::{Condition, ErrorType, ParseError, StanzaError};
pub use jid::{BareJid, Jid};
pub use stanza::{Head, Kind, Payload, Stanza, Type};
pub use time::UnixMillis;
