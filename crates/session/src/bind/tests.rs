//! Who makes way for a new session, and messages that come twice.

#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use starling_link::MessageId;

use crate::Config;
use crate::testing::Scene;

/// XEP-0198 §5: sessions that wait for clients which never come back do not
/// shut out one that is there.
#[test]
fn a_session_that_waits_makes_way_where_there_are_too_many() {
    let config = Config {
        sessions_per_account_max: 2,
        ..Config::default()
    };
    let mut scene = Scene::with("juliet@example.com", Vec::new(), config);
    for resource in ["balcony", "chamber"] {
        scene.bind(resource);
        scene.enables(resource);
    }
    scene.loses("chamber");
    scene.bind("orchard");
    let sessions = scene.account().sessions.iter();
    let resources: Vec<_> = sessions.filter_map(|of| of.jid.resource()).collect();
    assert_eq!(resources, ["balcony", "orchard"]);
}

/// A node that was not told that a message arrived sends it again.
#[test]
fn a_message_with_a_number_that_is_known_is_not_delivered_again() {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    let message = "<message type='chat' to='juliet@example.com' from='romeo@example.net/o'/>";
    let mut gets = |id| scene.gets_numbered(message, id).len();
    assert_eq!(gets(Some(MessageId(1))), 1);
    assert_eq!(gets(Some(MessageId(1))), 0);
    assert_eq!(gets(Some(MessageId(2))), 1);
    assert_eq!((gets(None), gets(None)), (1, 1), "from elsewhere");
}
