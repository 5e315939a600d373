//! Which messages are worth keeping, for everything that keeps or marks them
//! (XEP-0160 §3, XEP-0334 §4, XEP-0085 §5.1).

use starling_xmpp::payload::hints::Hints;
use starling_xmpp::{Stanza, Type, ns};

/// Whether a message is kept for an account that cannot take it now.
pub(crate) fn is_kept(message: &Stanza) -> bool {
    is_kept_unless(message, |hints| hints.is_no_store)
}

/// Whether a message is kept in archives.
pub(crate) fn is_archived(message: &Stanza) -> bool {
    is_kept_unless(message, Hints::forbids_archive)
}

fn is_kept_unless(message: &Stanza, is_forbidden: impl FnOnce(Hints) -> bool) -> bool {
    if !matches!(message.head.type_, Type::Normal | Type::Chat) {
        return false; // XEP-0160 §3.
    }
    let hints = Hints::of(message);
    // XEP-0334 §4.1, §4.2, §4.4.
    !is_forbidden(hints) && (hints.is_store || says_something(message))
}

/// Whether a message has anything that still matters later: typing
/// notifications and the marks around a message do not.
pub(crate) fn says_something(message: &Stanza) -> bool {
    message
        .payloads()
        .any(|payload| match (payload.ns(), payload.name()) {
            (ns::CHAT_STATES | ns::HINTS | ns::SID | ns::DELAY, _) => false,
            (ns::CLIENT, name) => name != "thread",
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use starling_session::testing::parse;

    use super::is_kept;

    fn kept(message: &str) -> bool {
        is_kept(&parse(message))
    }

    /// XEP-0160 §3.
    #[test]
    fn normal_and_chat_are_kept_and_no_other_type() {
        assert!(kept("<message><body>a</body></message>"));
        assert!(kept("<message type='chat'><body>a</body></message>"));
        for type_ in ["groupchat", "headline", "error"] {
            let message = format!("<message type='{type_}'><body>a</body></message>");
            assert!(!kept(&message), "{type_}");
        }
    }

    /// XEP-0160 §3, XEP-0085 §5.1.
    #[test]
    fn chat_states_alone_are_not_kept() {
        let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        let marks = "<thread>t</thread><origin-id xmlns='urn:xmpp:sid:0' id='o'/>";
        assert!(!kept(&format!("<message type='chat'>{state}</message>")));
        assert!(!kept(&format!(
            "<message type='chat'>{state}{marks}</message>"
        )));
        assert!(kept(&format!(
            "<message type='chat'>{state}<body>a</body></message>"
        )));
        assert!(!kept("<message type='chat'></message>"));
    }

    /// XEP-0334 §4.1, §4.2, §4.4.
    #[test]
    fn hints_decide() {
        let with = |hints: &str, rest: &str| {
            let hints = hints
                .split(' ')
                .map(|hint| format!("<{hint} xmlns='urn:xmpp:hints'/>"));
            kept(&format!(
                "<message type='chat'>{}{rest}</message>",
                hints.collect::<String>()
            ))
        };
        assert!(!with("no-store", "<body>a</body>"));
        assert!(!with("no-store store", "<body>a</body>"));
        assert!(with("no-permanent-store", "<body>a</body>"));
        assert!(with("store", ""));
    }

    /// XEP-0184 §5.2: a receipt has no body and matters.
    #[test]
    fn a_receipt_is_kept() {
        assert!(kept(
            "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>"
        ));
    }
}
