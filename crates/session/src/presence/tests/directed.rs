//! RFC 6121 §4.6: directed presence.

use super::*;
use crate::testing::Scene;

const ROOM: &str = "<presence to='room@muc.example.org/juliet'/>";
const ROOM_LEFT: &str = "out: <presence type='unavailable' to='room@muc.example.org/juliet' from='juliet@example.com/balcony'/>";

/// RFC 6121 §4.6.3: a client that vanishes leaves its rooms.
#[test]
fn who_got_directed_presence_learns_of_the_end() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    assert_eq!(
        scene.sends("balcony", ROOM),
        ["out: <presence to='room@muc.example.org/juliet' from='juliet@example.com/balcony'/>"]
    );
    assert_eq!(scene.loses("balcony"), [ROOM_LEFT]);
}

/// RFC 6121 §4.6.3: also of unavailable presence, also without initial
/// presence.
#[test]
fn directed_presence_needs_no_initial_presence() {
    let mut scene = Scene::new("juliet@example.com");
    scene.bind_and_send("balcony", ROOM);
    let said = scene.sends("balcony", "<presence type='unavailable'/>");
    assert_eq!(said, [ROOM_LEFT]);
    assert_eq!(scene.loses("balcony"), [""; 0], "it was told already");
}

/// RFC 6121 §4.6.3: directed unavailable presence ends it.
#[test]
fn directed_unavailable_presence_is_remembered_as_the_end() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    scene.sends("balcony", ROOM);
    scene.sends(
        "balcony",
        "<presence type='unavailable' to='room@muc.example.org/juliet'/>",
    );
    assert_eq!(scene.loses("balcony"), [""; 0]);
}

/// RFC 6121 §4.6.3: broadcasts are not for those who got directed presence.
#[test]
fn later_presence_does_not_go_to_targets_of_directed_presence() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    scene.sends("balcony", ROOM);
    let said = scene.sends("balcony", "<presence><show>dnd</show></presence>");
    assert_eq!(said.len(), 1, "only back to itself: {said:?}");
}

/// RFC 6121 §4.6.3: a contact that a broadcast reaches is told once.
#[test]
fn a_subscriber_is_told_once() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.sends("balcony", "<presence to='from@example.net'/>");
    let said = scene.loses("balcony");
    let told = said.iter().filter(|line| line.contains("to='from@"));
    assert_eq!(told.count(), 1, "{said:?}");
}

/// RFC 6121 §4.2.3, §4.6.2: a stranger to whom a resource showed itself may
/// show himself to it, and only to it.
#[test]
fn directed_presence_is_answered_to_its_sender_alone() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    scene.online("chamber");
    scene.sends("chamber", "<presence to='paris@example.org'/>");
    assert_eq!(
        scene.gets("<presence to='juliet@example.com' from='paris@example.org/church'/>"),
        ["chamber: <presence to='juliet@example.com' from='paris@example.org/church'/>"]
    );
}

/// RFC 6121 §8.5.3.1: an error goes to the resource that caused it, which is
/// not there for the other then.
#[test]
fn an_error_ends_directed_presence() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    scene.sends("balcony", ROOM);
    let error = "<presence type='error' to='juliet@example.com/balcony' from='room@muc.example.org/juliet'/>";
    assert_eq!(scene.gets(error), [format!("balcony: {error}")]);
    assert_eq!(scene.loses("balcony"), [""; 0]);
}

/// RFC 6121 §4.6.6: a room may ask whether its occupant is still there.
#[test]
fn a_probe_from_a_target_of_directed_presence_is_answered() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    scene.sends("balcony", ROOM);
    let probe = "<presence type='probe' to='juliet@example.com/balcony' from='room@muc.example.org/juliet'/>";
    assert_eq!(
        scene.gets(probe),
        ["out: <presence to='room@muc.example.org/juliet' from='juliet@example.com/balcony'/>"]
    );
    scene.loses("balcony");
    let denial = "out: <presence type='unsubscribed' to='room@muc.example.org/juliet' from='juliet@example.com'/>";
    assert_eq!(scene.gets(probe), [denial]);
}

/// The list is bounded, and a full one has an answer.
#[test]
fn a_full_list_is_resource_constraint() {
    let mut scene = Scene::with("juliet@example.com", Vec::new(), crowded());
    scene.online("balcony");
    scene.sends("balcony", ROOM);
    let said = scene.sends("balcony", "<presence to='other@muc.example.org/juliet'/>");
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("balcony: <presence type='error'"),
        "{said:?}"
    );
    assert!(said[0].contains("<resource-constraint"), "{said:?}");
    assert_eq!(scene.sends("balcony", ROOM).len(), 1, "it is on the list");
    assert!(scene.sends("balcony", ROOM)[0].starts_with("out: "));
}
