#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use super::*;
use crate::testing::Scene;
use crate::{Feature, Hook, Manifest};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(9999),
    version: "",
    disco: &[],
    disco_account: &[],
};

/// Notes the same of every session.
struct Noting;

impl Feature for Noting {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        &[]
    }

    fn note(&self, _session: &Session) -> Option<Vec<u8>> {
        Some(b"noted".to_vec())
    }
}

fn summary(scene: &Scene) -> Bytes {
    let session = &scene.account().sessions[0];
    encode(&scene.env().registry, session, false)
}

#[test]
fn a_session_comes_back_as_it_was() {
    let mut scene = Scene::with(
        "juliet@example.com",
        vec![Box::new(Noting)],
        crate::Config::default(),
    );
    scene.online("balcony");
    scene.sends(
        "balcony",
        "<presence><show>away</show><priority>-3</priority></presence>",
    );
    scene.sends("balcony", "<presence to='hall@rooms.example.com/j'/>");
    scene.enables("balcony");
    let before = &scene.account().sessions[0];
    let found = Summary::read(&summary(&scene)).unwrap();
    assert_eq!(found.client, before.client);
    assert_eq!(found.since, before.since);
    assert!(found.is_interested && !found.is_anonymous);
    let present = found.presence.unwrap();
    assert_eq!(Some(&present.stanza), before.presence.as_ref());
    assert_eq!((present.priority, before.priority), (-3, -3));
    assert_eq!(present.since, Some(crate::testing::BEGIN));
    let (managed, known) = (found.managed.unwrap(), before.managed.as_ref().unwrap());
    let token = |managed: &Managed| managed.resumption(before.id);
    assert_eq!(token(&managed), token(known));
    assert!(token(known).is_some());
    assert_eq!(found.notes, [(9999, b"noted".to_vec())]);
    let directed: Vec<_> = found.directed.iter().map(Jid::as_str).collect();
    assert_eq!(directed, ["hall@rooms.example.com/j"]);
}

#[test]
fn a_session_that_has_said_nothing_comes_back_too() {
    let mut scene = Scene::new("juliet@example.com");
    scene.bind("balcony");
    let found = Summary::read(&summary(&scene)).unwrap();
    assert!(found.presence.is_none() && found.managed.is_none());
    assert!(found.directed.is_empty() && found.notes.is_empty());
}

/// Another version of the program may write another layout.
#[test]
fn what_is_of_another_version_or_damaged_is_refused() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    let whole = summary(&scene);
    let mut other = whole.to_vec();
    other[0] = VERSION + 1;
    assert_eq!(
        Summary::read(&other).unwrap_err(),
        Malformed("a version this program does not know")
    );
    for end in 0..whole.len() {
        assert!(Summary::read(&whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn of_too_many_addressees_the_oldest_are_left_out() {
    let mut scene = Scene::new("juliet@example.com");
    scene.bind("balcony");
    for number in 0..100 {
        let presence = format!("<presence to='room-{number}@rooms.example.com/juliet'/>");
        scene.sends("balcony", &presence);
    }
    let bytes = summary(&scene);
    assert!(bytes.len() <= SUMMARY_BYTES_MAX, "{}", bytes.len());
    assert!(bytes.len() > SUMMARY_BYTES_MAX - 64, "{}", bytes.len());
    let directed = Summary::read(&bytes).unwrap().directed;
    assert_eq!(
        directed.last().unwrap().as_str(),
        "room-99@rooms.example.com/juliet"
    );
    let first = 100 - directed.len();
    assert_eq!(
        directed[0].as_str(),
        format!("room-{first}@rooms.example.com/juliet")
    );
}
