//! XEP-0115: Entity Capabilities, version 1.6.0: the host's own, and what the
//! clients of our users and of their contacts can.
//!
//! The edge shows the host's `<c/>` among its stream features; it gets it from
//! [`host_caps`]. A client's capabilities are looked up once per hash, checked
//! against it, and remembered by the node for everyone with the same software.
//! Who wants to know them asks [`Capabilities`], or [`others`] for contacts, and
//! hears of [`Event::Learned`]. What the node knows by hash is in `known`. Caps
//! optimization (§8.4) is left out: presence is forwarded whole.

mod known;
pub(crate) mod others;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use smol_str::SmolStr;
use starling_session::{
    Ctx, Event, EventKind, Feature, Hook, Host, Manifest, Outcome, Phase, Registry, Session,
    SessionId, Side, Spec,
};
use starling_xmpp::payload::caps::{self, Caps, Verdict};
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Element, Stanza, Type, ns};

use self::known::{INFO_BYTES_MAX, Known};
use crate::disco;

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(115),
    version: "1.6.0",
    disco: &[ns::CAPS],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[
    Hook::on(EventKind::Available),
    Hook::on(EventKind::Changed),
    Hook::on(EventKind::Resumed),
    Hook::on(EventKind::Unavailable),
    Hook::presence(Side::Recipient, Phase::Notify),
];

/// §4: the URI that names this software.
pub(crate) const NODE: &str = "https://starling.im/";

/// The capabilities a host announces in its stream features (§6.3).
pub fn host_caps(registry: &Registry, host: &Host) -> Caps {
    Caps::of(NODE, &disco::host_info(registry, host))
}

/// What a session's client can, as far as it is proven: in its slots.
#[derive(Clone)]
pub struct Capabilities(pub Arc<Info>);

/// What a session's client last announced: in its slots.
struct Announced {
    caps: Caps,
    /// The request that asks it for the rest, until it is answered.
    request: Option<SmolStr>,
}

#[derive(Default)]
pub(crate) struct EntityCaps {
    known: Mutex<Known>,
}

impl Feature for EntityCaps {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        match event {
            Event::Available { presence } => {
                others::note_complete(ctx);
                self.announced(presence, session, ctx);
            }
            Event::Changed { presence } => self.announced(presence, session, ctx),
            // It may be another node that it has come back to.
            Event::Resumed => {
                let found = ctx.account.session(session);
                let presence = found.and_then(|found| found.presence.clone());
                if let Some(presence) = presence {
                    self.announced(&presence, session, ctx);
                }
            }
            // What it can is told anew when it becomes available again.
            Event::Unavailable { .. } => {
                forget(ctx, session, None);
            }
            _ => {}
        }
    }

    fn presence(&self, _phase: Phase, presence: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        others::seen(self, presence, ctx);
        Outcome::Pass
    }

    fn told(&self, answer: &Stanza, ctx: &mut Ctx) {
        others::told(self, answer, ctx);
    }

    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        // The presence says which; whether they are proven is asked again.
        session.slots.get::<Announced>().map(|_| Vec::new())
    }

    fn recall(&self, _note: &[u8], session: SessionId, ctx: &mut Ctx) {
        let found = ctx.account.session(session);
        if let Some(presence) = found.and_then(|found| found.presence.clone()) {
            self.announced(&presence, session, ctx);
        }
    }

    fn answer(&self, answer: &Stanza, session: SessionId, ctx: &mut Ctx) {
        let Some(caps) = asked(ctx, session, answer) else {
            return;
        };
        if answer.content().len() > INFO_BYTES_MAX {
            return;
        }
        let Some(info) = read_info(answer) else {
            return;
        };
        match caps::verify(&caps, &info) {
            // §5.4: only what the hash proves is remembered for others.
            Verdict::Valid => {
                let info = Arc::new(info);
                let bytes = answer.content().len();
                self.lock().insert(&caps, Arc::clone(&info), bytes);
                remember(ctx, session, info);
                others::wake(self, ctx, &caps);
            }
            // §5.4 step 3: a hash we cannot compute counts for this client only.
            Verdict::Unsupported => remember(ctx, session, Arc::new(info)),
            Verdict::Mismatch | Verdict::IllFormed => tracing::debug!(
                account = %ctx.account.jid,
                node = caps.node,
                "the client's capabilities do not match their hash"
            ),
        }
    }
}

impl EntityCaps {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Whoever panicked cannot have left a map half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client has sent presence: what it announces is known, or asked for.
    fn announced(&self, presence: &Stanza, session: SessionId, ctx: &mut Ctx) {
        // §13: without a hash (the form before version 1.4) nothing is proven.
        let caps = presence.payload(ns::CAPS, "c").map(|c| c.element());
        let caps = caps.as_ref().and_then(Caps::from_element);
        if !forget(ctx, session, caps.as_ref()) {
            return;
        }
        let Some(caps) = caps else {
            return;
        };
        let known = self.lock().get(&caps);
        let request = match &known {
            Some(_) => None,
            None => {
                let query = Element::new(ns::DISCO_INFO, "query");
                ctx.request(session, false, &query.attr("node", caps.disco_node()))
            }
        };
        if let Some(found) = ctx.account.session_mut(session) {
            found.slots.set(Announced { caps, request });
        }
        if let Some((_, info)) = known {
            remember(ctx, session, info);
        }
    }
}

/// Forgets what an earlier announcement meant; `false` if this is the same, so
/// that nothing is to be done.
fn forget(ctx: &mut Ctx, session: SessionId, caps: Option<&Caps>) -> bool {
    let Some(found) = ctx.account.session_mut(session) else {
        return false;
    };
    let before = found.slots.get::<Announced>();
    if before.map(|before| &before.caps) == caps {
        return false;
    }
    found.slots.take::<Announced>();
    found.slots.take::<Capabilities>();
    true
}

/// The capabilities that an answer is about: none, if the client has announced
/// others since it was asked.
fn asked(ctx: &mut Ctx, session: SessionId, answer: &Stanza) -> Option<Caps> {
    let found = ctx.account.session_mut(session)?;
    let announced = found.slots.get_mut::<Announced>()?;
    if announced.request.is_none() || announced.request != answer.head.id {
        return None;
    }
    announced.request = None;
    Some(announced.caps.clone())
}

fn remember(ctx: &mut Ctx, session: SessionId, info: Arc<Info>) {
    if let Some(found) = ctx.account.session_mut(session) {
        found.slots.set(Capabilities(info));
        let jid = found.jid.clone();
        ctx.fire(session, &Event::Learned { of: &jid });
    }
}

/// What an answer of disco#info says, if it is one.
fn read_info(answer: &Stanza) -> Option<Info> {
    if answer.head.type_ != Type::Result {
        return None;
    }
    let query = answer.payload(ns::DISCO_INFO, "query")?.element();
    Info::from_element(&query).ok()
}
