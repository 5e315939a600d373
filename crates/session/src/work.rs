//! What a worker can be asked to do: frames, and questions with one answer.

use starling_cluster::Shard;
use starling_link::{Bind, BindError, Bound, Close, Error, Frame, SessionId, SessionInfo};
use starling_store::account;
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::oneshot;

/// One piece of work for the owner of a shard.
pub(crate) struct Work {
    /// The shard.
    pub(crate) shard: Shard,
    /// The account, host or component that it concerns.
    pub(crate) target: BareJid,
    /// What to do.
    pub(crate) task: Task,
}

/// What to do at an account.
pub(crate) enum Task {
    /// Something from an edge or another shard.
    Frame(Frame),
    /// Give an authenticated stream its session.
    Bind(Box<Bind>, oneshot::Sender<Result<Bound, BindError>>),
    /// Tell the account's sessions.
    Sessions(oneshot::Sender<Vec<SessionInfo>>),
    /// End one session, or all of them.
    Kick {
        /// The session; `None` for every one.
        session: Option<SessionId>,
        /// What its client is told.
        why: Close,
        /// Whether there was any.
        answer: oneshot::Sender<bool>,
    },
    /// Make changes to the account itself durable.
    Change(Vec<account::Change>, oneshot::Sender<Result<(), Error>>),
    /// End every session, tell every contact, erase everything stored.
    Remove(oneshot::Sender<Result<bool, Error>>),
    /// A session did not take a stanza: it is lost, the stanza is not.
    Undelivered {
        /// The session.
        session: SessionId,
        /// What it did not take.
        stanza: Stanza,
    },
}

impl Task {
    /// Whether it may be refused when too much waits for its account. What the
    /// account's own sessions do may not: their stanzas are bounded by credit,
    /// and an end that nobody notices would leave a ghost behind.
    pub(crate) fn is_refusable(&self) -> bool {
        match self {
            Self::Frame(Frame::Routed(_))
            | Self::Bind(..)
            | Self::Sessions(_)
            | Self::Kick { .. }
            | Self::Change(..) => true,
            Self::Frame(
                Frame::FromClient { .. } | Frame::Detach { .. } | Frame::Drained { .. },
            )
            | Self::Remove(_)
            | Self::Undelivered { .. } => false,
        }
    }
}

/// A question about every account of a worker.
pub(crate) enum Survey {
    /// Sessions, up to a number.
    Sessions(usize, oneshot::Sender<Vec<SessionInfo>>),
}
