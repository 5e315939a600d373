//! An account's vCard (XEP-0054), opaque. What presence says of its photo
//! (XEP-0153) is the feature's work.

use async_trait::async_trait;
use bytes::Bytes;
use starling_xmpp::jid::BareJid;

use crate::Error;

/// What happens to a vCard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replaces it: the `<vCard/>` element, standalone.
    Put(Bytes),
    /// Removes it.
    Remove,
}

/// Reads of vCards.
#[async_trait]
pub trait Read: Send + Sync {
    /// The `<vCard/>` element, if the owner has stored one.
    async fn vcard(&self, owner: &BareJid) -> Result<Option<Bytes>, Error>;
}
