//! What a worker can be asked to do: frames, and questions with one answer.

use starling_cluster::{Epoch, NodeId, Shard};
use starling_link::{
    ActiveSpan, Attach, Bind, BindError, Bound, Close, Error, Frame, Reattach, ReattachError,
    Reattached, Resume, ResumeError, Resumed, Routed, SessionId, SessionInfo, Tally,
};
use starling_store::account;
use starling_xmpp::credentials::Fingerprint;
use starling_xmpp::{BareJid, Head};
use tokio::sync::oneshot;

use crate::outbox::{self, Keep};
use crate::outgoing::Outgoing;
use crate::registry::FeatureId;

/// One piece of work for the owner of a shard.
pub(crate) struct Work {
    /// The shard.
    pub(crate) shard: Shard,
    /// The account, host or component that it concerns.
    pub(crate) target: BareJid,
    /// What to do.
    pub(crate) task: Task,
}

impl Work {
    /// The frame in it.
    pub(crate) fn into_frame(self) -> Frame {
        match self.task {
            Task::Frame(frame) => frame,
            // Invariant: only frames are pushed in a way that hands them back.
            _ => unreachable!("only a frame comes back"),
        }
    }
}

/// What to do at an account.
pub(crate) enum Task {
    /// Something from an edge or another shard.
    Frame(Frame),
    /// Give an authenticated stream its session.
    Bind(Box<Bind>, oneshot::Sender<Result<Bound, BindError>>),
    /// Give an authenticated stream the session its client had before.
    Resume(Box<Resume>, oneshot::Sender<Result<Resumed, ResumeError>>),
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
    Change {
        /// The changes.
        changes: Vec<account::Change>,
        /// The credentials that the caller saw, if they must still be there.
        basis: Option<Fingerprint>,
        /// The credentials afterwards.
        answer: oneshot::Sender<Result<Fingerprint, Error>>,
    },
    /// End every session, tell every contact, erase everything stored.
    Remove(oneshot::Sender<Result<bool, Error>>),
    /// More waits for a client than is kept: its session has to end.
    Overflowed(SessionId),
    /// A stanza was meant for a session that is over.
    Undelivered(Box<Outgoing>),
    /// Bring a session to its new owner.
    Reattach(
        Box<Reattach>,
        oneshot::Sender<Result<Reattached, ReattachError>>,
    ),
    /// Look after what an earlier owner left under way.
    Recover,
    /// Stanzas of the account whose recipients are out of reach are to be kept.
    Keep(Box<Keep>),
    /// Something that was put off.
    Alarm(Alarm),
}

impl Task {
    /// Whether it may be refused when too much waits for an account. What comes
    /// from sessions is bounded by their credit, and what others wait for by
    /// their number: refusing it would leave a ghost behind, or lose a stanza.
    pub(crate) fn is_refusable(&self) -> bool {
        matches!(self, Self::Frame(Frame::Routed(_)))
    }

    /// Whether its sender has been told that it arrives, or waits to be: what
    /// waits is bounded by what senders keep of it, and whoever is refused was
    /// promised otherwise.
    pub(crate) fn is_promised(&self) -> bool {
        matches!(self, Self::Frame(Frame::Routed(routed)) if routed.receipt.is_some())
    }

    /// Whether somebody would have to say it again if it were refused, and counts
    /// on it that he need not: a message, or what changes a subscription. It
    /// waits where others are told to try again.
    pub(crate) fn is_kept(&self) -> bool {
        let kept = |routed: &Routed| routed.receipt.is_some() && outbox::is_kept(&routed.stanza);
        matches!(self, Self::Frame(Frame::Routed(routed)) if kept(routed))
    }

    /// Begins the span of its handling, if its stanza is watched on its way.
    pub(crate) fn watch(&mut self) -> Option<Box<ActiveSpan>> {
        let (trace, side) = match self {
            Self::Frame(Frame::FromClient { trace, .. }) => (trace.take()?, "sender"),
            Self::Frame(Frame::Routed(routed)) => (routed.trace.take()?, "recipient"),
            _ => return None,
        };
        Some(Box::new(trace.start("handle").with("side", side)))
    }

    /// What is needed to answer a stanza should its handler not live to do so.
    pub(crate) fn head(&self) -> Option<Head> {
        match self {
            Self::Frame(Frame::Routed(routed)) => Some(Head::clone(&routed.stanza.head)),
            _ => None,
        }
    }
}

/// Something an account put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// The client of a session has not come back in time.
    Expired {
        /// The session.
        id: SessionId,
        /// The stream that was lost.
        attach: Attach,
    },
    /// All that the client of a session sent on earlier streams is dealt with.
    CaughtUp {
        /// The session.
        id: SessionId,
        /// The stream that waits for it.
        attach: Attach,
    },
    /// That took too long.
    Overdue {
        /// The session.
        id: SessionId,
        /// The stream that waits for it.
        attach: Attach,
    },
    /// An edge has not told how the stream of an ended session was closed.
    Closed {
        /// The session.
        id: SessionId,
        /// Its stream.
        attach: Attach,
    },
    /// How far the log has arrived is to be written.
    Cursor,
    /// Requests of a client may never be answered.
    Unanswered {
        /// The session.
        id: SessionId,
    },
    /// A feature has more to do.
    FollowUp {
        /// The feature.
        feature: FeatureId,
        /// About this session.
        session: SessionId,
    },
}

/// A question about every account of a worker.
pub(crate) enum Survey {
    /// Sessions, up to a number.
    Sessions(usize, oneshot::Sender<Vec<SessionInfo>>),
    /// How many sessions it has, and how long its store has been busy.
    Tally(oneshot::Sender<Tally>),
    /// How much it has done, and whether it has nothing left to do.
    Progress(oneshot::Sender<Done>),
    /// A shard comes or goes.
    Own(Ownership),
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Grows with everything it begins and everything it has stored.
    pub(crate) count: u64,
    /// Nothing of it is unfinished.
    pub(crate) is_all: bool,
}

/// What a worker is to do about a shard.
pub(crate) enum Ownership {
    /// It is this node's under this epoch: what is known of another is void.
    Take(Shard, Epoch),
    /// It is to go: finish what is in hand, take nothing new, and say so.
    Freeze(Shard, oneshot::Sender<()>),
    /// It stays after all.
    Keep(Shard),
    /// It is another node's.
    Drop(Shard),
    /// An edge has brought all sessions that it has in it.
    Attended(Shard, Epoch, NodeId),
}
