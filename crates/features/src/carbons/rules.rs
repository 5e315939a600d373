//! XEP-0280 §6: which messages are copied.

use starling_xmpp::payload::hints::Hints;
use starling_xmpp::{Stanza, Type, ns};

/// §6.1, all of it. `is_sent` says that the account sends the message;
/// `is_answer`, that an error answers one that was copied.
pub(super) fn is_eligible(
    message: &Stanza,
    is_sent: bool,
    is_answer: impl FnOnce() -> bool,
) -> bool {
    if message.has(ns::CARBONS, "private") || Hints::of(message).is_no_copy {
        return false; // §9; XEP-0334 §4.3.
    }
    match message.head.type_ {
        Type::Groupchat => false,
        Type::Error => is_answer(),
        _ if is_invitation(message) => true,
        // The room hands those to every client that is in it.
        _ if !is_sent && is_from_occupant(message) => false,
        Type::Chat => true,
        Type::Normal if message.has(ns::CLIENT, "body") => true,
        _ => is_conversation(message),
    }
}

/// Directly (XEP-0249 §2) or through the room (XEP-0045 §7.8.2).
fn is_invitation(message: &Stanza) -> bool {
    message.payloads().any(|payload| {
        payload.is(ns::CONFERENCE, "x")
            || payload.is(ns::MUC_USER, "x")
                && payload.element().get(ns::MUC_USER, "invite").is_some()
    })
}

/// XEP-0045 §7.5: a private message of somebody in a room.
fn is_from_occupant(message: &Stanza) -> bool {
    message.has(ns::MUC_USER, "x")
        && message
            .head
            .from
            .as_ref()
            .is_some_and(|from| from.is_full())
}

/// What conversations consist of beside texts.
fn is_conversation(message: &Stanza) -> bool {
    message.payloads().any(|payload| {
        matches!(
            payload.ns(),
            ns::RECEIPTS
                | ns::CHAT_STATES
                | ns::CHAT_MARKERS
                | ns::CORRECT
                | ns::REACTIONS
                | ns::RETRACT
        )
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::parse;

    use super::is_eligible;

    const BODY: &str = "<body>a</body>";
    const OCCUPANT: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
    const INVITED: &str = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>";

    fn copied(type_: &str, content: &str, is_sent: bool) -> bool {
        let from = "room@rooms.example.net/nick";
        let message = format!("<message type='{type_}' from='{from}'>{content}</message>");
        is_eligible(&parse(&message), is_sent, || false)
    }

    /// §6.1.
    #[test]
    fn types_and_contents_decide() {
        for (type_, content, expected) in [
            ("chat", "", true),
            ("normal", BODY, true),
            ("normal", "<x xmlns='urn:example:x'/>", false),
            (
                "normal",
                "<received xmlns='urn:xmpp:receipts' id='1'/>",
                true,
            ),
            (
                "normal",
                "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
                true,
            ),
            (
                "normal",
                "<active xmlns='http://jabber.org/protocol/chatstates'/>",
                true,
            ),
            ("headline", BODY, false),
            ("groupchat", BODY, false),
            ("error", BODY, false),
        ] {
            for is_sent in [false, true] {
                assert_eq!(
                    copied(type_, content, is_sent),
                    expected,
                    "{type_} {content}"
                );
            }
        }
    }

    /// §6.1: "it was sent in response to a message that was eligible".
    #[test]
    fn an_error_is_copied_if_it_answers_what_was() {
        let error = parse("<message type='error'><body>a</body></message>");
        assert!(is_eligible(&error, false, || true));
        assert!(!is_eligible(&error, false, || false));
    }

    /// §6.1, the rules about rooms.
    #[test]
    fn rooms_have_rules_of_their_own() {
        let private = format!("{BODY}{OCCUPANT}");
        assert!(copied("chat", &private, true));
        assert!(!copied("chat", &private, false));
        assert!(copied("normal", INVITED, false));
        assert!(copied(
            "normal",
            "<x xmlns='jabber:x:conference' jid='r@b'/>",
            false
        ));
        assert!(!copied("groupchat", INVITED, false));
    }

    /// §9; XEP-0334 §4.3.
    #[test]
    fn a_sender_can_ask_for_no_copies() {
        for mark in [
            "<private xmlns='urn:xmpp:carbons:2'/>",
            "<no-copy xmlns='urn:xmpp:hints'/>",
        ] {
            assert!(!copied("chat", &format!("{BODY}{mark}"), true), "{mark}");
            assert!(
                !copied("normal", &format!("{INVITED}{mark}"), false),
                "{mark}"
            );
        }
    }
}
