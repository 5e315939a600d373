//! What can be wrong with a piece of XML, one variant per stream error.
//!
//! Choosing the words a peer reads is left to `stream::error`.

/// Why a text is not XML that XMPP allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text breaks the grammar of XML 1.0 or of namespaces in XML.
    #[error("not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// RFC 6120 §11.1: a comment, a processing instruction, a document type
    /// or a reference to an entity beyond the five.
    #[error("restricted XML: {0}")]
    Restricted(&'static str),
    /// A prefix that no one declared.
    #[error("a prefix is not declared")]
    UndeclaredPrefix,
    /// A bound of [`Limits`](super::Limits) was passed.
    #[error("limit passed: {0}")]
    Limit(Limit),
}

/// The bound that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Bytes of one top-level element.
    #[error("element too big")]
    Bytes,
    /// Elements within each other.
    #[error("elements nested too deep")]
    Depth,
    /// Attributes of one element.
    #[error("too many attributes")]
    Attributes,
    /// Namespace declarations in force at one place.
    #[error("too many namespace declarations")]
    Namespaces,
    /// Elements within one top-level element, itself included.
    #[error("too many elements")]
    Elements,
}
