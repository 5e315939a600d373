//! An account in memory: what was read of it once, and its sessions.
//!
//! It is owned by one shard, so nothing here is locked. What is durable in it
//! equals the store plus the writes that are on their way there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smol_str::SmolStr;
use starling_cluster::Epoch;
use starling_link::{Attach, Ledger, SessionId};
use starling_store::account;
use starling_store::archive::Tally;
use starling_store::blocklist::Blocklist;
use starling_store::cursor::Cursors;
use starling_store::roster::Roster;
use starling_store::{LoginBundle, Position};
use starling_xmpp::credentials::Fingerprint;
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Jid};

use crate::came::Came;
use crate::commit::CycleNumber;
use crate::iq::Asked;
use crate::management::Managed;
use crate::recent::Recent;
use crate::ring::Ring;
use crate::sent::Sent;
use crate::takeover::Takeover;
use crate::{Session, Slots};

/// Places of a log that are set aside for each millisecond.
const PLACES_PER_MILLI: u64 = 1_000;

/// Ended sessions whose clients may still learn how far they had come.
const ENDED_SESSIONS_MAX: usize = 8;

/// A loaded account, or a host standing in for one when a stanza is for the
/// host itself.
pub struct Account {
    /// Its bare JID.
    pub jid: BareJid,
    /// What lasts: an account of the store, one that lives as long as its
    /// session, or no account at all.
    pub lasting: Lasting,
    /// Which password it has, so that a login that began with another is told.
    pub(crate) fingerprint: Fingerprint,
    /// An operator has closed it.
    pub(crate) is_disabled: bool,
    /// RFC 6121 §2: its contacts.
    pub roster: Roster,
    /// Whom it has blocked.
    pub blocklist: Blocklist,
    /// How far its log has been delivered.
    pub cursors: Cursors,
    /// Entries of its log that wait for a resource.
    pub offline: Tally,
    /// When it was last seen, and with which parting words (XEP-0012).
    pub last_seen: Option<LastSeen>,
    /// What features and operators have noted of it, by name.
    pub attributes: BTreeMap<SmolStr, String>,
    /// Its sessions, in the order in which they were bound.
    pub sessions: Vec<Session>,
    /// What features remember of it.
    pub slots: Slots,
    /// What the account itself has asked others, oldest first.
    pub(crate) asked: VecDeque<Asked>,
    /// The end of its log.
    last_position: Position,
    /// Display times never go back within a log, whatever the clock does, and
    /// whoever had it before.
    last_stored_at: UnixMillis,
    /// The last commit cycle that has something of this account.
    pub(crate) cycle: CycleNumber,
    /// Sessions that were ended and whose streams are being closed.
    pub(crate) closing: Vec<Closing>,
    /// Places of messages that will come back from sessions that are over.
    pub(crate) owed: Vec<Position>,
    /// The last messages that came.
    pub(crate) recent: Recent,
    /// What has come from those who send again.
    pub(crate) came: Came,
    /// The last messages that its clients sent and marked.
    pub(crate) sent: Sent,
    /// What whoever served it before left under way, until it is looked after.
    pub(crate) takeover: Option<Box<Takeover>>,
    /// Sessions that ended and could have been resumed, oldest first.
    ended: VecDeque<Ended>,
    /// How far the log has arrived will be written soon.
    pub(crate) is_cursor_due: bool,
    /// It stands in its worker's list of accounts that nobody uses.
    pub(crate) is_listed_idle: bool,
}

/// A session that was ended, until its edge has told what its client took.
pub(crate) struct Closing {
    pub(crate) id: SessionId,
    pub(crate) attach: Attach,
    pub(crate) ring: Arc<Ring>,
}

/// What a client that comes too late is told of its session.
struct Ended {
    id: SessionId,
    managed: Box<Managed>,
    ledger: Arc<Ledger>,
}

/// Where an account lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// In the store.
    Stored,
    /// With its only session: SASL ANONYMOUS.
    Session,
    /// Nowhere: this is a host.
    Host,
}

/// The end of an account's last session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// When it was.
    pub at: UnixMillis,
    /// The `<status/>` of the last unavailable presence.
    pub status: Option<String>,
}

impl Account {
    /// An account as the store has it.
    pub(crate) fn stored(jid: BareJid, bundle: LoginBundle) -> Self {
        let last_seen = bundle.account.last_activity.map(|last| LastSeen {
            at: last.at,
            status: last.status,
        });
        // A log that has been emptied ends where it was read to.
        let cursors = &bundle.cursors;
        let last_position = bundle
            .last_position
            .max(cursors.offline)
            .max(cursors.delivered)
            .unwrap_or(Position::START);
        Self {
            lasting: Lasting::Stored,
            fingerprint: bundle.account.credentials.fingerprint(),
            is_disabled: bundle.account.credentials.is_disabled,
            attributes: bundle.account.attributes,
            roster: bundle.roster,
            blocklist: bundle.blocklist,
            offline: bundle.offline,
            last_seen,
            last_position,
            last_stored_at: shown_at(last_position),
            cursors: bundle.cursors,
            ..Self::empty(jid)
        }
    }

    /// An account that nothing is stored of.
    pub(crate) fn unstored(jid: BareJid, lasting: Lasting) -> Self {
        Self {
            lasting,
            ..Self::empty(jid)
        }
    }

    fn empty(jid: BareJid) -> Self {
        Self {
            jid,
            lasting: Lasting::Host,
            fingerprint: Fingerprint::of(&[]),
            is_disabled: false,
            is_listed_idle: false,
            closing: Vec::new(),
            owed: Vec::new(),
            recent: Recent::default(),
            came: Came::default(),
            sent: Sent::default(),
            takeover: None,
            ended: VecDeque::new(),
            is_cursor_due: false,
            roster: Roster::default(),
            blocklist: Blocklist::default(),
            cursors: Cursors::default(),
            offline: Tally::default(),
            last_seen: None,
            attributes: BTreeMap::new(),
            sessions: Vec::new(),
            slots: Slots::default(),
            asked: VecDeque::new(),
            last_position: Position::START,
            last_stored_at: UnixMillis(0),
            cycle: CycleNumber::default(),
        }
    }

    /// The session with this number.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// The session with this number, to change it.
    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let found = self.sessions.iter_mut().find(|session| session.id == id)?;
        found.is_touched = true;
        Some(found)
    }

    /// Adds a session. Most accounts have one, and it is large: there is room for
    /// as many as there are, not for the four that a list begins with.
    pub(crate) fn add_session(&mut self, session: Session) {
        self.sessions.reserve_exact(1);
        self.sessions.push(session);
    }

    /// Whether a session, or the stream of one that was ended, may still take
    /// something.
    pub(crate) fn has_way_to(&self, id: SessionId) -> bool {
        self.session(id).is_some() || self.closing.iter().any(|closing| closing.id == id)
    }

    /// Whether anything of it is on its way to a client, or may come back.
    pub(crate) fn is_in_use(&self) -> bool {
        !self.sessions.is_empty()
            || !self.closing.is_empty()
            || !self.owed.is_empty()
            || self.takeover.is_some()
    }

    /// XEP-0198 §5: keeps what a client may want to know of a session that is
    /// about to end.
    pub(crate) fn remember_ended(&mut self, id: SessionId) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        let ledger = Arc::clone(&session.ledger);
        let Some(managed) = session.managed.take_if(|of| of.resumable.is_some()) else {
            return;
        };
        if self.ended.len() >= ENDED_SESSIONS_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended {
            id,
            managed,
            ledger,
        });
    }

    /// How many stanzas of an ended session were dealt with, as its client
    /// counts them.
    pub(crate) fn committed_of_ended(&self, id: SessionId, secret: u128) -> Option<u32> {
        let mut ended = self.ended.iter();
        let of = ended.find(|of| of.id == id && of.managed.is_opened_by(secret))?;
        Some(of.managed.count(&of.ledger))
    }

    /// How far the log has arrived: everything up to here was acknowledged by a
    /// client, or waits and is marked so.
    pub fn delivered(&self) -> Position {
        let sessions = self.sessions.iter().map(|session| &session.ring);
        let closing = self.closing.iter().map(|closing| &closing.ring);
        let floors = sessions.chain(closing).filter_map(|ring| ring.floor());
        let lost = self.takeover.iter().filter_map(|takeover| takeover.floor());
        let floor = floors.chain(self.owed.iter().copied()).chain(lost).min();
        floor.map_or(self.last_position, |floor| {
            Position::new(floor.epoch, floor.seq.saturating_sub(1))
        })
    }

    /// The session with this full JID.
    pub fn session_by_jid(&self, jid: &Jid) -> Option<&Session> {
        self.sessions.iter().find(|session| session.jid == *jid)
    }

    /// Sessions that sent initial presence.
    pub fn available(&self) -> impl Iterator<Item = &Session> {
        self.sessions
            .iter()
            .filter(|session| session.is_available())
    }

    /// Whether this JID is the account itself or one of its resources.
    pub fn is_self(&self, jid: &Jid) -> bool {
        jid.is_same_bare(&self.jid)
    }

    /// Whether this JID may see the account's presence, and with it everything
    /// that gives away whether somebody is there: the account itself, and whom
    /// it lets (RFC 6121 §2.1.2.5: a subscription `from` or `both`).
    pub fn is_seen_by(&self, jid: &Jid) -> bool {
        let item = || self.roster.items.get(jid.to_bare().as_jid());
        self.is_self(jid) || item().is_some_and(|item| item.subscription.has_from())
    }

    /// Whether there is such an account: one of the store, or an anonymous one
    /// as long as its session lasts. What is sent to any other name of a host
    /// is handled for an empty account, so that it is answered as by somebody
    /// who knows nobody.
    pub fn is_served(&self) -> bool {
        self.lasting == Lasting::Stored || !self.sessions.is_empty()
    }

    /// Whether this JID is the host that serves the account.
    pub fn is_host(&self, jid: &Jid) -> bool {
        jid.local().is_none() && jid.domain() == self.jid.domain()
    }

    /// Whether the account has shut this address out. It can shut out neither
    /// itself, for its own resources always reach each other, nor its host,
    /// without which it could not even change the list.
    pub fn has_blocked(&self, jid: &Jid) -> bool {
        if self.blocklist.is_empty() || self.is_self(jid) || self.is_host(jid) {
            return false;
        }
        let host = jid.to_host();
        let of_host = jid
            .resource()
            .and_then(|resource| host.with_resource(resource).ok());
        self.blocklist.contains(jid)
            || self.blocklist.contains(&Jid::from(jid.to_bare()))
            || self.blocklist.contains(&Jid::from(host))
            || of_host.is_some_and(|of_host| self.blocklist.contains(&of_host))
    }

    /// What a change of the account itself means for its memory.
    pub(crate) fn note(&mut self, change: &account::Change) {
        match change {
            account::Change::SetAttribute { name, value } => {
                let attributes = &mut self.attributes;
                match value {
                    Some(value) => attributes.insert(name.clone(), value.clone()),
                    None => attributes.remove(name),
                };
            }
            account::Change::SetVerifiers(verifiers) => {
                self.fingerprint = Fingerprint::of(verifiers);
            }
            account::Change::SetDisabled(is_disabled) => self.is_disabled = *is_disabled,
            _ => {}
        }
    }

    /// The place and the display time of the next entry of its log.
    ///
    /// A place can be given out, as a stanza-id, without an entry ever being
    /// stored at it, so the store does not know the last one. Numbers begin
    /// anew at the clock whenever the account is loaded: no place is given out
    /// twice as long as fewer than one a microsecond are, and the order still
    /// does not depend on the clock, which only leaves gaps.
    pub(crate) fn next_entry(&mut self, epoch: Epoch, now: UnixMillis) -> (Position, UnixMillis) {
        let next = self.last_position.next(epoch.0);
        let floor = u64::try_from(now.0).unwrap_or(0) * PLACES_PER_MILLI;
        self.last_position = Position::new(next.epoch, next.seq.max(floor));
        self.last_stored_at = self.last_stored_at.max(now);
        (self.last_position, self.last_stored_at)
    }

    /// The end of its log.
    pub fn last_position(&self) -> Position {
        self.last_position
    }

    /// The latest time that an entry of its log can have.
    pub(crate) fn last_said(&self) -> UnixMillis {
        self.last_stored_at
    }
}

/// When the clock stood at a place of a log, or sooner: no entry up to it has a
/// later time (see [`Account::next_entry`]).
fn shown_at(position: Position) -> UnixMillis {
    UnixMillis(i64::try_from(position.seq / PLACES_PER_MILLI).unwrap_or(i64::MAX))
}
