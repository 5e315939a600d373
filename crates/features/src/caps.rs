//! XEP-0115: Entity Capabilities, version 1.6.0: the host's own, and what the
//! clients of our users can.
//!
//! The edge shows the host's `<c/>` among its stream features; it gets it from
//! [`host_caps`]. A client's capabilities are looked up once per hash, checked
//! against it, and remembered by the node for everyone with the same software.
//! Who wants to know them asks [`Capabilities`]. Caps optimization (§8.4) is
//! left out: presence is forwarded whole.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use starling_session::{
    Ctx, Event, EventKind, Feature, Hook, Host, Manifest, Registry, SessionId, Spec,
};
use starling_xmpp::payload::caps::{self, Caps, Verdict};
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Element, Stanza, Type, ns};

use crate::disco;

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(115),
    version: "1.6.0",
    disco: &[ns::CAPS],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[Hook::on(EventKind::Available), Hook::on(EventKind::Changed)];

/// §4: the URI that names this software.
pub(crate) const NODE: &str = "https://starling.im/";

/// Hashes that a node remembers. A big service sees a few hundred; the rest
/// is room for people who make them up.
const KNOWN_HASHES_MAX: usize = 4_096;

/// The capabilities a host announces in its stream features (§6.3).
pub fn host_caps(registry: &Registry, host: &Host) -> Caps {
    Caps::of(NODE, &disco::host_info(registry, host))
}

/// What a session's client can, as far as it is proven: in its slots.
#[derive(Clone)]
pub struct Capabilities(pub Arc<Info>);

/// A client that was asked what it can: in its session's slots.
struct Asked(Caps);

#[derive(Default)]
pub(crate) struct EntityCaps {
    known: Mutex<Known>,
}

/// What is known by hash, oldest first.
#[derive(Default)]
struct Known {
    infos: HashMap<Caps, Arc<Info>>,
    order: VecDeque<Caps>,
}

impl Feature for EntityCaps {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        let (Event::Available { presence } | Event::Changed { presence }) = event else {
            return;
        };
        // §11: without a hash (the form before version 1.4) nothing is proven.
        let caps = presence.payload(ns::CAPS, "c").map(|c| c.element());
        let Some(caps) = caps.as_ref().and_then(Caps::from_element) else {
            return;
        };
        if let Some(info) = self.lock().infos.get(&caps).cloned() {
            return remember(ctx, session, info);
        }
        let query = Element::new(ns::DISCO_INFO, "query").attr("node", caps.disco_node());
        if let Some(found) = ctx.account.session_mut(session) {
            found.slots.set(Asked(caps));
            ctx.request(session, false, &query);
        }
    }

    fn answer(&self, answer: &Stanza, session: SessionId, ctx: &mut Ctx) {
        let asked = ctx
            .account
            .session_mut(session)
            .and_then(|found| found.slots.take::<Asked>());
        let Some(Asked(caps)) = asked.filter(|_| answer.head.type_ == Type::Result) else {
            return;
        };
        let query = answer
            .payload(ns::DISCO_INFO, "query")
            .map(|query| query.element());
        let Some(Ok(info)) = query.as_ref().map(Info::from_element) else {
            return;
        };
        match caps::verify(&caps, &info) {
            // §5.4: only what the hash proves is remembered for others.
            Verdict::Valid => {
                let info = Arc::new(info);
                self.lock().insert(caps, Arc::clone(&info));
                remember(ctx, session, info);
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
}

impl Known {
    fn insert(&mut self, caps: Caps, info: Arc<Info>) {
        if self.infos.insert(caps.clone(), info).is_some() {
            return;
        }
        self.order.push_back(caps);
        if self.order.len() > KNOWN_HASHES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.infos.remove(&oldest);
        }
    }
}

fn remember(ctx: &mut Ctx, session: SessionId, info: Arc<Info>) {
    if let Some(found) = ctx.account.session_mut(session) {
        found.slots.set(Capabilities(info));
    }
}
