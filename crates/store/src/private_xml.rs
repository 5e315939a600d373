//! Private XML storage (XEP-0049): one element per name and namespace. The
//! element is opaque here.

use async_trait::async_trait;
use bytes::Bytes;
use smol_str::SmolStr;
use starling_xmpp::jid::BareJid;

use crate::Error;

/// Under what an element is kept: its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The element's namespace.
    pub namespace: SmolStr,
    /// The element's local name.
    pub name: SmolStr,
}

impl Key {
    /// The key of an element with this namespace and name.
    pub fn new(namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        Key {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// What happens to an account's private elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replaces the element under the key.
    Put {
        /// Its name.
        key: Key,
        /// The element, standalone.
        element: Bytes,
    },
    /// Removes the element under the key.
    Remove {
        /// Its name.
        key: Key,
    },
}

/// Reads of private elements.
#[async_trait]
pub trait Read: Send + Sync {
    /// The element under the key.
    async fn private_xml(&self, owner: &BareJid, key: &Key) -> Result<Option<Bytes>, Error>;
}
