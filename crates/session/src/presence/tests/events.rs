//! What features learn of presence, and where they may forbid it.

use std::sync::{Arc, Mutex};

use starling_link::SessionId;
use starling_xmpp::{Condition, Stanza, StanzaError};

use super::*;
use crate::{Ctx, Event, EventKind, Feature, Hook, Manifest, Outcome, Phase, Side, Spec};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Own("witness"),
    version: "",
    disco: &[],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[
    Hook::on(EventKind::Available),
    Hook::on(EventKind::Changed),
    Hook::on(EventKind::Reachable),
    Hook::on(EventKind::Unavailable),
    Hook::presence(Side::Sender, Phase::Guard),
];

/// Writes events down, and lets no presence pass to `both@example.net`.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<EventKind>>>);

impl Feature for Witness {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn presence(&self, _phase: Phase, presence: &mut Stanza, _ctx: &mut Ctx) -> Outcome {
        let is_blocked = presence.head.to.as_ref().map(Jid::bare_str) == Some("both@example.net");
        match is_blocked {
            true => Outcome::Reject(StanzaError::new(Condition::NotAcceptable)),
            false => Outcome::Pass,
        }
    }

    fn event(&self, event: &Event<'_>, _session: SessionId, _ctx: &mut Ctx) {
        self.0.lock().unwrap().push(event.kind());
    }
}

fn witnessed() -> (Scene, Witness) {
    let witness = Witness::default();
    let features: Vec<Box<dyn Feature>> = vec![Box::new(witness.clone())];
    let mut scene = Scene::with("juliet@example.com", features, Config::default());
    scene.contact("both@example.net", Subscription::Both);
    scene.contact("from@example.net", Subscription::From);
    (scene, witness)
}

fn check(presences: &[&str], expected: &[EventKind]) {
    let (mut scene, witness) = witnessed();
    scene.bind("balcony");
    for presence in presences {
        scene.sends("balcony", presence);
    }
    assert_eq!(*witness.0.lock().unwrap(), expected, "{presences:?}");
}

const NEGATIVE: &str = "<presence><priority>-1</priority></presence>";
const PLAIN: &str = "<presence/>";
const GONE: &str = "<presence type='unavailable'/>";

/// RFC 6121 §4.2, §4.4, §4.5, §8.5.2.1.1: initial presence is told first, and
/// messages come last and only to who takes them.
#[test]
fn features_learn_what_presence_means() {
    use EventKind::{Available, Changed, Reachable, Unavailable};
    check(&[PLAIN], &[Available, Reachable]);
    check(&[PLAIN, PLAIN], &[Available, Reachable, Changed]);
    check(&[NEGATIVE], &[Available]);
    check(&[NEGATIVE, PLAIN], &[Available, Changed, Reachable]);
    check(&[PLAIN, GONE], &[Available, Reachable, Unavailable]);
    check(
        &[PLAIN, GONE, PLAIN],
        &[Available, Reachable, Unavailable, Available, Reachable],
    );
    check(&[GONE], &[]);
}

/// RFC 6121 §4.5.2: also of a session that ends without a word.
#[test]
fn features_learn_of_a_lost_session() {
    let (mut scene, witness) = witnessed();
    scene.online("balcony");
    scene.loses("balcony");
    let last = witness.0.lock().unwrap().last().copied();
    assert_eq!(last, Some(EventKind::Unavailable));
}

/// XEP-0191 §3.1 relies on it: what the server sends of its own accord passes
/// the same guards as what the client addresses itself.
#[test]
fn a_guard_holds_for_broadcasts_and_probes() {
    let (mut scene, _) = witnessed();
    scene.bind("balcony");
    let said = [PLAIN, PLAIN, GONE].map(|presence| scene.sends("balcony", presence));
    let said = said.concat();
    assert!(said.iter().all(|line| !line.contains("both@")), "{said:?}");
    let told = said.iter().filter(|line| line.contains("to='from@"));
    assert_eq!(told.count(), 3, "{said:?}");
}

/// XEP-0191 §3.1: who blocks a room he is in still leaves it in the end.
#[test]
fn a_guard_does_not_keep_a_client_in_a_room() {
    let (mut scene, _) = witnessed();
    let id = scene.online("balcony");
    let target = Jid::parse("both@example.net/nick").unwrap();
    scene
        .account_mut()
        .session_mut(id)
        .unwrap()
        .directed
        .insert(target);
    assert_eq!(
        scene.loses("balcony").last().map(String::as_str),
        Some(
            "out: <presence type='unavailable' to='both@example.net/nick' from='juliet@example.com/balcony'/>"
        )
    );
}
