//! XMPP addresses (RFC 7622): parsing, normalising, comparing.
//!
//! Two addresses are equal exactly when their normalised texts are equal, so
//! a `Jid` can be a map key, a shard key and a database key. XEP-0106 escapes
//! are ordinary characters here: they are never undone for routing. Whether an
//! address may be used (own host, existing account) is decided by others.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

mod bare;
mod class;
mod domain;
mod error;
mod fast;
mod prepare;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

pub use bare::BareJid;
pub use error::{Error, Part};

/// RFC 7622 §3.2–§3.4: no part may be longer than this, measured in UTF-8
/// after normalisation.
pub const PART_OCTETS_MAX: usize = 1023;

/// `localpart@domainpart/resourcepart`, normalised.
///
/// Cloning and [`Jid::to_bare`] share one allocation.
#[derive(Clone)]
pub struct Jid {
    /// Normalised text. May run past `end` when this is a shortened share of
    /// a longer address.
    text: Arc<str>,
    /// Length of the localpart; 0 when there is none (it cannot be empty).
    local_end: u16,
    /// Where the domainpart ends.
    domain_end: u16,
    /// Where this address ends; beyond `domain_end` there is `/resource`.
    end: u16,
}

impl Jid {
    /// Parses and normalises an address.
    ///
    /// # Errors
    /// Says which part is missing, too long or not allowed by RFC 7622.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(jid) = fast::parse(text) {
            return Ok(jid);
        }
        let (local, domain, resource) = split(text);
        Self::from_parts(local, domain, resource)
    }

    /// Builds an address from its parts, each normalised by its own rules.
    ///
    /// # Errors
    /// Says which part is missing, too long or not allowed by RFC 7622.
    pub fn from_parts(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, Error> {
        let local = local.map(prepare::local).transpose()?;
        let domain = domain::prepare(domain)?;
        let resource = resource.map(prepare::resource).transpose()?;
        Ok(Self::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// The part before the `@`: who, on the domain.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        (self.local_end > 0).then(|| &self.text[..usize::from(self.local_end)])
    }

    /// The host, or component, or server. Every address has one.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.domain_start()..usize::from(self.domain_end)]
    }

    /// The part after the first `/`: which connected device, or which
    /// occupant of a room.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        (self.end > self.domain_end)
            .then(|| &self.text[usize::from(self.domain_end) + 1..usize::from(self.end)])
    }

    /// Whether there is no resourcepart.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.end == self.domain_end
    }

    /// Whether there is a resourcepart.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.is_bare()
    }

    /// Whether there is no localpart: a server, a component, a MUC service.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.local_end == 0
    }

    /// The same address without its resourcepart. Does not allocate.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        BareJid::from_bare(Self {
            end: self.domain_end,
            ..self.clone()
        })
    }

    /// Only the domainpart, as an address.
    #[must_use]
    pub fn to_host(&self) -> BareJid {
        if self.is_domain() {
            return self.to_bare();
        }
        BareJid::from_bare(Self::join(None, self.domain(), None))
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text[..usize::from(self.end)]
    }

    /// The normalised text up to the resourcepart: what [`Jid::to_bare`] would
    /// say, without taking a share.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        &self.text[..usize::from(self.domain_end)]
    }

    /// Whether both addresses have the same bare form.
    #[must_use]
    pub fn is_same_bare(&self, other: &Jid) -> bool {
        self.bare_str() == other.bare_str()
    }

    fn domain_start(&self) -> usize {
        match self.local_end {
            0 => 0,
            n => usize::from(n) + 1,
        }
    }

    /// Joins parts that are already normalised and within their limits.
    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let local_len = local.map_or(0, str::len);
        let domain_end = domain.len() + if local_len > 0 { local_len + 1 } else { 0 };
        let mut text = String::with_capacity(domain_end + 1 + resource.map_or(0, str::len));
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Self::new(Arc::from(text), local_len, domain_end)
    }

    /// Invariant: `text` is normalised, and no part is longer than
    /// [`PART_OCTETS_MAX`], so three parts and two separators fit a `u16`.
    fn new(text: Arc<str>, local_end: usize, domain_end: usize) -> Self {
        debug_assert!(text.len() <= 3 * PART_OCTETS_MAX + 2, "a part is too long");
        debug_assert!(domain_end <= text.len(), "the domain ends inside the text");
        let end = offset(text.len());
        Self {
            local_end: offset(local_end),
            domain_end: offset(domain_end),
            end,
            text,
        }
    }
}

/// RFC 7622 §3.1: the resource starts after the first `/`; of what is before
/// it, the localpart ends at the first `@`.
fn split(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let (bare, resource) = match text.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (text, None),
    };
    match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain, resource),
        None => (None, bare, resource),
    }
}

/// An offset into an address. Saturation cannot happen: see [`Jid::new`].
fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

impl FromStr for Jid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Jid {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
