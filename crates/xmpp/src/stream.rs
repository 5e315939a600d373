//! XML streams (RFC 6120 §4): from bytes to headers, stanzas and nonzas.
//!
//! Sans-IO: bytes are fed in, events come out. A fast scanner finds where the
//! next element ends, then one pass checks and reads it. Negotiation and what
//! is answered are left to the edge.

mod decoder;
mod error;
mod header;
mod prologue;
mod scanner;

pub use decoder::{Decoder, Event, read_element};
pub use error::{StreamCondition, StreamError};
pub use header::{Content, StreamHeader, Version};

pub use crate::stanza::{Reason, Rejected};
pub use crate::xml::Limits;

/// What ends our side of a stream.
pub const CLOSE: &str = "</stream:stream>";

#[cfg(test)]
mod tests;
