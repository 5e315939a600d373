//! A stanza on its way to a client, with what is needed should it not arrive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;
use starling_link::{MessageId, SessionId};
use starling_store::Position;
use starling_xmpp::Stanza;

use crate::ctx::Place;
use crate::{Account, ring};

/// A stanza for one session.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) stanza: Stanza,
    /// It is of no use to anybody else, or whoever lost it finds it elsewhere:
    /// a copy, or what still waits in the log.
    is_dispensable: bool,
    /// Where it stands in the log, until it has arrived.
    pub(crate) logged: Option<Box<Logged>>,
    /// Where the message waits in the log that this is a copy of.
    pub(crate) copy_of: Option<Box<Position>>,
    /// All sessions that are to get it, if there are several.
    pub(crate) sharing: Option<Arc<Sharing>>,
    /// What it is a copy of: that goes to the account again, not the copy.
    original: Option<Box<Stanza>>,
}

/// A message in the log that is on its way to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) place: Place,
    pub(crate) id: MessageId,
    /// Whether its owner finds it in the archive, too.
    pub(crate) is_archived: bool,
}

type Sessions = SmallVec<[SessionId; 4]>;

/// Several sessions get the same message.
pub(crate) struct Sharing {
    sessions: Mutex<Sessions>,
    /// One of them has it.
    is_taken: AtomicBool,
}

impl Outgoing {
    /// One that is lost with its session.
    pub(crate) fn dispensable(stanza: Stanza) -> Self {
        Self {
            stanza,
            is_dispensable: true,
            logged: None,
            copy_of: None,
            sharing: None,
            original: None,
        }
    }

    /// A copy of what waits in the log, whoever gets it.
    pub(crate) fn copy(stanza: Stanza, of: Position) -> Self {
        Self {
            copy_of: Some(Box::new(of)),
            ..Self::dispensable(stanza)
        }
    }

    /// One that goes to the account again if its session does not take it.
    pub(crate) fn new(stanza: Stanza, logged: Option<Box<Logged>>) -> Self {
        Self {
            stanza,
            is_dispensable: false,
            logged,
            copy_of: None,
            sharing: None,
            original: None,
        }
    }

    /// The same as a copy in this wrapping (XEP-0280): whoever has it has the
    /// message.
    pub(crate) fn wrapped(&self, wrapper: Stanza) -> Self {
        Self {
            stanza: wrapper,
            original: Some(Box::new(self.stanza.clone())),
            ..self.clone()
        }
    }

    /// What goes to the account again.
    pub(crate) fn into_original(self) -> (Stanza, Option<Box<Logged>>) {
        let stanza = self.original.map_or(self.stanza, |original| *original);
        (stanza, self.logged)
    }

    /// The same for several sessions.
    pub(crate) fn shared(mut self, sharing: &Arc<Sharing>) -> Self {
        self.sharing = Some(Arc::clone(sharing));
        self
    }

    /// Its place in the log.
    pub(crate) fn position(&self) -> Option<Position> {
        self.logged.as_ref().map(|logged| logged.place.position)
    }

    /// Whether it goes to the account again should its session not take it.
    pub(crate) fn is_returned(&self) -> bool {
        !self.is_dispensable && ring::is_worth_returning(&self.stanza)
    }

    /// A client has it.
    pub(crate) fn arrived(&self) {
        if let Some(sharing) = &self.sharing {
            sharing.take();
        }
    }

    /// Whether another session of those that were to get it has it, or may
    /// still take it. The last of them to end finds none.
    pub(crate) fn is_with_others(&self, account: &Account) -> bool {
        self.sharing.as_ref().is_some_and(|sharing| {
            sharing.is_taken.load(Ordering::Relaxed)
                || sharing.lock().iter().any(|id| account.has_way_to(*id))
        })
    }
}

impl Sharing {
    pub(crate) fn among(sessions: Sessions) -> Arc<Self> {
        Arc::new(Self {
            sessions: Mutex::new(sessions),
            is_taken: AtomicBool::new(false),
        })
    }

    /// Nobody yet: who has it turns out as sessions come to a new owner.
    pub(crate) fn empty() -> Arc<Self> {
        Self::among(Sessions::new())
    }

    /// One more session was sent it.
    pub(crate) fn join(&self, id: SessionId) {
        let mut sessions = self.lock();
        if !sessions.contains(&id) {
            sessions.push(id);
        }
    }

    /// Whether a session was sent it.
    pub(crate) fn has(&self, id: SessionId) -> bool {
        self.lock().contains(&id)
    }

    /// One of them has it.
    pub(crate) fn take(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
