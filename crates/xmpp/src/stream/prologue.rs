//! The XML declaration before a stream, RFC 6120 §11.5 and §11.6.
//!
//! `<?xml version='1.0'?>`, perhaps with an encoding, which must be UTF-8.

use super::error::{StreamCondition, StreamError};
use crate::xml::{self, Declared};

/// A declaration is about 60 bytes long; twice as long is no honest one.
const DECLARATION_BYTES_MAX: usize = 128;
const OPEN: &[u8] = b"<?xml";

/// What `bytes`, the first ones of a stream, begin with.
pub(super) enum Prologue {
    /// A declaration of this many bytes.
    Declaration(usize),
    /// No declaration.
    None,
    /// Too few bytes to tell.
    Incomplete,
}

/// Reads a declaration at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Prologue, StreamError> {
    match bytes {
        // §11.6: a byte order mark of UTF-16 or UTF-32.
        [0xfe | 0xff, ..] => return Err(StreamCondition::UnsupportedEncoding.into()),
        [b'<', b'?', ..] => {}
        [b'<'] | [] => return Ok(Prologue::Incomplete),
        _ => return Ok(Prologue::None),
    }
    let known = bytes.len().min(OPEN.len());
    let is_other = |byte: &u8| !xml::is_space(*byte) && *byte != b'?';
    if bytes[..known] != OPEN[..known] || bytes.get(OPEN.len()).is_some_and(is_other) {
        return Err(xml::Error::Restricted("processing instruction").into());
    }
    let visible = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    let Some(end) = memchr::memmem::find(visible, b"?>").filter(|&end| end >= OPEN.len()) else {
        return if visible.len() == DECLARATION_BYTES_MAX {
            Err(xml::Error::NotWellFormed("XML declaration without an end").into())
        } else {
            Ok(Prologue::Incomplete)
        };
    };
    match xml::read_declaration(&visible[OPEN.len()..end])? {
        Declared::Utf8 => Ok(Prologue::Declaration(end + 2)),
        Declared::OtherEncoding => Err(StreamCondition::UnsupportedEncoding.into()),
    }
}
