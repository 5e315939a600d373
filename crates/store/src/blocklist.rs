//! Whom an account has blocked (XEP-0191). Matching a stanza against the list
//! is the feature's work.

use std::collections::BTreeSet;

use async_trait::async_trait;
use starling_xmpp::jid::{BareJid, Jid};

use crate::Error;

/// Everyone an account has blocked: full JIDs, bare JIDs, domains.
pub type Blocklist = BTreeSet<Jid>;

/// What happens to a block list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds one address.
    Block(Jid),
    /// Takes one address off.
    Unblock(Jid),
    /// Takes all off (XEP-0191 §3.5).
    Clear,
}

impl Change {
    /// Does to a list in memory what the store does to its rows.
    pub fn apply_to(&self, list: &mut Blocklist) {
        match self {
            Change::Block(jid) => {
                list.insert(jid.clone());
            }
            Change::Unblock(jid) => {
                list.remove(jid);
            }
            Change::Clear => list.clear(),
        }
    }
}

/// Reads of block lists.
#[async_trait]
pub trait Read: Send + Sync {
    /// The whole list.
    async fn blocklist(&self, owner: &BareJid) -> Result<Blocklist, Error>;
}
