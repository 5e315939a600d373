//! XEP-0280: who gets copies, of what, and what they look like.

use starling_session::testing::Scene;

use crate::testing::{check_from_romeo, juliet, only};

const ENABLE: &str = "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
const DISABLE: &str = "<iq type='set' id='2'><disable xmlns='urn:xmpp:carbons:2'/></iq>";

/// Juliet with two clients; this one gets copies.
fn with_copies_to(resource: &str) -> Scene {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    let answer = only(scene.sends(resource, ENABLE));
    assert!(answer.contains("type='result'"), "{answer}");
    scene
}

fn from_romeo(to: &str, type_: &str, content: &str) -> String {
    format!(
        "<message type='{type_}' to='{to}' from='romeo@example.net/a' id='m'>{content}</message>"
    )
}

fn copies(said: &[String]) -> Vec<&String> {
    let copies = said
        .iter()
        .filter(|line| line.contains("urn:xmpp:carbons:2"));
    copies.collect()
}

/// §7: wrapped, from the bare JID to the full JID, with the id of the log.
#[test]
fn what_another_session_receives_is_copied() {
    let mut scene = with_copies_to("chamber");
    let said = scene.gets(&from_romeo(
        "juliet@example.com/balcony",
        "chat",
        "<body>a</body>",
    ));
    assert_eq!(said.len(), 2, "{said:#?}");
    let original = said
        .iter()
        .find(|line| line.starts_with("balcony: "))
        .unwrap();
    let copy = said
        .iter()
        .find(|line| line.starts_with("chamber: "))
        .unwrap();
    let head = copy
        .split_once("><received xmlns='urn:xmpp:carbons:2'>")
        .unwrap()
        .0;
    for part in [
        "type='chat'",
        "from='juliet@example.com'",
        "to='juliet@example.com/chamber'",
    ] {
        assert!(head.contains(part), "{head}");
    }
    assert!(!head.contains(" id="), "{head}");
    assert!(copy.contains("<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'"));
    let (_, id) = original.split_once("<stanza-id ").unwrap();
    assert!(copy.contains(id.split_once('>').unwrap().0), "{copy}");
}

/// §7: "did not receive it under the RFC 6121 delivery rules".
#[test]
fn whoever_gets_the_message_gets_no_copy() {
    let mut scene = with_copies_to("chamber");
    let said = scene.gets(&from_romeo("juliet@example.com", "chat", "<body>a</body>"));
    assert_eq!((said.len(), copies(&said).len()), (2, 0), "{said:#?}");
    let said = scene.gets(&from_romeo(
        "juliet@example.com/chamber",
        "chat",
        "<body>a</body>",
    ));
    assert_eq!((said.len(), copies(&said).len()), (1, 0), "{said:#?}");
}

/// §7; RFC 6121 §8.5.2.1.1.
#[test]
fn a_session_with_negative_priority_gets_copies() {
    let mut scene = with_copies_to("chamber");
    scene.sends("chamber", "<presence><priority>-1</priority></presence>");
    let said = scene.gets(&from_romeo("juliet@example.com", "chat", "<body>a</body>"));
    assert!(only(copies(&said).into_iter().cloned().collect()).starts_with("chamber: "));
}

/// §8: whether the sender asked for copies itself or not, and never to it.
#[test]
fn what_another_session_sends_is_copied() {
    let mut scene = with_copies_to("chamber");
    let message = "<message type='chat' to='romeo@example.net'><body>a</body></message>";
    let said = scene.sends("balcony", message);
    assert_eq!(said.len(), 2, "{said:#?}");
    let copy = only(copies(&said).into_iter().cloned().collect());
    assert!(
        copy.starts_with("chamber: ") && copy.contains("<sent xmlns="),
        "{copy}"
    );
    assert!(only(scene.sends("chamber", message)).starts_with("out: "));
}

/// §7, §8: within the account, everybody has it once.
#[test]
fn a_note_to_oneself_is_not_doubled() {
    let mut scene = with_copies_to("chamber");
    scene.sends("balcony", ENABLE);
    for (to, takers) in [("juliet@example.com", 2), ("juliet@example.com/chamber", 1)] {
        let note = format!("<message type='chat' to='{to}'><body>a</body></message>");
        let sent = only(scene.sends("balcony", &note));
        let came = sent.strip_prefix("out: ").unwrap();
        let said = scene.gets(came);
        assert_eq!(
            (said.len(), copies(&said).len()),
            (takers, 0),
            "{to}: {said:#?}"
        );
    }
    scene.online("garden");
    scene.sends("garden", ENABLE);
    let note = "<message type='chat' to='juliet@example.com/chamber'><body>a</body></message>";
    let sent = only(scene.sends("balcony", note));
    let said = scene.gets(sent.strip_prefix("out: ").unwrap());
    let copy = only(copies(&said).into_iter().cloned().collect());
    assert!(
        copy.starts_with("garden: ") && copy.contains("<sent xmlns="),
        "{copy}"
    );
}

/// §4, §5, §10.1.
#[test]
fn a_session_enables_and_disables_as_often_as_it_likes() {
    let mut scene = with_copies_to("chamber");
    let message = from_romeo("juliet@example.com/balcony", "chat", "<body>a</body>");
    for (request, expected) in [(ENABLE, 1), (DISABLE, 0), (DISABLE, 0), (ENABLE, 1)] {
        assert!(only(scene.sends("chamber", request)).contains("type='result'"));
        assert_eq!(copies(&scene.gets(&message)).len(), expected, "{request}");
    }
}

/// §4.1, §5.1.
#[test]
fn somebody_else_can_enable_nothing() {
    for what in ["enable", "disable"] {
        let request = format!(
            "<iq type='set' id='1' to='juliet@example.com' from='romeo@example.net/a'><{what} xmlns='urn:xmpp:carbons:2'/></iq>"
        );
        check_from_romeo(&mut juliet(), &request, "<not-allowed ");
    }
}

/// §11: from wherever it comes and wherever it goes.
#[test]
fn a_forged_copy_is_taken_out() {
    let mut scene = with_copies_to("chamber");
    for wrapper in ["sent", "received"] {
        let forged = format!(
            "<{wrapper} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></{wrapper}>"
        );
        let message = from_romeo("juliet@example.com/chamber", "chat", &forged);
        assert!(!only(scene.gets(&message)).contains("carbons"));
        let message = format!("<message type='chat' to='romeo@example.net'>{forged}</message>");
        let said = scene.sends("chamber", &message);
        assert!(!only(said).contains("carbons"));
    }
}

/// §9: not copied, and the mark stays.
#[test]
fn a_private_message_is_not_copied() {
    let mut scene = with_copies_to("chamber");
    let private = "<body>a</body><private xmlns='urn:xmpp:carbons:2'/>";
    let said = scene.gets(&from_romeo("juliet@example.com/balcony", "chat", private));
    let got = only(said);
    assert!(
        got.starts_with("balcony: ") && got.contains("<private "),
        "{got}"
    );
    let message = format!("<message type='chat' to='romeo@example.net'>{private}</message>");
    let sent = only(scene.sends("balcony", &message));
    assert!(
        sent.starts_with("out: ") && sent.contains("<private "),
        "{sent}"
    );
}

/// §6.1: errors follow the messages that they answer.
#[test]
fn an_error_is_copied_if_its_message_was() {
    let mut scene = with_copies_to("chamber");
    let error = "<error type='cancel'/>";
    let to = "juliet@example.com/balcony";
    assert!(copies(&scene.gets(&from_romeo(to, "error", error))).is_empty());
    let message = "<message type='chat' id='m' to='romeo@example.net'><body>a</body></message>";
    scene.sends("balcony", message);
    let said = scene.gets(&from_romeo(to, "error", error));
    let copy = only(copies(&said).into_iter().cloned().collect());
    assert!(
        copy.starts_with("chamber: <message ") && copy.contains("type='error'"),
        "{copy}"
    );
}

/// §7: the sender is told that nobody got it, so nobody gets a copy.
#[test]
fn what_is_refused_is_not_copied() {
    let mut scene = with_copies_to("chamber");
    let message = from_romeo("juliet@example.com/gone", "normal", "<body>a</body>");
    let said = scene.gets(&message);
    assert!(copies(&said).is_empty(), "{said:#?}");
    scene.sends("chamber", "<presence><priority>-1</priority></presence>");
    scene.sends("balcony", "<presence type='unavailable'/>");
    let waits = from_romeo("juliet@example.com", "chat", "<body>a</body>");
    assert_eq!(copies(&scene.gets(&waits)).len(), 1);
}

/// What comes back from a lost session was copied on its first way.
#[test]
fn nothing_is_copied_twice() {
    let mut scene = with_copies_to("chamber");
    scene.gets(&from_romeo(
        "juliet@example.com/balcony",
        "chat",
        "<body>a</body>",
    ));
    assert!(copies(&scene.loses("balcony")).is_empty());
}

/// A session that shows itself to nobody is not told of anything.
#[test]
fn a_session_that_is_not_available_gets_no_copies() {
    let mut scene = with_copies_to("chamber");
    scene.sends("chamber", "<presence type='unavailable'/>");
    let message = from_romeo("juliet@example.com/balcony", "chat", "<body>a</body>");
    assert!(copies(&scene.gets(&message)).is_empty());
}

/// XEP-0313 §3.5: the copy tells where the archive of its owner has the message;
/// the recipient is not told.
#[test]
fn a_copy_of_what_is_sent_carries_its_id() {
    let mut scene = with_copies_to("chamber");
    let message = "<message type='chat' to='romeo@example.net'><body>a</body></message>";
    let said = scene.sends("balcony", message);
    let sent = said.iter().find(|line| line.starts_with("out: ")).unwrap();
    assert!(!sent.contains("stanza-id"), "{sent}");
    let copy = only(copies(&said).into_iter().cloned().collect());
    let (_, id) = copy
        .split_once("<stanza-id xmlns='urn:xmpp:sid:0' id='")
        .unwrap();
    let (id, by) = id.split_once('\'').unwrap();
    assert!(by.starts_with(" by='juliet@example.com'"), "{copy}");
    let query = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>";
    let said = scene.sends("chamber", query);
    assert!(
        said[0].contains(&format!("<result xmlns='urn:xmpp:mam:2' id='{id}'")),
        "{said:#?}"
    );
    // What no archive has, has no id in one.
    let unkept = "<body>a</body><no-permanent-store xmlns='urn:xmpp:hints'/>";
    let message = format!("<message type='chat' to='romeo@example.net'>{unkept}</message>");
    let said = scene.sends("balcony", &message);
    assert!(
        !said.iter().any(|line| line.contains("stanza-id")),
        "{said:#?}"
    );
}

/// §7: whoever has the copy has the message, also when the session it was for
/// is lost.
#[test]
fn a_copy_and_the_message_do_not_both_come() {
    let to = "juliet@example.com/balcony";
    let mut scene = with_copies_to("chamber");
    scene.gets(&from_romeo(to, "chat", "<body>a</body>"));
    assert!(
        scene
            .loses("balcony")
            .iter()
            .all(|line| !line.contains("<body>"))
    );
    // If the copy is lost too, it is the message that waits.
    let said = scene.loses("chamber");
    assert!(said.is_empty(), "{said:#?}");
    let said = scene.bind_and_send("garden", "<presence/>");
    let got = said.iter().find(|line| line.contains("<body>")).unwrap();
    assert!(
        got.starts_with("garden: ") && !got.contains("carbons"),
        "{got}"
    );

    let mut scene = with_copies_to("chamber");
    scene.gets(&from_romeo(to, "chat", "<body>a</body>"));
    scene.acknowledges("chamber");
    scene.loses("chamber");
    scene.loses("balcony");
    let said = scene.bind_and_send("garden", "<presence/>");
    assert!(
        !said.iter().any(|line| line.contains("<body>")),
        "it was read: {said:#?}"
    );
}

/// §7: also a session that takes no messages has its copy, when it takes them
/// later.
#[test]
fn what_waits_is_not_handed_to_who_has_a_copy() {
    let mut scene = with_copies_to("chamber");
    scene.sends("chamber", "<presence><priority>-1</priority></presence>");
    scene.loses("balcony");
    let said = scene.gets(&from_romeo("juliet@example.com", "chat", "<body>a</body>"));
    assert_eq!(copies(&said).len(), 1, "{said:#?}");
    let private = "<body>b</body><private xmlns='urn:xmpp:carbons:2'/>";
    assert!(
        scene
            .gets(&from_romeo("juliet@example.com", "chat", private))
            .is_empty()
    );
    let said = scene.sends("chamber", "<presence><priority>1</priority></presence>");
    assert!(
        said.iter().any(|line| line.contains("<body>b</body>")),
        "{said:#?}"
    );
    assert!(
        !said.iter().any(|line| line.contains("<body>a</body>")),
        "{said:#?}"
    );
    scene.acknowledges("chamber");
    scene.loses("chamber");
    let said = scene.bind_and_send("garden", "<presence/>");
    assert!(
        !said.iter().any(|line| line.contains("<body>")),
        "{said:#?}"
    );
}
