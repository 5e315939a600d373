//! An address that is known to have no resourcepart: an account, a room, a
//! contact, or with no localpart a host.
//!
//! Everything it can tell about itself it inherits from [`Jid`].

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use super::{Error, Jid, Part, prepare};

/// A [`Jid`] without a resourcepart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

impl BareJid {
    /// Parses an address that must not have a resourcepart.
    ///
    /// # Errors
    /// As [`Jid::parse`]; a resourcepart is refused as well.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::try_from(Jid::parse(text)?)
    }

    /// Builds an address from its parts.
    ///
    /// # Errors
    /// As [`Jid::from_parts`].
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, Error> {
        Jid::from_parts(local, domain, None).map(Self)
    }

    /// This address with a resourcepart, normalised here.
    ///
    /// # Errors
    /// When the resource is empty, too long or not allowed by RFC 7622 §3.4.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, Error> {
        let resource = prepare::resource(resource)?;
        Ok(Jid::join(self.local(), self.domain(), Some(&resource)))
    }

    /// The same address as a [`Jid`].
    #[must_use]
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    pub(super) fn from_bare(jid: Jid) -> Self {
        debug_assert!(jid.is_bare(), "a bare JID has no resource");
        Self(jid)
    }
}

impl Deref for BareJid {
    type Target = Jid;

    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Self {
        bare.0
    }
}

impl From<&BareJid> for Jid {
    fn from(bare: &BareJid) -> Self {
        bare.0.clone()
    }
}

impl TryFrom<Jid> for BareJid {
    type Error = Error;

    fn try_from(jid: Jid) -> Result<Self, Error> {
        if jid.is_full() {
            return Err(Error::Unexpected(Part::Resource));
        }
        Ok(Self(jid))
    }
}

impl FromStr for BareJid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq<Jid> for BareJid {
    fn eq(&self, other: &Jid) -> bool {
        self.0 == *other
    }
}

impl PartialEq<BareJid> for Jid {
    fn eq(&self, other: &BareJid) -> bool {
        *self == other.0
    }
}

impl Borrow<str> for BareJid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<Jid> for BareJid {
    fn borrow(&self) -> &Jid {
        &self.0
    }
}

impl AsRef<str> for BareJid {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
