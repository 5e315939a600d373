//! What a feature sees while it handles a stanza, and where it leaves effects.
//!
//! A [`Ctx`] owns the account it is about: nothing else can touch that account
//! until the handler has returned, however long it awaits.

mod asking;
mod log;

use std::sync::Arc;
use std::time::Duration;

use starling_cluster::Epoch;
use starling_link::{ActiveSpan, Close, MessageId, SessionId};
use starling_store::{Change, Position, Store};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::stanza::{Kind, Type};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{Element, Stanza};

use crate::account::Lasting;
use crate::bind::Binding;
use crate::commit::Progress;
use crate::effects::{Effect, Effects};
use crate::outgoing::{Logged, Outgoing};
use crate::registry::FeatureId;
use crate::ring::Holder;
use crate::work::Alarm;
use crate::{Account, Env, Event, Host, Session, Side, Targets, pending, pipeline, source};

/// Where the stanza in hand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A session of this account.
    Session(SessionId),
    /// Another account, host, component or server.
    Elsewhere,
    /// The account itself: the session it was handed to did not take it. It
    /// carries the marks of its first way through the phases.
    Returned,
}

/// A place in an account's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its key.
    pub position: Position,
    /// When the entry was accepted; never goes back within a log.
    pub at: UnixMillis,
}

/// Why an entry is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// It waits for a session of its owner (XEP-0160).
    pub is_offline: bool,
    /// It is part of the archive that its owner reads (XEP-0313).
    pub is_archived: bool,
}

/// The context of one stanza at one account.
pub struct Ctx {
    /// The account whose policy is being applied.
    pub account: Box<Account>,
    /// Where the stanza in hand comes from.
    pub origin: Origin,
    /// The sessions that are to get the message in hand (recipient side).
    pub targets: Targets,
    /// Under which its shard is owned.
    epoch: Epoch,
    side: Side,
    place: Option<Place>,
    kept: Option<Kept>,
    in_transit: Option<Logged>,
    /// The message in hand is in the log already, where it will not be found.
    is_copy: bool,
    /// The message in hand is in the archive.
    is_archived: bool,
    /// Copies of the message in hand, for sessions that do not get it.
    pub(crate) copies: Vec<(SessionId, Stanza)>,
    /// The sender of the message in hand is told that nobody takes it.
    pub(crate) is_refused: bool,
    /// The client says the message in hand once more.
    pub(crate) is_repeated: bool,
    /// An earlier owner may have handled the stanza in hand.
    pub(crate) may_have_come: bool,
    pub(crate) id: Option<MessageId>,
    /// The number of the stanza in hand, if a client sent it.
    pub(crate) number: Option<u32>,
    pub(crate) env: Arc<Env>,
    progress: Arc<Progress>,
    /// The handling, if the stanza in hand is watched on its way.
    pub(crate) watched: Option<Box<ActiveSpan>>,
    pub(crate) effects: Effects,
    /// The feature that is being called.
    pub(crate) feature: FeatureId,
    /// What features still want to do, with time to read.
    pub(crate) follow_ups: Vec<(FeatureId, SessionId)>,
    /// What has reached the edge of a session that is brought here.
    pub(crate) reached: Vec<Position>,
    /// A session that was bound and not told of yet.
    pub(crate) binding: Option<Box<Binding>>,
}

impl Ctx {
    pub(crate) fn new(
        env: Arc<Env>,
        progress: Arc<Progress>,
        epoch: Epoch,
        account: Box<Account>,
    ) -> Box<Self> {
        // On the heap: it is handed from function to function by value.
        Box::new(Self {
            account,
            epoch,
            origin: Origin::Elsewhere,
            targets: Targets::default(),
            side: Side::Recipient,
            place: None,
            kept: None,
            in_transit: None,
            is_copy: false,
            is_archived: false,
            copies: Vec::new(),
            is_refused: false,
            is_repeated: false,
            may_have_come: false,
            id: None,
            number: None,
            env,
            progress,
            watched: None,
            effects: Effects::default(),
            feature: 0,
            follow_ups: Vec::new(),
            reached: Vec::new(),
            binding: None,
        })
    }

    /// Under which the account's shard is owned.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What the engine was given.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The same, to keep while the context changes.
    pub fn shared_env(&self) -> Arc<Env> {
        Arc::clone(&self.env)
    }

    /// The store, to read from, once everything that this account has written
    /// is in it (RFC 6120 §10.1: a request sees what those before it did).
    /// Writes go through [`Ctx::write`].
    pub fn store(&self) -> impl Future<Output = Arc<dyn Store>> + Send + use<> {
        let (progress, cycle) = (Arc::clone(&self.progress), self.account.cycle);
        let store = Arc::clone(&self.env.store);
        async move {
            progress.reach(cycle).await;
            store
        }
    }

    /// Whether nothing has been stored for so long that new stanzas are refused.
    pub(crate) fn is_store_stuck(&self) -> bool {
        self.progress.is_stuck()
    }

    /// Whether something that this account wrote is not stored yet.
    pub(crate) fn is_behind(&self) -> bool {
        !self.progress.is_completed(self.account.cycle)
    }

    /// The time.
    pub fn now(&self) -> UnixMillis {
        self.env.clock.now()
    }

    /// The settings of the account's host.
    pub fn host(&self) -> Host {
        let hosts = self.env.hosts.load();
        hosts
            .host(self.account.jid.domain())
            .cloned()
            .unwrap_or_default()
    }

    /// Whose phases the stanza in hand is passing: the sender's, if the account
    /// sends it, or the recipient's. Never [`Side::Both`].
    pub fn side(&self) -> Side {
        self.side
    }

    pub(crate) fn set_side(&mut self, side: Side) {
        debug_assert_ne!(side, Side::Both, "a stanza has one side at a time");
        self.side = side;
        self.kept = None;
    }

    /// The session that sent the stanza in hand.
    pub fn session(&self) -> Option<&Session> {
        match self.origin {
            Origin::Session(id) => self.account.session(id),
            Origin::Elsewhere | Origin::Returned => None,
        }
    }

    /// The session that sent the stanza in hand, to change it.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        match self.origin {
            Origin::Session(id) => self.account.session_mut(id),
            Origin::Elsewhere | Origin::Returned => None,
        }
    }

    /// Sends a stanza to its `to`, once everything written so far is durable.
    /// One to a session of this very account takes the short way.
    pub fn send(&mut self, stanza: Stanza) {
        self.send_as(stanza, None);
    }

    /// Sends the stanza in hand on, with its number if it is a message.
    pub(crate) fn pass_on(&mut self, stanza: Stanza) {
        let id = (stanza.head.kind == Kind::Message).then(|| self.message_id());
        self.send_as(stanza, id);
    }

    /// The number of the message in hand. The sender's shard makes it.
    pub(crate) fn message_id(&mut self) -> MessageId {
        let (origin, number) = (self.origin, self.number);
        *self.id.get_or_insert_with(|| match (origin, number) {
            (Origin::Session(session), Some(number)) => source::id_of(session, number),
            _ => MessageId(rand::random()),
        })
    }

    fn send_as(&mut self, stanza: Stanza, id: Option<MessageId>) {
        let local = stanza
            .head
            .to
            .as_ref()
            .and_then(|to| self.account.session_by_jid(to))
            .map(|session| session.id);
        match local {
            Some(session) if !self.is_policy_due(&stanza) => self.deliver(session, stanza),
            _ => self.effects.releases.push(Effect::Route {
                stanza,
                receipt: None,
                is_repeated: (self.is_repeated || self.may_have_come) && id.is_some(),
                id,
                trace: None,
            }),
        }
    }

    /// Hands a stanza to a session of this account. A message is lost if the
    /// session ends before its client has it: whoever hands it over this way
    /// has it elsewhere too, as a copy has, or what waits in the log.
    pub fn deliver(&mut self, session: SessionId, stanza: Stanza) {
        pending::answered(self, session, &stanza);
        let outgoing = match stanza.head.kind {
            Kind::Message => Outgoing::dispensable(stanza),
            Kind::Presence | Kind::Iq => Outgoing::new(stanza, None),
        };
        self.hand_over(session, outgoing);
    }

    /// The same, whatever becomes of what this account writes.
    pub(crate) fn deliver_at_once(&mut self, session: SessionId, stanza: Stanza) {
        let later = std::mem::take(&mut self.effects.releases);
        self.deliver(session, stanza);
        let now = std::mem::replace(&mut self.effects.releases, later);
        self.effects.at_once.extend(now);
    }

    /// The same for a copy of what waits at this place of the log.
    pub fn deliver_waiting(&mut self, session: SessionId, stanza: Stanza, at: Position) {
        self.hand_over(session, Outgoing::copy(stanza, at));
    }

    /// Within [`crate::Feature::recall`]: of the entries of the log behind one
    /// and up to another, how many have reached the edge of the session, and
    /// which was the last.
    pub fn reached(&self, after: Position, through: Position) -> (usize, Option<Position>) {
        let mut reached: Vec<_> = self.reached.clone();
        reached.retain(|at| *at > after && *at <= through);
        reached.sort_unstable();
        reached.dedup();
        (reached.len(), reached.last().copied())
    }

    pub(crate) fn hand_over(&mut self, session: SessionId, outgoing: Outgoing) {
        if let Some(found) = self.account.session(session) {
            let ring = Arc::clone(&found.ring);
            if let Some(position) = outgoing.position() {
                ring.announce(position);
            }
            self.effects.releases.push(Effect::Deliver {
                ring,
                outgoing,
                trace: None,
            });
        }
    }

    /// Tells features of something that another feature has found out.
    pub fn fire(&mut self, session: SessionId, event: &Event<'_>) {
        let feature = self.feature;
        pipeline::fire(self, session, event);
        self.feature = feature;
    }

    /// Adds to the answer of a binding (XEP-0386 §3.2.2): within
    /// [`crate::Event::Bound`] and what follows up on it.
    pub fn answer_inline(&mut self, element: Element) {
        if let Some(binding) = &mut self.binding {
            binding.bound.inline.push(element);
        }
    }

    /// Has [`crate::Feature::follow_up`] called before anything else happens
    /// at this account: for hooks that find out that they have to read.
    pub fn follow_up(&mut self, session: SessionId) {
        self.follow_ups.push((self.feature, session));
    }

    /// The same after some time, if the account is still in memory then.
    pub fn follow_up_after(&mut self, delay: Duration, session: SessionId) {
        let feature = self.feature;
        let alarm = Alarm::FollowUp { feature, session };
        self.effects.alarms.push((delay, alarm));
    }

    /// Lets stanzas for a session wait as far as `holder` says so, or, without
    /// one, lets those that wait go (XEP-0352). Their order is kept, none is
    /// lost, and one that need not wait takes all before it along. A session
    /// that is resumed starts without.
    pub fn hold(&mut self, session: SessionId, holder: Option<Holder>) {
        if let Some(found) = self.account.session(session) {
            let ring = Arc::clone(&found.ring);
            self.effects.releases.push(Effect::Hold { ring, holder });
        }
    }

    /// Has [`crate::Event::Drained`] fired once the client has all that was
    /// delivered to a session so far.
    pub fn report_drained(&mut self, session: SessionId) {
        if let Some(found) = self.account.session(session) {
            let ring = Arc::clone(&found.ring);
            self.effects.releases.push(Effect::ReportDrained { ring });
        }
    }

    /// Makes a change durable before anything pushed after or before it in
    /// this handling is released. Memory is the caller's to change.
    pub fn write(&mut self, change: impl Into<Change>) {
        if self.account.lasting == Lasting::Stored {
            let change = change.into();
            if let Change::Account(change) = &change {
                self.account.note(change);
            }
            self.effects.writes.push(change);
        }
    }

    /// What is stored for a password. Slow on purpose, and done elsewhere.
    ///
    /// # Errors
    /// A sentence for the user when the password cannot be used.
    pub async fn derive(&self, password: &str) -> Result<Vec<ScramVerifier>, String> {
        let (passwords, password) = (Arc::clone(&self.env.passwords), password.to_owned());
        let derived = tokio::task::spawn_blocking(move || passwords.derive(&password)).await;
        derived.unwrap_or_else(|_| Err("the password could not be processed".to_owned()))
    }

    /// Ends every session of the account, tells every contact and erases all
    /// that is stored for it. What was sent before still leaves first.
    pub fn erase_account(&mut self) {
        crate::tasks::erase(self);
    }

    /// Ends a session of this account, after what was delivered to it so far.
    pub fn close(&mut self, session: SessionId, why: Close) {
        crate::returned::end(self, session, why);
    }

    /// A message between two resources of one account is subject to the
    /// recipient side like any other; answers and presence are not.
    fn is_policy_due(&self, stanza: &Stanza) -> bool {
        stanza.head.kind == Kind::Message && stanza.head.type_ != Type::Error
    }
}
