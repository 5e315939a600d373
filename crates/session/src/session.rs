//! One bound resource: what the engine knows of it while its client is there.

use std::collections::VecDeque;
use std::sync::Arc;

use smol_str::SmolStr;
use starling_link::{Attach, Client, Close, Ledger, SessionId, SessionInfo};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{Jid, Stanza};

use crate::Slots;
use crate::management::{Managed, Returning};
use crate::pending::Pending;
use crate::presence::Addressees;
use crate::registry::FeatureId;
use crate::ring::Ring;

/// A session. Soft state: it ends with its stream or, if its client may resume
/// it, some time after, and nothing in it must outlive the node.
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Its full JID.
    pub jid: Jid,
    /// The client behind it.
    pub client: Client,
    /// When it was bound.
    pub since: UnixMillis,
    /// Which of its streams speaks for it.
    pub(crate) attach: Attach,
    /// What its edge calls the stream that it brought here: it may ask more than
    /// once when it hears nothing.
    pub(crate) brought: Option<Attach>,
    /// Where its stanzas go.
    pub(crate) ring: Arc<Ring>,
    /// It has no stream and waits for its client to come back.
    pub(crate) is_hibernating: bool,
    /// A stream that is to be its next one, and has to wait.
    pub(crate) returning: Option<Box<Returning>>,
    /// XEP-0198, if its client asked for it.
    pub(crate) managed: Option<Box<Managed>>,
    /// Which of its stanzas are dealt with.
    pub(crate) ledger: Arc<Ledger>,
    /// RFC 6121 §4.2: the last available presence, whole and as it was sent;
    /// `None` until initial presence and after unavailable presence.
    pub presence: Option<Stanza>,
    /// RFC 6121 §4.7.2.3; meaningful while `presence` is there.
    pub priority: i8,
    /// RFC 6121 §2.1.6: it asked for the roster, so it gets roster pushes.
    pub is_interested: bool,
    /// RFC 6121 §4.6.3: who got directed presence and must learn of its end.
    pub directed: Addressees,
    /// Requests the server sent to this client that wait for an answer.
    pub(crate) requests: VecDeque<Request>,
    /// Requests of its client to others that wait for an answer.
    pub(crate) pending: Pending,
    /// What features remember of it.
    pub slots: Slots,
    /// Something of it may have changed since it was last summarised.
    pub(crate) is_touched: bool,
    /// The hash of the summary that its edge has.
    pub(crate) summary: u64,
    /// Stanzas that are in the log although they are handled once more: an
    /// earlier owner came no further.
    pub(crate) stored: Vec<u32>,
    /// Stanzas up to this number may have been handled by an earlier owner, who
    /// could not say so.
    pub(crate) said_before: Option<u32>,
}

/// A request of the server to a client.
pub(crate) struct Request {
    pub(crate) id: SmolStr,
    pub(crate) feature: FeatureId,
}

impl Session {
    /// Whether it sent initial presence and is still available.
    pub fn is_available(&self) -> bool {
        self.presence.is_some()
    }

    /// RFC 6121 §8.5.2.1.1: whether it takes messages for the bare JID.
    pub fn is_reachable(&self) -> bool {
        self.is_available() && self.priority >= 0
    }

    /// The memory of its account is lost: its client has to begin anew, and
    /// what it did not get is found in the log.
    pub(crate) fn abandon(&self) {
        self.ring.close(Close::InternalServerError);
        self.ring.end();
    }

    /// Its account is served by another node from now on: its edge brings it
    /// there.
    pub(crate) fn move_away(&self) {
        self.ring.move_away();
    }

    /// Whether it waits for its client to come back.
    pub fn is_hibernating(&self) -> bool {
        self.is_hibernating
    }

    /// As an administrator sees it.
    pub(crate) fn info(&self) -> SessionInfo {
        SessionInfo {
            jid: self.jid.clone(),
            session: self.id,
            client: self.client.clone(),
            since: self.since,
            priority: self.is_available().then_some(self.priority),
            is_hibernating: self.is_hibernating,
        }
    }
}

/// A panic takes the memory of an account with it: the client must not go on
/// as if somebody listened.
impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abandon();
        }
    }
}
