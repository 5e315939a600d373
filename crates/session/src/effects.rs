//! What processing one stanza leads to: writes, and what may happen only when
//! they are durable. Plain values; `commit` and `router` carry them out.

use std::sync::Arc;

use starling_link::{Close, MessageId, Receipt, SessionId};
use starling_store::Change;
use starling_xmpp::Stanza;

use crate::ring::Ring;

/// Something the world outside the shard will notice.
pub(crate) enum Effect {
    /// Send a stanza to its `to`, through the recipient's policy.
    Route {
        /// The stanza.
        stanza: Stanza,
        /// What the recipient settles, if a client's stanza led to this.
        receipt: Option<Receipt>,
        /// The number of a message.
        id: Option<MessageId>,
    },
    /// Hand a stanza to a session of this account.
    Deliver {
        /// The session's way out.
        ring: Arc<Ring>,
        /// The stanza.
        stanza: Stanza,
        /// All sessions that are to get it, if there are several.
        targets: Option<Arc<[SessionId]>>,
    },
    /// This account is done with its part of what a client sent.
    Settle(Receipt),
    /// Ask to be told when a client has been sent everything.
    ReportDrained {
        /// The client's way out.
        ring: Arc<Ring>,
    },
    /// Tell a client that stream management is on.
    Enable {
        /// Its way out.
        ring: Arc<Ring>,
        /// The number of its last stanza before.
        received: u32,
    },
    /// End a session's stream.
    Close {
        /// Its way out.
        ring: Arc<Ring>,
        /// Why.
        why: Close,
    },
    /// Tell someone who waits inside this process.
    Tell(Box<dyn FnOnce() + Send + Sync>),
}

/// The effects of one stanza, in order.
#[derive(Default)]
pub(crate) struct Effects {
    /// What must be durable before anything else happens.
    pub(crate) writes: Vec<Change>,
    /// What happens then.
    pub(crate) releases: Vec<Effect>,
}
