//! RFC 6121 §8.5.4: the table of message delivery, row by row.

use super::{message, waiting};
use crate::testing::{juliet, nobody};

/// RFC 6121 §8.5.4: the table, for an account with nobody there.
#[test]
fn the_table_of_delivery_with_nobody_there() {
    for (type_, to, outcome) in [
        ("normal", "", "stored"),
        ("chat", "", "stored"),
        ("groupchat", "", "error"),
        ("headline", "", "silence"),
        ("error", "", "silence"),
        ("normal", "/gone", "error"),
        ("chat", "/gone", "stored"),
        ("groupchat", "/gone", "error"),
        ("headline", "/gone", "silence"),
        ("error", "/gone", "silence"),
    ] {
        let mut negative = juliet();
        negative.bind_and_send("balcony", "<presence><priority>-1</priority></presence>");
        for mut scene in [juliet(), negative] {
            let said = scene.gets(&message(type_, to, "a"));
            let is_error = said
                .iter()
                .any(|line| line.contains("<service-unavailable "));
            assert_eq!(is_error, outcome == "error", "{type_}{to}: {said:?}");
            assert_eq!(
                waiting(&scene),
                u64::from(outcome == "stored"),
                "{type_}{to}"
            );
            assert_eq!(said.len(), usize::from(is_error), "{type_}{to}");
        }
    }
}

/// RFC 6121 §8.5.4: the table, with sessions of every kind.
#[test]
fn the_table_of_delivery_with_somebody_there() {
    for (type_, to, takers) in [
        ("normal", "", "balcony chamber"),
        ("chat", "", "balcony chamber"),
        ("groupchat", "", ""),
        ("headline", "", "balcony chamber"),
        ("error", "", ""),
        ("normal", "/negative", "negative"),
        ("chat", "/negative", "negative"),
        ("groupchat", "/negative", "negative"),
        ("headline", "/negative", "negative"),
        ("error", "/negative", "negative"),
        ("normal", "/silent", "silent"),
        ("normal", "/gone", ""),
        ("chat", "/gone", "balcony chamber"),
        ("groupchat", "/gone", ""),
        ("headline", "/gone", ""),
        ("error", "/gone", ""),
    ] {
        let mut scene = juliet();
        scene.online("balcony");
        scene.online("chamber");
        scene.bind("silent");
        scene.bind_and_send("negative", "<presence><priority>-1</priority></presence>");
        let said = scene.gets(&message(type_, to, "a"));
        let got: Vec<&str> = said
            .iter()
            .filter_map(|line| line.split_once(": <message")?.0.into())
            .filter(|who| *who != "out")
            .collect();
        assert_eq!(got.join(" "), takers, "{type_}{to}");
        for line in said.iter().filter(|line| !line.starts_with("out: ")) {
            assert!(
                line.contains(&format!("to='juliet@example.com{to}'")),
                "§8.5.2.1.1: {line}"
            );
        }
        assert_eq!(waiting(&scene), 0, "{type_}{to}");
    }
}

/// RFC 6121 §8.5.1: a message to a name without an account gets what one to a
/// user who is away gets, octet for octet: silence, where the table has it.
#[test]
fn the_table_of_delivery_without_an_account() {
    let hinted = "<no-store xmlns='urn:xmpp:hints'/><body>";
    let typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    for to in ["", "/gone"] {
        for type_ in ["normal", "chat", "groupchat", "headline", "error"] {
            let whole = message(type_, to, "a");
            for message in [
                whole.clone(),
                whole.replace("<body>", hinted),
                whole.replace("<body>a</body>", typing),
            ] {
                let mut scene = nobody();
                let said = scene.gets(&message);
                assert_eq!(said, juliet().gets(&message), "{message}");
                assert_eq!((waiting(&scene), scene.written.len()), (0, 0));
            }
            let is_answered = nobody().gets(&whole).len() == 1;
            let is_error = matches!((type_, to), ("groupchat", _) | ("normal", "/gone"));
            assert_eq!(is_answered, is_error, "{type_}{to}");
        }
    }
}
