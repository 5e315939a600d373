//! XEP-0160 and RFC 6121 §8.5, situation by situation.

use starling_session::testing::Scene;

use starling_store::Position;

use super::Config;
use super::flush::PAGE_MESSAGES;
use crate::testing::{juliet, juliet_with, nobody, only};

mod log;
mod order;
mod table;

const NOTHING: [&str; 0] = [];
const STAMP: &str =
    "<delay xmlns='urn:xmpp:delay' from='example.com' stamp='2001-09-09T01:46:40.000Z'/>";

fn message(type_: &str, to: &str, body: &str) -> String {
    format!(
        "<message type='{type_}' to='juliet@example.com{to}' from='romeo@example.net/a'><body>{body}</body></message>"
    )
}

fn get(scene: &mut Scene, body: &str) -> Vec<String> {
    scene.gets(&message("chat", "", body))
}

/// The bodies of the messages that were delivered, with their resources.
fn bodies(said: &[String]) -> Vec<String> {
    let found = said.iter().filter_map(|line| {
        let (resource, stanza) = line.split_once(": ")?;
        let (_, rest) = stanza.split_once("<body>")?;
        Some(format!("{resource} {}", rest.split_once("</body>")?.0))
    });
    found.collect()
}

fn waiting(scene: &Scene) -> u64 {
    scene.account().offline.entries
}

fn cursor(scene: &Scene) -> Option<Position> {
    scene.account().cursors.offline
}

/// A few more than a page.
fn many(scene: &mut Scene) -> usize {
    let count = PAGE_MESSAGES + 2;
    for number in 0..count {
        assert_eq!(get(scene, &number.to_string()), NOTHING);
    }
    count
}

/// One session is being handed what waits, and another takes a message for both
/// at once.
fn one_in_line_and_one_not(scene: &mut Scene) {
    many(scene);
    scene.bind_and_send("balcony", "<presence/>");
    scene.online("chamber");
    assert_eq!(bodies(&get(scene, "both")), ["chamber both"]);
}

/// XEP-0160 §2, §3; XEP-0203 §2: kept, then delivered in order with the time
/// it was taken, by the host.
#[test]
fn what_was_sent_to_nobody_waits() {
    let mut scene = juliet();
    assert_eq!(get(&mut scene, "1"), NOTHING);
    assert_eq!(scene.gets(&message("normal", "", "2")), NOTHING);
    scene.wait_millis(60_000);
    let said = scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(bodies(&said), ["balcony 1", "balcony 2"]);
    for line in said.iter().filter(|line| line.contains("<body>")) {
        assert!(
            line.contains(STAMP) && line.contains("to='juliet@example.com' "),
            "{line}"
        );
    }
    assert!(said[0].starts_with("balcony: <presence"), "presence first");
    assert_eq!(scene.drains("balcony"), NOTHING);
    assert_eq!(waiting(&scene), 0);
    assert_eq!(
        bodies(&scene.bind_and_send("chamber", "<presence/>")),
        NOTHING
    );
}

/// XEP-0160 §2, RFC 6121 §8.5.2.2.1: neither a session without presence nor a
/// negative priority gets them; the change to another does.
#[test]
fn a_negative_priority_does_not_get_what_waits() {
    let mut scene = juliet();
    get(&mut scene, "1");
    scene.bind("balcony");
    assert_eq!(get(&mut scene, "2"), NOTHING, "not available");
    let said = scene.sends("balcony", "<presence><priority>-1</priority></presence>");
    assert_eq!(bodies(&said), NOTHING);
    assert_eq!(get(&mut scene, "3"), NOTHING, "negative");
    let said = scene.sends("balcony", "<presence><priority>0</priority></presence>");
    assert_eq!(bodies(&said), ["balcony 1", "balcony 2", "balcony 3"]);
}

/// Promise 2: nothing counts as delivered before it is written to the client.
#[test]
fn the_cursor_follows_what_was_written_page_by_page() {
    let mut scene = juliet();
    let count = many(&mut scene);
    let first = scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(bodies(&first).len(), PAGE_MESSAGES);
    assert_eq!((waiting(&scene), cursor(&scene)), (count as u64, None));
    let second = scene.drains("balcony");
    assert_eq!(bodies(&second), ["balcony 50", "balcony 51"]);
    assert_eq!(waiting(&scene), 2);
    let after_first = cursor(&scene);
    assert!(after_first.is_some());
    assert_eq!(scene.drains("balcony"), NOTHING);
    assert_eq!(waiting(&scene), 0);
    assert!(cursor(&scene) > after_first);
    scene.reload();
    assert_eq!(
        bodies(&scene.bind_and_send("balcony", "<presence/>")),
        NOTHING
    );
}

/// A session that dies in the middle of a page has confirmed nothing of it.
#[test]
fn a_session_that_dies_loses_nothing() {
    let mut scene = juliet();
    let count = many(&mut scene);
    scene.bind_and_send("balcony", "<presence/>");
    scene.loses("balcony");
    assert_eq!((waiting(&scene), cursor(&scene)), (count as u64, None));
    scene.bind_and_send("chamber", "<presence/>");
    scene.drains("chamber");
    scene.loses("chamber");
    assert_eq!(waiting(&scene), 2, "the first page was written");
    scene.reload();
    assert_eq!(waiting(&scene), 2, "as the store counts");
    let rest = scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(bodies(&rest), ["balcony 50", "balcony 51"]);
}

/// A second session gets none of it twice and takes over when the first dies.
#[test]
fn another_session_takes_over_in_the_middle() {
    let mut scene = juliet();
    many(&mut scene);
    scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(
        bodies(&scene.bind_and_send("chamber", "<presence/>")),
        NOTHING
    );
    scene.drains("balcony");
    assert_eq!(
        bodies(&scene.loses("balcony")),
        ["chamber 50", "chamber 51"]
    );
    scene.drains("chamber");
    assert_eq!(waiting(&scene), 0);
}

/// RFC 6121 §8.5.2.1.1: a session that turns away is handed no further page,
/// but what it was written counts.
#[test]
fn a_session_that_becomes_unreachable_gets_no_more() {
    for turning in [
        "<presence type='unavailable'/>",
        "<presence><priority>-1</priority></presence>",
    ] {
        let mut scene = juliet();
        many(&mut scene);
        scene.bind_and_send("balcony", "<presence/>");
        assert_eq!(bodies(&scene.sends("balcony", turning)), NOTHING);
        assert_eq!(bodies(&scene.drains("balcony")), NOTHING);
        assert_eq!(waiting(&scene), 2);
        let said = scene.sends("balcony", "<presence/>");
        assert_eq!(bodies(&said), ["balcony 50", "balcony 51"]);
    }
}

/// RFC 6120 §10.1: a new message does not overtake those that wait.
#[test]
fn a_new_message_joins_the_end_of_the_line() {
    let mut scene = juliet();
    let count = many(&mut scene) as u64;
    scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(get(&mut scene, "new"), NOTHING);
    assert_eq!(waiting(&scene), count + 1);
    assert_eq!(
        bodies(&scene.drains("balcony")),
        ["balcony 50", "balcony 51", "balcony new"]
    );
    scene.drains("balcony");
    assert_eq!(bodies(&get(&mut scene, "live")), ["balcony live"]);
}

/// The same with a second session, which gets it at once; and one for its full
/// JID is nobody else's.
#[test]
fn a_session_that_is_not_in_line_gets_new_messages_at_once() {
    let mut scene = juliet();
    one_in_line_and_one_not(&mut scene);
    assert_eq!(
        bodies(&scene.gets(&message("chat", "/chamber", "one"))),
        ["chamber one"]
    );
    assert_eq!(
        bodies(&scene.drains("balcony")),
        ["balcony 50", "balcony 51", "balcony both"]
    );
}

/// A message that one session took at once, while it waited for another that was
/// in line, is not handed to it again when it takes that one's place.
#[test]
fn who_took_a_message_at_once_does_not_get_it_again() {
    let mut scene = juliet();
    one_in_line_and_one_not(&mut scene);
    assert_eq!(bodies(&scene.loses("balcony")).len(), PAGE_MESSAGES);
    assert_eq!(
        bodies(&scene.drains("chamber")),
        ["chamber 50", "chamber 51"]
    );
    scene.drains("chamber");
    assert_eq!(waiting(&scene), 0);
}

/// Nor does the one in line get it twice when the session that took it at once
/// is lost without having it: it was handed what waited.
#[test]
fn what_was_handed_over_does_not_come_again_from_who_took_it_at_once() {
    let mut scene = juliet();
    one_in_line_and_one_not(&mut scene);
    assert_eq!(
        bodies(&scene.drains("balcony")),
        ["balcony 50", "balcony 51", "balcony both"]
    );
    scene.drains("balcony");
    assert_eq!(bodies(&scene.loses("chamber")), NOTHING);
    assert_eq!(waiting(&scene), 0);
}

/// Lost before that, it still waits for the one in line, once.
#[test]
fn what_waits_is_not_kept_again_for_who_took_it_at_once() {
    let mut scene = juliet();
    one_in_line_and_one_not(&mut scene);
    let count = waiting(&scene);
    assert_eq!(bodies(&scene.loses("chamber")), NOTHING);
    assert_eq!(waiting(&scene), count);
    assert_eq!(
        bodies(&scene.drains("balcony")),
        ["balcony 50", "balcony 51", "balcony both"]
    );
}

/// XEP-0160 §2: a full queue is told to the sender, and nothing is lost of it.
#[test]
fn a_full_queue_is_an_error() {
    let settings = crate::Config {
        offline: Config {
            messages_max: 2,
            ..Config::default()
        },
        ..crate::Config::default()
    };
    let mut scene = juliet_with(&settings);
    get(&mut scene, "1");
    get(&mut scene, "2");
    let refused = only(get(&mut scene, "3"));
    assert!(
        refused.starts_with("out: <message type='error' to='romeo@example.net/a'"),
        "{refused}"
    );
    assert!(refused.contains("<service-unavailable "), "{refused}");
    assert_eq!(
        bodies(&scene.bind_and_send("balcony", "<presence/>")),
        ["balcony 1", "balcony 2"]
    );
    scene.online("chamber");
    assert_eq!(
        bodies(&get(&mut scene, "4")),
        ["chamber 4"],
        "who can take it gets it"
    );
    scene.drains("balcony");
    scene.drains("balcony");
    assert_eq!(bodies(&get(&mut scene, "5")).len(), 2);
}

/// XEP-0160 §3, XEP-0085 §5.1: typing is not kept and nobody is told.
#[test]
fn chat_states_for_nobody_vanish() {
    let mut scene = juliet();
    let state = "<message type='chat' to='juliet@example.com' from='romeo@example.net/a'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>";
    assert_eq!(scene.gets(state), NOTHING);
    assert_eq!(waiting(&scene), 0);
}

/// XEP-0334 §4.2: what must not be kept is refused, so it is not lost unseen.
#[test]
fn a_message_that_must_not_be_kept_is_refused() {
    let mut scene = juliet();
    let hinted =
        message("chat", "", "a").replace("<body>", "<no-store xmlns='urn:xmpp:hints'/><body>");
    let said = only(scene.gets(&hinted));
    assert!(said.contains("<service-unavailable "), "{said}");
    assert_eq!(waiting(&scene), 0);
}

/// XEP-0203 §2: only the host knows how long a message waited here.
#[test]
fn a_delay_in_our_name_is_not_believed() {
    let mut scene = juliet();
    scene.online("balcony");
    let room =
        "<delay xmlns='urn:xmpp:delay' from='room@example.org' stamp='2001-01-01T00:00:00Z'/>";
    let forged = "<delay xmlns='urn:xmpp:delay' from='EXAMPLE.com' stamp='2001-01-01T00:00:00Z'/>";
    let both = message("chat", "", "a").replace("<body>", &format!("{forged}{room}<body>"));
    let got = only(scene.gets(&both));
    assert!(got.contains(room) && !got.contains("EXAMPLE"), "{got}");
}

/// What a session is not known to have waits again when it ends, once, whether
/// it came out of the log or not, and under the same id (XEP-0359 §2.1).
#[test]
fn what_a_lost_session_did_not_take_waits_once() {
    let mut scene = juliet();
    scene.online("balcony");
    let live = only(get(&mut scene, "live"));
    let id = |line: &str| {
        let (_, rest) = line.split_once("urn:xmpp:sid:0'").unwrap();
        rest.split_once("/>").unwrap().0.to_owned()
    };
    assert_eq!(waiting(&scene), 0, "on its way");
    assert_eq!(bodies(&scene.loses("balcony")), NOTHING);
    assert_eq!(waiting(&scene), 1);
    let said = scene.bind_and_send("balcony", "<presence/>");
    let from_log = said.iter().find(|line| line.contains("<body>")).unwrap();
    assert_eq!(id(&live), id(from_log));
    scene.loses("balcony");
    assert_eq!(waiting(&scene), 1, "it was never written to the client");
    assert_eq!(
        bodies(&scene.bind_and_send("chamber", "<presence/>")),
        ["chamber live"]
    );
    scene.acknowledges("chamber");
    assert_eq!(waiting(&scene), 0);
    scene.loses("chamber");
    scene.reload();
    assert_eq!(waiting(&scene), 0, "as the store counts");
}

/// Promise 3: a device that has a message does not get it again because
/// another was too slow for it.
#[test]
fn what_others_have_taken_does_not_come_again() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    get(&mut scene, "a");
    assert_eq!(bodies(&scene.loses("balcony")), NOTHING);
    assert_eq!(waiting(&scene), 0, "the other may take it");
    scene.loses("chamber");
    assert_eq!(waiting(&scene), 1, "now nobody has it");
    scene.online("balcony");
    scene.acknowledges("balcony");
    scene.online("chamber");
    get(&mut scene, "b");
    scene.acknowledges("chamber");
    scene.loses("chamber");
    scene.loses("balcony");
    assert_eq!(waiting(&scene), 0, "one of them has it");
}

/// RFC 6121 §8.5.3.2.1: chat for a session that is lost goes to the others.
#[test]
fn a_message_for_a_lost_session_falls_back() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    scene.gets(&message("chat", "/balcony", "a"));
    assert_eq!(bodies(&scene.loses("balcony")), ["chamber a"]);
}

/// What was kept only until it arrived leaves the log, and no more.
#[test]
fn what_arrived_leaves_the_log() {
    let mut scene = log::without_archive();
    scene.online("balcony");
    get(&mut scene, "1");
    scene.acknowledges("balcony");
    get(&mut scene, "2");
    scene.alarms_ring();
    let left = log::log(&scene);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(scene.account().cursors.delivered < Some(left[0].position));
    scene.loses("balcony");
    assert_eq!(waiting(&scene), 1);
    assert_eq!(log::log(&scene).len(), 1, "in place of the first");
}

/// An account that ends with its session keeps nothing, and says so.
#[test]
fn nothing_waits_for_an_anonymous_account() {
    let mut scene = nobody();
    scene.bind("balcony");
    let said = only(get(&mut scene, "a"));
    assert!(said.contains("<service-unavailable "), "{said}");
}
