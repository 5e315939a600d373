//! One lane at the node that owns shards: what it knows of whoever opened it,
//! and the way back to the clients behind it.
//!
//! Frames that come in are `inbound`'s matter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use starling_cluster::{Membership, NodeId};
use starling_link::trace::SpanSink;
use starling_link::{
    Attach, Close, Full, Management, Note, Outlet, SessionId, SessionKey, SessionNode, Settle,
    TraceContext, is_ahead,
};
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::Semaphore;

use super::down::{self, Fate, InLog, Outgoing, ToClient};
use super::inbound::Inbound;
use super::outbox::{Batching, Outbox};
use super::questions::{Answer, QUESTIONS_MAX};
use super::{Identity, answers};

/// Questions of one lane that are not answered yet, at most. Whoever asks waits
/// for fewer; the others are those that it has given up.
const ANSWERS_MAX: usize = 2 * QUESTIONS_MAX;

/// Names a lane: the node that opened it, in one of its runs, and which of its
/// lanes it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) node: NodeId,
    pub(super) incarnation: u64,
    pub(super) lane: u32,
}

/// One lane.
pub(super) struct Attached {
    pub(super) key: LaneKey,
    pub(super) peer: Identity,
    pub(super) node: Weak<dyn SessionNode>,
    pub(super) membership: Arc<dyn Membership>,
    pub(super) outbox: Arc<Outbox<()>>,
    pub(super) inbound: Mutex<Inbound>,
    /// Sessions whose streams are behind this lane. Only they may be spoken for.
    sessions: Mutex<HashMap<SessionId, (BareJid, Attach)>>,
    /// Bytes that may wait before a client behind it is closed.
    bytes_max: usize,
    /// Where spans go.
    pub(super) sink: Option<Arc<dyn SpanSink>>,
    connections: AtomicU64,
    is_gone: AtomicBool,
    /// Questions that are not answered yet are bounded by it.
    pub(super) answering: Arc<Semaphore>,
    this: Weak<Self>,
}

impl Attached {
    pub(super) fn new(
        key: LaneKey,
        peer: Identity,
        node: Weak<dyn SessionNode>,
        membership: Arc<dyn Membership>,
        batching: Batching,
        bytes_max: usize,
        sink: Option<Arc<dyn SpanSink>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            key,
            peer,
            node,
            membership,
            outbox: Arc::new(Outbox::new(batching)),
            inbound: Mutex::default(),
            sessions: Mutex::default(),
            bytes_max,
            sink,
            connections: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            answering: Arc::new(Semaphore::new(ANSWERS_MAX)),
            this: Weak::clone(this),
        })
    }

    /// The way to a client behind this lane.
    pub(super) fn outlet(self: &Arc<Self>, number: u64) -> Arc<dyn Outlet> {
        Arc::new(RemoteOutlet {
            lane: Arc::clone(self),
            number,
        })
    }

    /// Another connection carries it now. Returns which one it is.
    pub(super) fn connected(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether no other connection has come since.
    pub(super) fn is_last(&self, connection: u64) -> bool {
        self.connections.load(Ordering::Relaxed) == connection
    }

    /// A session's stream is behind this lane from now on. `false` if the lane
    /// is gone.
    pub(super) fn attach(&self, account: BareJid, session: SessionId, attach: Attach) -> bool {
        let mut sessions = self.sessions();
        if self.is_gone() {
            return false;
        }
        // Two attempts of an edge may be told in any order.
        let known = sessions.get(&session).map(|(_, known)| *known);
        if known.is_none_or(|known| is_ahead(attach.0, known.0)) {
            sessions.insert(session, (account, attach));
        }
        true
    }

    /// The same; if nobody is there any more to use the session, it has lost its
    /// stream.
    pub(super) fn attach_or_lose(
        &self,
        node: &Arc<dyn SessionNode>,
        session: &SessionKey,
        attach: Attach,
    ) {
        if !self.attach(session.account.clone(), session.id, attach) {
            answers::lose(node, session.clone(), attach);
        }
    }

    /// Whose session this is, if it may be spoken for.
    pub(super) fn account(&self, session: SessionId, attach: Attach) -> Option<BareJid> {
        let sessions = self.sessions();
        let (account, known) = sessions.get(&session)?;
        (*known == attach).then(|| account.clone())
    }

    /// A stream of a session has ended, unless a later one speaks for it.
    pub(super) fn detach(&self, session: SessionId, attach: Attach) {
        let mut sessions = self.sessions();
        if sessions
            .get(&session)
            .is_some_and(|(_, known)| *known == attach)
        {
            sessions.remove(&session);
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Whoever opened it is not coming back: its sessions have lost their
    /// streams.
    pub(super) fn let_go(&self) {
        let sessions = {
            let mut sessions = self.sessions();
            if self.is_gone.swap(true, Ordering::AcqRel) {
                return;
            }
            std::mem::take(&mut *sessions)
        };
        crate::metrics::let_go();
        self.outbox.end();
        self.outbox.reset();
        let Some(node) = self.node.upgrade() else {
            return;
        };
        for (id, (account, attach)) in sessions {
            answers::lose(&node, SessionKey { account, id }, attach);
        }
    }

    pub(super) fn settler(&self) -> Option<Arc<dyn Settle>> {
        self.this.upgrade().map(|this| this as _)
    }

    /// Tells what became of a frame.
    pub(super) fn tell(&self, frame: u64, fate: Fate) {
        // Without a bound nothing is refused.
        let _ = self.say(usize::MAX, &Outgoing::Of(frame, fate));
    }

    /// Answers a question.
    pub(super) fn answer(&self, id: u64, answer: Answer) {
        // Bounded by the number of questions.
        let _ = self.say(
            usize::MAX,
            &Outgoing::Answer(id, &crate::status::reply(answer)),
        );
    }

    fn say(&self, bytes_max: usize, frame: &Outgoing<'_>) -> Result<(), Full> {
        if self.is_gone() {
            // Its sessions hear that they have lost their streams.
            return Ok(());
        }
        self.outbox
            .push(bytes_max, (), |(), out| down::write(frame, out))
            .or_else(|()| self.is_gone().then_some(()).ok_or(Full))
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, (BareJid, Attach)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settle for Attached {
    fn settle(&self, number: u64) {
        self.tell(number, Fate::Settled);
    }
}

/// The way to a client behind a lane.
struct RemoteOutlet {
    lane: Arc<Attached>,
    number: u64,
}

impl RemoteOutlet {
    /// What is bounded elsewhere: a session says these once for many stanzas.
    fn say(&self, what: ToClient<&Stanza, &Management, &TraceContext>) {
        let _ = self
            .lane
            .say(usize::MAX, &Outgoing::ToClient(self.number, what));
    }
}

impl Outlet for RemoteOutlet {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.deliver_noted(stanza, Note::default())
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        let is_copy = note.is_copy;
        let in_log = note.place.map(|place| InLog { place, is_copy });
        let what = ToClient::Deliver(stanza, note.trace, in_log);
        let frame = Outgoing::ToClient(self.number, what);
        self.lane.say(self.lane.bytes_max, &frame)
    }

    fn remember(&self, summary: Bytes) {
        self.say(ToClient::Remember(summary));
    }

    fn lost(&self) {
        self.say(ToClient::Moved);
    }

    fn committed(&self, number: u32) {
        self.say(ToClient::Committed(number));
    }

    fn enabled(&self, management: &Management) {
        self.say(ToClient::Enabled(management));
    }

    fn request_ack(&self) {
        self.say(ToClient::RequestAck);
    }

    fn close(&self, why: Close) {
        self.say(ToClient::Close(why));
    }
}
