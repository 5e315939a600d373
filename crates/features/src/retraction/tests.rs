//! XEP-0424: what becomes of a message in the log, and of what stays.

use starling_session::testing::Scene;
use starling_store::Change;
use starling_store::archive::{self, Entry};

use crate::testing::juliet;

fn message(from: &str, id: &str, content: &str) -> String {
    format!(
        "<message type='chat' to='juliet@example.com' from='{from}' id='{id}'>{content}</message>"
    )
}

fn retraction(from: &str) -> String {
    message(
        from,
        "r",
        "<retract xmlns='urn:xmpp:message-retract:1' id='m'/><body>retracted</body>",
    )
}

/// What was appended under each position last, oldest first.
fn log(scene: &Scene) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    for change in &scene.written {
        if let Change::Archive(archive::Change::Append(entry)) = change {
            log.retain(|earlier| earlier.position != entry.position);
            log.push(entry.clone());
        }
    }
    log.sort_by_key(|entry| entry.position);
    log
}

fn texts(scene: &Scene) -> Vec<String> {
    let log = log(scene).into_iter();
    log.map(|entry| String::from_utf8(entry.stanza.to_vec()).unwrap())
        .collect()
}

/// §4, §5: at its place, with its ids and the stamp; the retraction stays.
#[test]
fn what_waits_becomes_a_tombstone_at_its_place() {
    let mut scene = juliet();
    scene.gets(&message("romeo@example.net/a", "m", "<body>secret</body>"));
    let before = log(&scene);
    scene.gets(&retraction("romeo@example.net/b"));
    let (after, texts) = (log(&scene), texts(&scene));
    assert_eq!(after.len(), 2, "{texts:#?}");
    assert_eq!(after[0].position, before[0].position);
    assert!(
        !texts[0].contains("secret") && texts[0].contains("id='m'"),
        "{texts:#?}"
    );
    for part in [
        "<retracted xmlns='urn:xmpp:message-retract:1'",
        "id='r'",
        "stamp='2001-09-09T01:46:40",
        "<stanza-id ",
    ] {
        assert!(texts[0].contains(part), "{part}: {}", texts[0]);
    }
    assert!(texts[1].contains("<retract "), "{}", texts[1]);
    let bytes: usize = after.iter().map(|entry| entry.stanza.len()).sum();
    assert_eq!(scene.account().offline.bytes, bytes as u64);
    let said = scene.bind_and_send("balcony", "<presence/>");
    assert!(
        !said.iter().any(|line| line.contains("secret")),
        "{said:#?}"
    );
}

/// §5: "MUST only be processed when both … are received from the same bare-JID".
#[test]
fn nobody_retracts_what_another_sent() {
    let mut scene = juliet();
    scene.gets(&message("romeo@example.net/a", "m", "<body>stays</body>"));
    scene.gets(&retraction("paris@example.net/a"));
    assert!(texts(&scene)[0].contains("stays"));
}

/// §5: the retraction itself must stay.
#[test]
fn a_retraction_is_not_retracted() {
    let mut scene = juliet();
    let first = retraction("romeo@example.net/a").replace("id='r'", "id='m'");
    scene.gets(&first);
    scene.gets(&retraction("romeo@example.net/a"));
    assert!(texts(&scene)[0].contains("<retract "));
}

/// An id in the old place (XEP-0359 §2.2) is found, too.
#[test]
fn an_origin_id_names_a_message() {
    let mut scene = juliet();
    let content = "<body>secret</body><origin-id xmlns='urn:xmpp:sid:0' id='m'/>";
    scene.gets(&message("romeo@example.net/a", "other", content));
    scene.gets(&retraction("romeo@example.net/a"));
    assert!(!texts(&scene)[0].contains("secret"));
}

/// A message that its session did not take must not come back to life.
#[test]
fn what_comes_back_stays_retracted() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.gets(&message("romeo@example.net/a", "m", "<body>secret</body>"));
    scene.gets(&retraction("romeo@example.net/a"));
    scene.loses("balcony");
    assert!(
        texts(&scene).iter().all(|text| !text.contains("secret")),
        "{:#?}",
        texts(&scene)
    );
    let said = scene.bind_and_send("chamber", "<presence/>");
    assert!(
        !said.iter().any(|line| line.contains("secret")),
        "{said:#?}"
    );
}
