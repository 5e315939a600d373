//! XEP-0352: Client State Indication, version 1.0.0: what a client need not
//! hear of while nobody looks at it.
//!
//! The session's ring holds those stanzas back, in order, and lets them go
//! before anything that cannot wait, before the client's next request is
//! answered, and when somebody looks again (§5.1). The stream feature is the
//! edge's. Nobody else learns of the state (§6).

use starling_session::{
    Ctx, Event, EventKind, Feature, Hold, Holder, Hook, Manifest, Session, SessionId, Spec,
};
use starling_xmpp::payload::forward::Forwarded;
use starling_xmpp::{Kind, Payload, Stanza, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(352),
    version: "1.0.0",
    disco: &[],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[
    Hook::on(EventKind::Bound),
    Hook::on(EventKind::ClientState),
    Hook::on(EventKind::Resumed),
];

/// XEP-0045 §15.6.2: about the client itself, or somebody thrown out.
const ROOM_STATUS_URGENT: [&str; 6] = ["110", "301", "307", "321", "322", "332"];

pub(crate) struct ClientState;

/// In the slots of a session: nobody looks at its client.
struct Inactive;

impl Feature for ClientState {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn inline(&self) -> &'static [&'static str] {
        &[ns::CSI]
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        match event {
            // XEP-0386 §3.2: a client may begin unwatched.
            Event::Bound { inline } if inline.iter().any(|e| e.is(ns::CSI, "inactive")) => {
                set(ctx, session, false);
            }
            Event::ClientState { is_active } => set(ctx, session, *is_active),
            // §5.2: the engine lets go of what waited.
            Event::Resumed => mark(ctx, session, true),
            _ => {}
        }
    }

    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        session.slots.get::<Inactive>().map(|_| Vec::new())
    }

    fn recall(&self, _note: &[u8], session: SessionId, ctx: &mut Ctx) {
        set(ctx, session, false);
    }
}

fn set(ctx: &mut Ctx, session: SessionId, is_active: bool) {
    mark(ctx, session, is_active);
    ctx.hold(session, (!is_active).then_some(holder as Holder));
}

fn mark(ctx: &mut Ctx, session: SessionId, is_active: bool) {
    let Some(session) = ctx.account.session_mut(session) else {
        return;
    };
    if is_active {
        session.slots.take::<Inactive>();
    } else {
        session.slots.set(Inactive);
    }
}

/// Whatever is not known to be of no urgency goes at once.
fn holder(stanza: &Stanza) -> Hold {
    match (stanza.head.kind, stanza.head.type_) {
        (Kind::Presence, Type::Available | Type::Unavailable) => presence(stanza),
        (Kind::Message, type_) if type_ != Type::Error => message(stanza),
        _ => Hold::Never,
    }
}

/// Of several only the latest of a full JID matters.
fn presence(presence: &Stanza) -> Hold {
    let is_urgent = presence.payload(ns::MUC_USER, "x").is_some_and(|room| {
        let room = room.element();
        let mut statuses = room
            .children()
            .filter(|child| child.is(ns::MUC_USER, "status"));
        statuses.any(|status| {
            let code = status.attribute("code");
            code.is_some_and(|code| ROOM_STATUS_URGENT.contains(&code))
        })
    });
    if is_urgent {
        Hold::Never
    } else {
        Hold::Replace
    }
}

fn message(message: &Stanza) -> Hold {
    let can_wait = message.payloads().all(|payload| match payload.ns() {
        ns::CARBONS => can_copy_wait(&payload),
        ns => can_wait(ns, payload.name(), false),
    });
    if can_wait { Hold::Wait } else { Hold::Never }
}

/// A copy can wait if what is inside can.
fn can_copy_wait(copy: &Payload<'_>) -> bool {
    let (copy, is_sent) = (copy.element(), copy.name() == "sent");
    let forwarded = copy.get(ns::FORWARD, "forwarded");
    forwarded
        .and_then(Forwarded::from_element)
        .is_some_and(|forwarded| {
            let mut parts = forwarded.stanza.children();
            parts.all(|part| can_wait(part.ns(), part.name(), is_sent))
        })
}

/// Whether this part of a message is of no urgency. What the user displayed on
/// another device is: it takes back what this one notified of.
fn can_wait(ns: &str, name: &str, is_own: bool) -> bool {
    match ns {
        ns::CHAT_STATES | ns::HINTS | ns::SID | ns::DELAY | ns::PUBSUB_EVENT => true,
        ns::RECEIPTS => name == "received",
        ns::CHAT_MARKERS => !is_own,
        ns::CLIENT => name == "thread",
        _ => false,
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::parse;

    use super::*;

    fn hold(stanza: &str) -> Hold {
        holder(&parse(stanza))
    }

    /// §3.2: "push the latest presence from each contact".
    #[test]
    fn presence_waits_and_the_latest_counts() {
        for presence in [
            "<presence from='romeo@example.net/a'/>",
            "<presence from='romeo@example.net/a' type='unavailable'/>",
            "<presence><x xmlns='http://jabber.org/protocol/muc#user'><item/></x></presence>",
        ] {
            assert_eq!(hold(presence), Hold::Replace, "{presence}");
        }
    }

    /// RFC 6121 §3.1; XEP-0045 §7.2.2, §8.2, §9.1.
    #[test]
    fn presence_that_somebody_waits_for_goes_at_once() {
        for type_ in [
            "subscribe",
            "subscribed",
            "unsubscribe",
            "unsubscribed",
            "error",
        ] {
            assert_eq!(
                hold(&format!("<presence type='{type_}'/>")),
                Hold::Never,
                "{type_}"
            );
        }
        for code in ["110", "301", "307"] {
            let presence = format!(
                "<presence><x xmlns='http://jabber.org/protocol/muc#user'><status code='{code}'/></x></presence>"
            );
            assert_eq!(hold(&presence), Hold::Never, "{code}");
        }
    }

    /// §3.2.
    #[test]
    fn messages_wait_if_they_say_nothing() {
        let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'/>";
        let receipt = "<received xmlns='urn:xmpp:receipts' id='1'/>";
        let call = "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>";
        for (content, expected) in [
            (state.to_owned(), Hold::Wait),
            (format!("{state}<thread>t</thread>"), Hold::Wait),
            (event.to_owned(), Hold::Wait),
            (receipt.to_owned(), Hold::Wait),
            (format!("{state}<body>a</body>"), Hold::Never),
            (format!("{event}<body>a</body>"), Hold::Never),
            ("<subject>a</subject>".to_owned(), Hold::Never),
            (
                "<encrypted xmlns='urn:xmpp:omemo:2'/>".to_owned(),
                Hold::Never,
            ),
            (call.to_owned(), Hold::Never),
        ] {
            for type_ in ["chat", "headline", "groupchat"] {
                let message = format!("<message type='{type_}'>{content}</message>");
                assert_eq!(hold(&message), expected, "{message}");
            }
        }
    }

    /// RFC 6120 §8.2.3, §8.3: somebody waits for them.
    #[test]
    fn answers_and_errors_never_wait() {
        for stanza in [
            "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
            "<iq type='result' id='1'/>",
            "<message type='error'><error type='cancel'/></message>",
        ] {
            assert_eq!(hold(stanza), Hold::Never, "{stanza}");
        }
    }

    /// XEP-0280: as urgent as what it copies.
    #[test]
    fn a_copy_is_as_urgent_as_its_message() {
        let copy = |kind: &str, content: &str| {
            hold(&format!(
                "<message type='chat'><{kind} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>{content}</message></forwarded></{kind}></message>"
            ))
        };
        let state = "<paused xmlns='http://jabber.org/protocol/chatstates'/>";
        let displayed = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>";
        assert_eq!(copy("received", state), Hold::Wait);
        assert_eq!(copy("received", "<body>a</body>"), Hold::Never);
        assert_eq!(copy("received", displayed), Hold::Wait);
        assert_eq!(copy("sent", displayed), Hold::Never);
        assert_eq!(copy("sent", state), Hold::Wait);
    }
}
