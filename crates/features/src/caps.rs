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

use smol_str::SmolStr;
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

/// Octets of what is remembered by hash. Those that a big service sees take
/// less than a tenth of it.
const KNOWN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Octets of an answer that are kept: a client with a hundred features has
/// ten thousand.
const INFO_BYTES_MAX: usize = 32 * 1024;

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

/// What is known by hash, oldest first.
#[derive(Default)]
struct Known {
    infos: HashMap<Caps, Arc<Info>>,
    /// With the octets of each.
    order: VecDeque<(Caps, usize)>,
    /// The sum of those.
    bytes: usize,
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
        // §13: without a hash (the form before version 1.4) nothing is proven.
        let caps = presence.payload(ns::CAPS, "c").map(|c| c.element());
        let caps = caps.as_ref().and_then(Caps::from_element);
        if !forget(ctx, session, caps.as_ref()) {
            return;
        }
        let Some(caps) = caps else {
            return;
        };
        let known = self.lock().infos.get(&caps).cloned();
        let request = match known {
            Some(info) => {
                remember(ctx, session, info);
                None
            }
            None => {
                let query = Element::new(ns::DISCO_INFO, "query");
                ctx.request(session, false, &query.attr("node", caps.disco_node()))
            }
        };
        if let Some(found) = ctx.account.session_mut(session) {
            found.slots.set(Announced { caps, request });
        }
    }

    fn answer(&self, answer: &Stanza, session: SessionId, ctx: &mut Ctx) {
        let Some(caps) = asked(ctx, session, answer) else {
            return;
        };
        if answer.head.type_ != Type::Result || answer.content().len() > INFO_BYTES_MAX {
            return;
        }
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
                let bytes = answer.content().len();
                self.lock().insert(caps, Arc::clone(&info), bytes);
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
    /// `info_bytes` is the length of the answer; what it becomes in memory
    /// grows with it. The key counts as well: its node may be as long as the
    /// presence it came in.
    fn insert(&mut self, caps: Caps, info: Arc<Info>, info_bytes: usize) {
        let bytes = info_bytes + 2 * (caps.hash.len() + caps.node.len() + caps.ver.len());
        if bytes > INFO_BYTES_MAX || self.infos.insert(caps.clone(), info).is_some() {
            return;
        }
        self.order.push_back((caps, bytes));
        self.bytes += bytes;
        while (self.order.len() > KNOWN_HASHES_MAX || self.bytes > KNOWN_BYTES_MAX)
            && let Some((oldest, bytes)) = self.order.pop_front()
        {
            self.infos.remove(&oldest);
            self.bytes -= bytes;
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
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::Scene;

    use super::*;
    use crate::testing::{check_from_romeo, host, juliet, only};

    /// XEP-0115 §5.2.
    const INFO: &str = "<identity category='client' type='pc' name='Exodus 0.9.1'/><feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>";
    const VER: &str = "QgayPKawpkPSDYmwT/WM94uAlu0=";

    fn presence(ver: &str) -> String {
        format!(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/exodus' ver='{ver}'/></presence>"
        )
    }

    fn query(info: &str) -> String {
        format!("<query xmlns='http://jabber.org/protocol/disco#info'>{info}</query>")
    }

    fn is_asked(said: &[String]) -> bool {
        said.iter()
            .any(|line| line.starts_with("balcony: <iq type='get' id='push'"))
    }

    fn features(scene: &Scene) -> Option<usize> {
        let session = scene
            .account()
            .sessions
            .iter()
            .find(|s| s.jid.resource() == Some("balcony"))?;
        session
            .slots
            .get::<Capabilities>()
            .map(|known| known.0.features.len())
    }

    /// XEP-0115 §6.2: the client is asked by node and hash, and what it says
    /// is believed if the hash proves it (§5.4).
    #[test]
    fn a_client_is_asked_once_and_believed() {
        let mut scene = juliet();
        let said = scene.bind_and_send("balcony", &presence(VER));
        let asked = said.iter().find(|line| line.contains("<iq ")).unwrap();
        assert_eq!(
            *asked,
            format!(
                "balcony: <iq type='get' id='push' to='juliet@example.com/balcony' from='juliet@example.com'><query xmlns='http://jabber.org/protocol/disco#info' node='http://code.google.com/p/exodus#{VER}'/></iq>"
            )
        );
        assert_eq!(features(&scene), None);
        scene.answers("balcony", &query(INFO));
        assert_eq!(features(&scene), Some(4));
        assert!(
            !is_asked(&scene.sends("balcony", &presence(VER))),
            "the same again"
        );
        assert_eq!(features(&scene), Some(4));
    }

    /// XEP-0115 §8.2: a hash that is known is known for everybody.
    #[test]
    fn a_known_hash_is_not_asked_for_again() {
        let mut scene = juliet();
        scene.bind_and_send("balcony", &presence(VER));
        scene.answers("balcony", &query(INFO));
        scene.loses("balcony");
        assert!(!is_asked(&scene.bind_and_send("balcony", &presence(VER))));
        assert_eq!(features(&scene), Some(4));
    }

    /// XEP-0115 §5.4, §9.3: what the hash does not prove is not believed, and
    /// poisons nothing.
    #[test]
    fn a_lie_is_not_believed() {
        let mut scene = juliet();
        scene.bind_and_send("balcony", &presence(VER));
        scene.answers("balcony", &query("<identity category='client' type='pc'/>"));
        assert_eq!(features(&scene), None);
        scene.loses("balcony");
        assert!(is_asked(&scene.bind_and_send("balcony", &presence(VER))));
    }

    /// XEP-0115 §5.4 step 3.9: other capabilities replace the earlier, and an
    /// answer that comes late is not taken for theirs.
    #[test]
    fn capabilities_that_change_are_asked_for_anew() {
        let mut scene = juliet();
        scene.bind_and_send("balcony", &presence(VER));
        scene.answers("balcony", &query(INFO));
        assert!(is_asked(&scene.sends("balcony", &presence("other"))));
        assert_eq!(features(&scene), None, "what it could before");
        scene.sends("balcony", "<presence/>");
        scene.answers("balcony", &query(INFO));
        assert_eq!(features(&scene), None, "it announces none any more");
        scene.sends("balcony", &presence(VER));
        assert_eq!(features(&scene), Some(4));
    }

    /// RFC 6120 §8.1.3: an answer is matched by its id and by who gives it.
    #[test]
    fn nobody_answers_for_another() {
        let mut scene = juliet();
        scene.bind("chamber");
        scene.bind_and_send("balcony", &presence(VER));
        let id = scene.asked().to_owned();
        let answer = |from: &str| format!("<iq type='result' id='{id}'{from}>{}</iq>", query(INFO));
        scene.gets(&answer(
            " to='juliet@example.com' from='romeo@example.net/a'",
        ));
        scene.gets(&answer(
            " to='juliet@example.com/balcony' from='romeo@example.net/a'",
        ));
        scene.sends("chamber", &answer(""));
        assert_eq!(features(&scene), None);
        scene.sends("balcony", &answer(""));
        assert_eq!(features(&scene), Some(4));
    }

    /// Somebody who makes up clients fills a bounded space, and the oldest is
    /// forgotten first; one that is known already counts once.
    #[test]
    fn what_is_known_is_bounded_in_octets() {
        let mut known = Known::default();
        let caps = |number: usize| Caps {
            hash: "sha-1".into(),
            node: "n".into(),
            ver: format!("{number:06}"),
        };
        let info = Arc::new(Info::default());
        let count = KNOWN_BYTES_MAX / (INFO_BYTES_MAX / 2);
        for number in (0..count + 10).flat_map(|number| [number, number]) {
            known.insert(caps(number), Arc::clone(&info), INFO_BYTES_MAX / 2);
        }
        assert!(known.bytes <= KNOWN_BYTES_MAX, "{}", known.bytes);
        assert_eq!(known.infos.len(), known.order.len());
        assert!(known.infos.len() > count - 10);
        assert!(known.infos.contains_key(&caps(count + 9)));
        assert!(!known.infos.contains_key(&caps(0)));
        let long = Caps {
            node: "n".repeat(INFO_BYTES_MAX),
            ..caps(0)
        };
        known.insert(long.clone(), info, 1);
        assert!(!known.infos.contains_key(&long), "too long to remember");
    }

    /// XEP-0115 §13: the legacy format proves nothing.
    #[test]
    fn the_legacy_format_is_left_alone() {
        let mut scene = juliet();
        let legacy = "<presence><c xmlns='http://jabber.org/protocol/caps' node='http://x' ver='1' ext='a'/></presence>";
        assert!(!is_asked(&scene.bind_and_send("balcony", legacy)));
    }

    /// XEP-0115 §6.2, §6.3: what the stream feature announces is answered, and
    /// its hash is that of the answer.
    #[test]
    fn the_hosts_hash_is_that_of_its_disco() {
        let mut scene = host();
        let hosts = scene.env().hosts.load();
        let caps = host_caps(&scene.env().registry, hosts.host("example.com").unwrap());
        drop(hosts);
        let node = caps.disco_node();
        let ask = format!(
            "<iq type='get' id='1' to='example.com' from='romeo@example.net/a'><query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>"
        );
        let answer = only(scene.gets(&ask));
        let answer = starling_session::testing::parse(answer.strip_prefix("out: ").unwrap());
        let query = answer.first_payload().unwrap().element();
        assert_eq!(query.attribute("node"), Some(node.as_str()));
        let info = Info::from_element(&query).unwrap();
        assert_eq!(caps::verify(&caps, &info), Verdict::Valid);
        check_from_romeo(
            &mut scene,
            &ask.replace(&caps.ver, "other"),
            "<item-not-found ",
        );
    }
}
