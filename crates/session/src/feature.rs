//! What an extension is to the engine: a manifest, the hooks it asks for, and
//! what it does when one is reached.
//!
//! The order of the phases is explained in `pipeline`; how hooks are found
//! again quickly is the work of `registry`.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use starling_link::SessionId;
use starling_xmpp::payload::disco;
use starling_xmpp::{Element, Jid, Stanza, StanzaError};

use crate::{Ctx, Host, Session};

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a feature implements, for `docs/xeps.md`, disco and the DOAP file.
#[derive(Debug)]
pub struct Manifest {
    /// The document.
    pub spec: Spec,
    /// Its version, as far as it is followed.
    pub version: &'static str,
    /// disco features that the host announces.
    pub disco: &'static [&'static str],
    /// disco features that every account announces on its bare JID.
    pub disco_account: &'static [&'static str],
}

/// Where a feature is specified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spec {
    /// An RFC of the IETF.
    Rfc(u16),
    /// An extension of the XSF.
    Xep(u16),
    /// A program's own, named as it likes.
    Own(&'static str),
}

/// Who an IQ is for, out of those that a server answers in person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    /// The sender's own account: no `to`, or its own bare JID.
    Own,
    /// Any account by its bare JID, the sender's own included.
    Account,
    /// The host.
    Host,
}

/// Whose policy is applied: a stanza passes its sender's account first, then
/// its recipient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The account that sends.
    Sender,
    /// The account that receives.
    Recipient,
    /// Each in its turn.
    Both,
}

/// The steps of the pipeline, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// May this stanza enter at all: rates, quotas, sanity.
    Admit,
    /// May it pass between these two: blocking.
    Guard,
    /// Marks that the server adds or removes: stanza-id, forged marks.
    Stamp,
    /// What is stored: the log, offline messages.
    Archive,
    /// Copies for the account's other sessions: carbons.
    Copy,
    /// The stanza goes on its way; a hook here may send it elsewhere.
    Deliver,
    /// Those who are told that it passed: push, counters.
    Notify,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 7] = [
        Self::Admit,
        Self::Guard,
        Self::Stamp,
        Self::Archive,
        Self::Copy,
        Self::Deliver,
        Self::Notify,
    ];
}

/// What became of a stanza at one hook.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing to say: on to the next hook.
    Pass,
    /// The feature has dealt with it; nobody else sees it.
    Done,
    /// The feature would have acted but did not, and this is why. The reason
    /// ends in a log line, so that "why did my carbon not arrive?" has an answer.
    Skip(Cow<'static, str>),
    /// The stanza is refused; its sender gets this error if it may have one.
    Reject(StanzaError),
}

/// Something that happened to a session and is no stanza to handle.
#[derive(Debug)]
pub enum Event<'a> {
    /// A session was bound. It is not available yet.
    Bound {
        /// XEP-0386 §3.2: what the client asked to have turned on with it. The
        /// answers go to [`Ctx::answer_inline`].
        inline: &'a [Element],
    },
    /// The client says whether anybody looks at it (XEP-0352).
    ClientState {
        /// Whether somebody does.
        is_active: bool,
    },
    /// The session has lost its stream and waits for its client to come back.
    Hibernated,
    /// Its client is back.
    Resumed,
    /// RFC 6121 §4.2: the session sent initial presence.
    Available {
        /// That presence.
        presence: &'a Stanza,
    },
    /// The session sent presence again while available (RFC 6121 §4.4).
    Changed {
        /// That presence.
        presence: &'a Stanza,
    },
    /// The session now takes messages for the bare JID and did not before: its
    /// priority is not negative (RFC 6121 §8.5.2.1.1).
    Reachable,
    /// The client has what was delivered before [`Ctx::report_drained`]: it
    /// says so, or, without stream management, it is written to its connection.
    Drained,
    /// An operator has set or removed an attribute of the account: it happened
    /// to no session.
    AttributeSet {
        /// The attribute.
        name: &'a str,
    },
    /// What an entity can has become known (XEP-0115): a client of the account,
    /// or of somebody whose presence the account gets, who has no session here.
    Learned {
        /// Its full JID.
        of: &'a Jid,
    },
    /// The session became unavailable or ended; `presence` is what others see.
    Unavailable {
        /// The unavailable presence.
        presence: &'a Stanza,
    },
}

/// The kinds of [`Event`], to ask for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// [`Event::Bound`].
    Bound,
    /// [`Event::ClientState`].
    ClientState,
    /// [`Event::Hibernated`].
    Hibernated,
    /// [`Event::Resumed`].
    Resumed,
    /// [`Event::Available`].
    Available,
    /// [`Event::Changed`].
    Changed,
    /// [`Event::Reachable`].
    Reachable,
    /// [`Event::Drained`].
    Drained,
    /// [`Event::AttributeSet`].
    AttributeSet,
    /// [`Event::Learned`].
    Learned,
    /// [`Event::Unavailable`].
    Unavailable,
}

impl Event<'_> {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Bound { .. } => EventKind::Bound,
            Self::ClientState { .. } => EventKind::ClientState,
            Self::Hibernated => EventKind::Hibernated,
            Self::Resumed => EventKind::Resumed,
            Self::Available { .. } => EventKind::Available,
            Self::Changed { .. } => EventKind::Changed,
            Self::Reachable => EventKind::Reachable,
            Self::Drained => EventKind::Drained,
            Self::AttributeSet { .. } => EventKind::AttributeSet,
            Self::Learned { .. } => EventKind::Learned,
            Self::Unavailable { .. } => EventKind::Unavailable,
        }
    }
}

/// One place where a feature wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// An IQ request that the server answers.
    Iq {
        /// Who it is for.
        to: To,
        /// `true` for `set`, `false` for `get`.
        is_set: bool,
        /// The namespace of its payload.
        ns: &'static str,
        /// The name of its payload.
        name: &'static str,
    },
    /// A message in a phase.
    Message(Side, Phase),
    /// A presence stanza in a phase, before the engine acts on it.
    Presence(Side, Phase),
    /// An IQ that passes between two entities and is not answered by the
    /// server, or not yet: the phases up to [`Phase::Guard`] see it.
    PassingIq(Side, Phase),
    /// An event.
    Event(EventKind),
}

impl Hook {
    /// An IQ `get` with this payload.
    pub const fn iq_get(to: To, ns: &'static str, name: &'static str) -> Self {
        Self::Iq {
            to,
            is_set: false,
            ns,
            name,
        }
    }

    /// An IQ `set` with this payload.
    pub const fn iq_set(to: To, ns: &'static str, name: &'static str) -> Self {
        Self::Iq {
            to,
            is_set: true,
            ns,
            name,
        }
    }

    /// Messages of a side in a phase.
    pub const fn message(side: Side, phase: Phase) -> Self {
        Self::Message(side, phase)
    }

    /// Presence of a side in a phase.
    pub const fn presence(side: Side, phase: Phase) -> Self {
        Self::Presence(side, phase)
    }

    /// IQs of a side that pass between two entities, in a phase.
    pub const fn passing_iq(side: Side, phase: Phase) -> Self {
        Self::PassingIq(side, phase)
    }

    /// Events of a kind.
    pub const fn on(kind: EventKind) -> Self {
        Self::Event(kind)
    }
}

/// An extension. It reads through [`Ctx`] and pushes effects into it; it never
/// sees a socket, a driver or another feature.
pub trait Feature: Send + Sync + 'static {
    /// What it implements.
    fn manifest(&self) -> &'static Manifest;

    /// Further documents that it implements: parts and companions of the one
    /// in its manifest.
    fn also(&self) -> &'static [Manifest] {
        &[]
    }

    /// XEP-0386 §3.1: namespaces of what it turns on with a binding if the
    /// client asks for it there.
    fn inline(&self) -> &'static [&'static str] {
        &[]
    }

    /// Where it wants to be called.
    fn hooks(&self) -> &'static [Hook];

    /// Answers an IQ it asked for. Cold, so it may await a read.
    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let _ = (iq, ctx);
        Box::pin(std::future::ready(Outcome::Pass))
    }

    /// Sees a message in a phase it asked for. Hot: no waiting, no allocation
    /// that can be avoided.
    fn message(&self, phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        let _ = (phase, message, ctx);
        Outcome::Pass
    }

    /// Sees a presence stanza in a phase it asked for. Hot.
    fn presence(&self, phase: Phase, presence: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        let _ = (phase, presence, ctx);
        Outcome::Pass
    }

    /// Sees an IQ between two entities in a phase it asked for. Hot.
    fn passing_iq(&self, phase: Phase, iq: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        let _ = (phase, iq, ctx);
        Outcome::Pass
    }

    /// Learns of an event it asked for; `session` is the one it happened to.
    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        let _ = (event, session, ctx);
    }

    /// Goes on after [`Ctx::follow_up`], with time to await a read. The account
    /// waits meanwhile, so whatever came later is handled later.
    fn follow_up<'a>(&'a self, session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        let _ = (session, ctx);
        Box::pin(std::future::ready(()))
    }

    /// Gets the answer (result or error) to a request it sent with
    /// [`Ctx::request`].
    fn answer(&self, answer: &Stanza, session: SessionId, ctx: &mut Ctx) {
        let _ = (answer, session, ctx);
    }

    /// Gets the answer (result or error) to what it asked somebody else with
    /// [`Ctx::ask`], or waited for with [`Ctx::expect_answer`].
    fn told(&self, answer: &Stanza, ctx: &mut Ctx) {
        let _ = (answer, ctx);
    }

    /// What the account has under a disco node, or at its root, as far as this
    /// asker may see it; `None` if the node is none of this feature's.
    fn items<'a>(
        &'a self,
        node: Option<&'a str>,
        asker: &'a Jid,
        ctx: &'a mut Ctx,
    ) -> BoxFuture<'a, Option<Vec<disco::Item>>> {
        let _ = (node, asker, ctx);
        Box::pin(std::future::ready(None))
    }

    /// What a disco node of the account is, as far as this asker may know;
    /// `None` if it is none of this feature's.
    fn describe_node<'a>(
        &'a self,
        node: &'a str,
        asker: &'a Jid,
        ctx: &'a mut Ctx,
    ) -> BoxFuture<'a, Option<disco::Info>> {
        let _ = (node, asker, ctx);
        Box::pin(std::future::ready(None))
    }

    /// What its state in a session is, in a few bytes, for the next owner of the
    /// account: the clients of a node that dies stay connected. It comes back
    /// by [`Feature::recall`]. Only features of a XEP are asked, by whose number
    /// a note is known.
    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        let _ = session;
        None
    }

    /// A session has come here from an earlier owner, where this feature left a
    /// note, perhaps in another version.
    fn recall(&self, note: &[u8], session: SessionId, ctx: &mut Ctx) {
        let _ = (note, session, ctx);
    }

    /// Adds what only it knows to an answer of disco#info about the host or an
    /// account: identities, forms, features that depend on settings. The same
    /// for everyone who asks, so that XEP-0115 can hash it.
    fn describe(&self, of: To, host: &Host, info: &mut disco::Info) {
        let _ = (of, host, info);
    }
}
