//! What processing one stanza leads to: writes, and what may happen only when
//! they are durable. Plain values; `commit` and `router` carry them out.

use std::sync::Arc;

use starling_link::{Close, Outlet, Receipt, SessionId, SessionKey};
use starling_store::Change;
use starling_xmpp::Stanza;

/// Something the world outside the shard will notice.
pub enum Effect {
    /// Send a stanza to its `to`, through the recipient's policy.
    Route {
        /// The stanza.
        stanza: Stanza,
        /// What the recipient settles, if a client's stanza led to this.
        receipt: Option<Receipt>,
    },
    /// Hand a stanza to a session of this account.
    Deliver {
        /// The session.
        session: SessionKey,
        /// Its way out.
        outlet: Arc<dyn Outlet>,
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
        outlet: Arc<dyn Outlet>,
    },
    /// End a session's stream.
    Close {
        /// Its way out.
        outlet: Arc<dyn Outlet>,
        /// Why.
        why: Close,
    },
    /// Tell someone who waits inside this process.
    Tell(Box<dyn FnOnce() + Send + Sync>),
}

/// The effects of one stanza, in order.
#[derive(Default)]
pub struct Effects {
    /// What must be durable before anything else happens.
    pub(crate) writes: Vec<Change>,
    /// What happens then.
    pub(crate) releases: Vec<Effect>,
}

impl Effects {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.releases.is_empty()
    }
}
