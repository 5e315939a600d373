//! The hot path between nodes: frames, of which every stanza makes at least
//! two. They carry stanzas as bytes with a parsed header, never as a tree.
//!
//! Which shard and epoch a frame is for is written down by the link when it
//! crosses the network, and checked there by the receiver.

use starling_xmpp::{BareJid, Stanza};

use crate::{Detached, Receipt, SessionKey};

/// Something for the shard of an account to do.
#[derive(Debug)]
pub enum Frame {
    /// A client sent a stanza. `from` is already the session's full JID.
    FromClient {
        /// The session it came from.
        session: SessionKey,
        /// What it sent.
        stanza: Stanza,
    },
    /// Everything that was delivered to a session before it asked for this
    /// report ([`crate::Outlet::report_drained`]) is written to its connection.
    Drained {
        /// The session.
        session: SessionKey,
    },
    /// A session's stream has ended.
    Detach {
        /// The session.
        session: SessionKey,
        /// How it ended.
        how: Detached,
    },
    /// A stanza for the account from another shard, a component or a server.
    Routed(Routed),
}

/// A stanza on its way between two accounts.
#[derive(Debug)]
pub struct Routed {
    /// The account or host that it is for: the bare form of its `to`.
    pub target: BareJid,
    /// The stanza. `from` has been checked by whoever sent it.
    pub stanza: Stanza,
    /// Settled once this account is done with what a client of ours sent.
    pub receipt: Option<Receipt>,
}

impl Frame {
    /// The account whose shard must see this frame.
    pub fn target(&self) -> &BareJid {
        match self {
            Self::FromClient { session, .. }
            | Self::Drained { session }
            | Self::Detach { session, .. } => &session.account,
            Self::Routed(routed) => &routed.target,
        }
    }
}
