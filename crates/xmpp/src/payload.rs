//! Payloads that more than one feature speaks: each a value, read from an
//! element and written as one.
//!
//! What a payload means is for the features; one that only a single feature
//! knows lives in that feature's file.

pub mod caps;
pub mod delay;
pub mod disco;
pub mod form;
pub mod forward;
pub mod hints;
pub mod rsm;
pub mod stanza_id;

/// An element that does not say what its schema demands. Whoever asked gets
/// `bad-request`, with this as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
