//! XEP-0280: Message Carbons, version 1.0.1, complete, with the copies of
//! XEP-0297.
//!
//! A session that asked for it gets a copy of what the account's other sessions
//! send and get. Which messages are copied is said in `rules`. Copies are made
//! after a message has its place in the log, so they carry its id.

mod rules;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::{BufMut as _, BytesMut};
use starling_session::{
    BoxFuture, Ctx, Event, EventKind, Feature, Hook, Manifest, Origin, Outcome, Phase, Session,
    SessionId, Side, Spec, Targets, To,
};
use starling_store::Position;
use starling_xmpp::payload::forward;
use starling_xmpp::payload::stanza_id::StanzaId;
use starling_xmpp::{Condition, Stanza, StanzaError, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(280),
    version: "1.0.1",
    disco: &[ns::CARBONS, ns::CARBONS_RULES],
    disco_account: &[ns::CARBONS, ns::CARBONS_RULES],
};

const ALSO: &[Manifest] = &[Manifest {
    spec: Spec::Xep(297),
    version: "1.0",
    disco: &[],
    disco_account: &[],
}];

const HOOKS: &[Hook] = &[
    Hook::iq_set(To::Account, ns::CARBONS, "enable"),
    Hook::iq_set(To::Account, ns::CARBONS, "disable"),
    Hook::on(EventKind::Bound),
    Hook::message(Side::Both, Phase::Stamp),
    Hook::message(Side::Both, Phase::Copy),
];

/// Copied messages per account for which an error is recognised as the answer.
/// The answer to an older one goes only where it is addressed.
const ANSWERABLE_MESSAGES_MAX: usize = 128;

pub(crate) struct Carbons;

/// Copies of waiting messages that are remembered per session.
const COPIES_MAX: usize = 1_024;

/// Those of them that go along to another node.
const NOTED_COPIES_MAX: usize = 16;

/// In the slots of a session: it gets copies.
struct Enabled;

/// In the slots of a session: where messages wait that it got at once, or copies
/// of them. Should it be handed what waits, it has them. In order.
#[derive(Default)]
struct Copies(VecDeque<Position>);

/// In the slots of an account: hashes of the latest messages that were copied,
/// each of its correspondent and id.
#[derive(Default)]
struct Answerable(VecDeque<u64>);

impl Feature for Carbons {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn also(&self) -> &'static [Manifest] {
        ALSO
    }

    fn inline(&self) -> &'static [&'static str] {
        &[ns::CARBONS]
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, request: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let is_enabling = request.has(ns::CARBONS, "enable");
        let outcome = match ctx.session_mut() {
            Some(session) => {
                // §10.1: as often as it likes.
                set(session, is_enabling);
                ctx.send(request.result());
                Outcome::Done
            }
            // §4.1, §5.1: only for the account's own clients.
            None => Outcome::Reject(StanzaError::new(Condition::NotAllowed)),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        // XEP-0386 §3.2: asked for with the binding; that says nothing back.
        if let Event::Bound { inline } = event
            && inline.iter().any(|asked| asked.is(ns::CARBONS, "enable"))
            && let Some(session) = ctx.account.session_mut(session)
        {
            set(session, true);
        }
    }

    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        let is_enabled = session.slots.get::<Enabled>().is_some();
        let mut note = vec![u8::from(is_enabled)];
        note.extend(latest(session));
        (is_enabled || note.len() > 1).then_some(note)
    }

    fn recall(&self, note: &[u8], session: SessionId, ctx: &mut Ctx) {
        if let (Some(session), Some((is_enabled, places))) =
            (ctx.account.session_mut(session), note.split_first())
        {
            set(session, *is_enabled == 1);
            let places = places.as_chunks().0.iter().copied();
            for place in places.map(Position::from_bytes) {
                self::note(session, place);
            }
        }
    }

    fn message(&self, phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if phase == Phase::Stamp {
            // §11: copies are made here and nowhere else, so whatever looks
            // like one and takes this way is forged.
            message.strip(|payload| {
                payload.is(ns::CARBONS, "sent") || payload.is(ns::CARBONS, "received")
            });
            return Outcome::Pass;
        }
        copy(message, ctx)
    }
}

fn set(session: &mut Session, is_enabled: bool) {
    if is_enabled {
        session.slots.set(Enabled);
    } else {
        session.slots.take::<Enabled>();
    }
}

/// §7, §8: gives copies of the message in hand to whom they are due.
fn copy(message: &Stanza, ctx: &mut Ctx) -> Outcome {
    let is_enabled =
        |session: &&Session| session.is_available() && session.slots.get::<Enabled>().is_some();
    if ctx.origin == Origin::Returned || !ctx.account.sessions.iter().any(|s| is_enabled(&s)) {
        // What comes back was copied on its first way.
        return Outcome::Pass;
    }
    let is_self = |jid: Option<&_>| jid.is_some_and(|jid| ctx.account.is_self(jid));
    let is_sender = ctx.side() == Side::Sender;
    if is_sender && is_self(message.head.to.as_ref()) {
        // Within the account it is copied once, when it is known who gets it.
        return Outcome::Pass;
    }
    let is_sent = is_sender || is_self(message.head.from.as_ref());
    if !rules::is_eligible(message, is_sent, || is_answer(message, ctx)) {
        return Outcome::Pass;
    }
    if !is_sender && is_refused(message, ctx) {
        return Outcome::Skip("nobody takes the message, and its sender is told".into());
    }
    // Also those who get it in a moment, behind what waited for them.
    let getting = (!is_sender).then(|| Targets::of(&ctx.account, message).sessions);
    let is_getting = |id| getting.as_ref().is_some_and(|getting| getting.contains(id));
    let sending = message.head.from.as_ref().filter(|_| is_sent);
    let others = ctx.account.sessions.iter().filter(is_enabled);
    let others = others.filter(|session| {
        !is_getting(&session.id)
            && !ctx.targets.sessions.contains(&session.id)
            && Some(&session.jid) != sending
    });
    let others: Vec<_> = others.map(|other| (other.id, other.jid.clone())).collect();
    remember(message, ctx);
    if others.is_empty() {
        return Outcome::Pass;
    }
    let Some(wrapper) = wrap(&marked(message, ctx), is_sent) else {
        return Outcome::Skip("a copy would be nested too deeply".into());
    };
    let wrapper = wrapper.from(ctx.account.jid.clone());
    for (session, jid) in others {
        give(session, wrapper.clone().to(jid), ctx);
    }
    Outcome::Pass
}

/// XEP-0313 §3.5: a copy of what the account sends tells its own clients where
/// it is in their archive. Its recipient is not told.
fn marked<'a>(message: &'a Stanza, ctx: &mut Ctx) -> Cow<'a, Stanza> {
    if ctx.side() != Side::Sender || !ctx.is_archived() {
        return Cow::Borrowed(message);
    }
    let position = ctx.place().position;
    let owner = &ctx.account.jid;
    let id = ctx.env().entry_ids.id_of(owner, position);
    let mut marked = message.clone();
    StanzaId::new(id, owner.clone()).mark(&mut marked);
    Cow::Owned(marked)
}

/// Gives a session a copy. If it takes messages, the copy is as good as the
/// message itself.
fn give(session: SessionId, copy: Stanza, ctx: &mut Ctx) {
    let found = ctx.account.session(session);
    let is_taking = found.is_some_and(Session::is_reachable) && !ctx.targets.is_stored;
    if is_taking {
        return ctx.deliver_copy(session, copy);
    }
    ctx.deliver(session, copy);
    if ctx.targets.is_stored {
        let position = ctx.place().position;
        if let Some(found) = ctx.account.session_mut(session) {
            note(found, position);
        }
    }
}

/// A session has the message that waits at this place.
pub(crate) fn note(session: &mut Session, position: Position) {
    if session.slots.get::<Copies>().is_none() {
        session.slots.set(Copies::default());
    }
    if let Some(Copies(copies)) = session.slots.get_mut() {
        // What comes back has the place of its first way.
        if let Err(place) = copies.binary_search(&position) {
            copies.insert(place, position);
        }
        if copies.len() > COPIES_MAX {
            copies.pop_front();
        }
    }
}

/// Where the latest of them wait, for another node.
fn latest(session: &Session) -> Vec<u8> {
    let copies = session.slots.get::<Copies>();
    let latest = copies.into_iter().flat_map(|Copies(copies)| {
        let skipped = copies.len().saturating_sub(NOTED_COPIES_MAX);
        copies.iter().skip(skipped)
    });
    latest.flat_map(|position| position.to_bytes()).collect()
}

/// Whether a session has the message that waits at this place.
pub(crate) fn has_copy(session: &Session, position: Position) -> bool {
    let copies = session.slots.get::<Copies>();
    copies.is_some_and(|Copies(copies)| copies.binary_search(&position).is_ok())
}

/// A message that is answered with an error has not been received.
fn is_refused(message: &Stanza, ctx: &Ctx) -> bool {
    ctx.targets.sessions.is_empty()
        && !ctx.targets.is_stored
        && matches!(message.head.type_, Type::Normal | Type::Chat)
}

/// The copy, without its addresses. It has no id: nothing can answer it (§10.3).
fn wrap(message: &Stanza, is_sent: bool) -> Option<Stanza> {
    let inner = message.to_bytes();
    let name = if is_sent { "sent" } else { "received" };
    let mut out = BytesMut::with_capacity(inner.len() + 192);
    out.put_slice(b"<message xmlns='jabber:client'><");
    out.put_slice(name.as_bytes());
    out.put_slice(b" xmlns='urn:xmpp:carbons:2'>");
    forward::write(&mut out, None, &inner);
    out.put_slice(b"</");
    out.put_slice(name.as_bytes());
    out.put_slice(b"></message>");
    let mut wrapper = Stanza::parse(out.freeze()).ok()?;
    wrapper.head.type_ = message.head.type_;
    Some(wrapper)
}

/// §6.1: whether an error answers a message that was copied.
fn is_answer(error: &Stanza, ctx: &Ctx) -> bool {
    let answerable = ctx.account.slots.get::<Answerable>();
    answerable.is_some_and(|known| key(error, ctx).is_some_and(|key| known.0.contains(&key)))
}

fn remember(message: &Stanza, ctx: &mut Ctx) {
    let Some(key) = key(message, ctx).filter(|_| message.head.type_ != Type::Error) else {
        return;
    };
    if ctx.account.slots.get::<Answerable>().is_none() {
        ctx.account.slots.set(Answerable::default());
    }
    if let Some(Answerable(known)) = ctx.account.slots.get_mut() {
        if known.len() >= ANSWERABLE_MESSAGES_MAX {
            known.pop_front();
        }
        known.push_back(key);
    }
}

/// The same for a message and for the error that answers it.
fn key(message: &Stanza, ctx: &Ctx) -> Option<u64> {
    let peer = match ctx.side() {
        Side::Sender => &message.head.to,
        Side::Recipient | Side::Both => &message.head.from,
    };
    let mut hasher = DefaultHasher::new();
    peer.as_ref()?.to_bare().hash(&mut hasher);
    message.head.id.as_ref()?.hash(&mut hasher);
    Some(hasher.finish())
}
