//! Why a text is not an address.
//!
//! Every caller answers `jid-malformed`; the variants are for whoever typed
//! the address.

use std::fmt;

use super::PART_OCTETS_MAX;

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// RFC 7622 §3.2–§3.4: a part that is there must not be empty.
    #[error("the {0} is empty")]
    Empty(Part),
    /// RFC 7622 §3.2–§3.4: at most 1023 octets a part.
    #[error("the {0} is longer than {PART_OCTETS_MAX} octets")]
    TooLong(Part),
    /// A character or a sequence that the part's profile does not allow.
    #[error("the {0} has characters that are not allowed in it")]
    Forbidden(Part),
    /// A part that this kind of address does not have.
    #[error("the address must not have a {0}")]
    Unexpected(Part),
}

/// A part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Before the `@`.
    Local,
    /// The host.
    Domain,
    /// After the first `/`.
    Resource,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "localpart",
            Self::Domain => "domainpart",
            Self::Resource => "resourcepart",
        })
    }
}
