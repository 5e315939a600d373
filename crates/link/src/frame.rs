//! The hot path between nodes: frames, of which every stanza makes at least
//! two. They carry stanzas as bytes with a parsed header, never as a tree.
//!
//! Which shard and epoch a frame is for is written down by the link when it
//! crosses the network, and checked there by the receiver.

use starling_xmpp::{BareJid, Stanza};

use crate::{Attach, Detached, Enable, MessageId, Receipt, SessionKey, TraceContext};

/// Something for the shard of an account to do.
///
/// What an edge says of a session names the stream it says it for; the session
/// does not listen to an earlier one. Numbers are those of [`crate::Management`].
#[derive(Debug)]
pub enum Frame {
    /// A client sent a stanza. `from` is already the session's full JID.
    FromClient {
        /// The session it came from.
        session: SessionKey,
        /// Its stream.
        attach: Attach,
        /// The number of the stanza.
        number: u32,
        /// What it sent.
        stanza: Stanza,
        /// Set if the stanza is watched on its way.
        trace: Option<TraceContext>,
    },
    /// A client sent a stanza that the edge dealt with itself.
    Answered {
        /// The session it came from.
        session: SessionKey,
        /// Its stream.
        attach: Attach,
        /// The number of the stanza.
        number: u32,
        /// What the client is told. It goes through the session, because only
        /// the session puts stanzas to a client in order.
        answer: Option<Stanza>,
    },
    /// The client has every stanza up to a number: it says so itself (XEP-0198
    /// §4), or, where it does not use stream management, they are written to
    /// its connection.
    Acked {
        /// The session.
        session: SessionKey,
        /// Its stream.
        attach: Attach,
        /// The number of the last one.
        number: u32,
    },
    /// The client asks for stream management. The answer comes by the outlet.
    Enable {
        /// The session.
        session: SessionKey,
        /// Its stream.
        attach: Attach,
        /// The number of the client's last stanza before.
        number: u32,
        /// What it asks for.
        request: Enable,
    },
    /// The client says whether anybody looks at it (XEP-0352).
    ClientState {
        /// The session.
        session: SessionKey,
        /// Its stream.
        attach: Attach,
        /// Whether somebody does.
        is_active: bool,
    },
    /// A session's stream has ended.
    Detach {
        /// The session.
        session: SessionKey,
        /// The stream.
        attach: Attach,
        /// How it ended.
        how: Detached,
        /// As in [`Frame::Acked`], as far as it was not said yet.
        acked: Option<u32>,
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
    /// The number of a message from an account of ours.
    pub id: Option<MessageId>,
    /// The sender's client says it once more, not knowing what became of it:
    /// it may have arrived long ago, under this number.
    pub is_repeated: bool,
    /// Set if the stanza, or the one it follows from, is watched on its way.
    pub trace: Option<TraceContext>,
}

impl Frame {
    /// The account whose shard must see this frame.
    pub fn target(&self) -> &BareJid {
        match self {
            Self::FromClient { session, .. }
            | Self::Answered { session, .. }
            | Self::Acked { session, .. }
            | Self::Enable { session, .. }
            | Self::ClientState { session, .. }
            | Self::Detach { session, .. } => &session.account,
            Self::Routed(routed) => &routed.target,
        }
    }
}
