//! What processing one stanza leads to: writes, and what may happen only when
//! they are durable. Plain values; `commit` and `router` carry them out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starling_link::{
    ActiveSpan, Attach, Close, Ledger, MessageId, Receipt, Resumption, SessionKey, TraceContext,
};
use starling_store::Change;
use starling_xmpp::Stanza;

use crate::outgoing::Outgoing;
use crate::ring::{Holder, Ring};
use crate::work::Alarm;

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
        /// Its client says it once more.
        is_repeated: bool,
        /// Set if the stanza in hand is watched on its way.
        trace: Option<TraceContext>,
    },
    /// Hand a stanza to a session of this account.
    Deliver {
        /// The session's way out.
        ring: Arc<Ring>,
        /// The stanza.
        outgoing: Outgoing,
        /// Set if the stanza in hand is watched on its way.
        trace: Option<TraceContext>,
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
        /// How it may come back.
        resumption: Option<Resumption>,
    },
    /// Let stanzas wait, or those that do go.
    Hold {
        /// The client's way out.
        ring: Arc<Ring>,
        /// Which wait from now on.
        holder: Option<Holder>,
    },
    /// Have the edge of a session remember what it is like.
    Remember {
        /// The client's way out.
        ring: Arc<Ring>,
        /// The session in short.
        summary: Bytes,
    },
    /// End a session's stream.
    Close {
        /// Its way out.
        ring: Arc<Ring>,
        /// Why.
        why: Close,
    },
    /// Do more with a session once all that its client sent is dealt with.
    WhenCaughtUp {
        /// The session.
        key: SessionKey,
        /// What counts it.
        ledger: Arc<Ledger>,
        /// The stream that waits for it.
        attach: Attach,
    },
    /// Tell someone who waits inside this process.
    Tell(Box<dyn FnOnce() + Send + Sync>),
}

/// The effects of one stanza, in order.
#[derive(Default)]
pub(crate) struct Effects {
    /// What happens whatever becomes of the writes: refusals that say that
    /// nothing can be written.
    pub(crate) at_once: Vec<Effect>,
    /// What must be durable before anything else happens.
    pub(crate) writes: Vec<Change>,
    /// What happens then.
    pub(crate) releases: Vec<Effect>,
    /// What is to be looked at later.
    pub(crate) alarms: Vec<(Duration, Alarm)>,
}

/// Effects of a kind for which room is kept from one handling to the next: more
/// than a message leaves behind.
const ROOM_MAX: usize = 16;

impl Effects {
    /// What was carried out, to be used for the next handling, unless it has
    /// become large.
    pub(crate) fn reused(self) -> Self {
        debug_assert!(self.at_once.is_empty() && self.writes.is_empty());
        debug_assert!(self.releases.is_empty() && self.alarms.is_empty());
        if self.writes.capacity() > ROOM_MAX || self.releases.capacity() > ROOM_MAX {
            return Self::default();
        }
        self
    }

    /// The stanza in hand has been handled: what follows from it is watched
    /// under the span of its handling, which ends here.
    pub(crate) fn follow(&mut self, handled: ActiveSpan) -> TraceContext {
        let context = handled.context().clone();
        for effect in &mut self.releases {
            if let Effect::Route { trace, .. } | Effect::Deliver { trace, .. } = effect {
                *trace = Some(context.clone());
            }
        }
        handled.end();
        context
    }
}
