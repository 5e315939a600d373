//! What holds for all features together, whatever is sent.

use proptest::prelude::*;
use starling_session::testing::Scene;
use starling_session::{Hook, To};
use starling_store::roster::Subscription;
use starling_xmpp::Jid;

use crate::testing::{host, juliet, nobody, only};

/// Names with and without an account, a resource, a session.
const ADDRESSES: &[&str] = &[
    "juliet@example.com",
    "juliet@example.com/balcony",
    "juliet@example.com/gone",
    "example.com",
    "example.com/x",
    "romeo@example.net",
    "romeo@example.net/a",
    "blocked@example.net/a",
    "nobody@example.com",
];

/// Who a stanza from elsewhere may come from: no account writes to itself.
const OTHERS: &[&str] = &[
    "example.com",
    "romeo@example.net",
    "romeo@example.net/a",
    "blocked@example.net/a",
    "paris@example.com/b",
];

const PAYLOADS: &[&str] = &[
    "<ping xmlns='urn:xmpp:ping'/>",
    "<query xmlns='jabber:iq:roster'/>",
    "<query xmlns='jabber:iq:roster'><item jid='a@example.net'/></query>",
    "<query xmlns='jabber:iq:private'/>",
    "<query xmlns='jabber:iq:private'><a xmlns='urn:x'/></query>",
    "<query xmlns='jabber:iq:last'/>",
    "<query xmlns='jabber:iq:version'/>",
    "<query xmlns='jabber:iq:register'/>",
    "<query xmlns='jabber:iq:register'><username>juliet</username><password>p</password></query>",
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
    "<blocklist xmlns='urn:xmpp:blocking'/>",
    "<block xmlns='urn:xmpp:blocking'><item jid='paris@example.net'/></block>",
    "<unblock xmlns='urn:xmpp:blocking'><item jid='@'/></unblock>",
    "<time xmlns='urn:xmpp:time'/>",
    "<vCard xmlns='vcard-temp'/>",
    "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>*</BINVAL></PHOTO></vCard>",
    "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    "<body>a</body>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<unknown xmlns='urn:unknown'/>",
];

#[derive(Clone, Debug)]
struct Sent {
    kind: &'static str,
    type_: &'static str,
    to: Option<&'static str>,
    from: &'static str,
    payload: &'static str,
    is_outbound: bool,
}

impl Sent {
    fn stanza(&self) -> String {
        let Self {
            kind,
            type_,
            payload,
            ..
        } = self;
        let to = self.to.map(|to| format!(" to='{to}'")).unwrap_or_default();
        let from = match self.is_outbound {
            true => String::new(),
            false => format!(" from='{}'", self.from),
        };
        let type_ = match *type_ {
            "" => String::new(),
            type_ => format!(" type='{type_}'"),
        };
        let payload = match self.has_payload() {
            true => payload,
            false => "",
        };
        format!("<{kind}{type_} id='sent'{to}{from}>{payload}</{kind}>")
    }

    fn has_payload(&self) -> bool {
        self.kind != "iq" || self.type_ != "result"
    }

    fn is_request(&self) -> bool {
        self.kind == "iq" && matches!(self.type_, "get" | "set")
    }

    fn must_not_be_answered(&self) -> bool {
        matches!(self.type_, "error" | "result")
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let kinds = prop_oneof![
        (
            Just("iq"),
            prop::sample::select(&["get", "set", "result", "error"][..])
        ),
        (
            Just("message"),
            prop::sample::select(&["", "chat", "groupchat", "headline", "error"][..])
        ),
        (
            Just("presence"),
            prop::sample::select(
                &[
                    "",
                    "unavailable",
                    "subscribe",
                    "subscribed",
                    "unsubscribe",
                    "unsubscribed",
                    "probe",
                    "error"
                ][..]
            )
        ),
    ];
    (
        kinds,
        prop::option::of(prop::sample::select(ADDRESSES)),
        prop::sample::select(OTHERS),
        prop::sample::select(PAYLOADS),
        any::<bool>(),
    )
        .prop_map(|((kind, type_), to, from, payload, is_outbound)| Sent {
            kind,
            type_,
            to,
            from,
            payload,
            is_outbound,
        })
}

/// XEP-0030 §8, XEP-0012 §3, RFC 6121 §2.3.3: whoever does not see an account's presence gets from
/// it what a name without an account gives, whatever is asked of it.
#[test]
fn to_a_stranger_an_account_is_like_none() {
    let registry = juliet().env().clone();
    let mut asked = 0;
    for hook in registry.registry.features().flat_map(|f| f.hooks()) {
        let Hook::Iq { to, ns, name, .. } = *hook else {
            continue;
        };
        for (resource, type_) in [("", "get"), ("", "set"), ("/gone", "get"), ("/gone", "set")] {
            let iq = format!(
                "<iq type='{type_}' id='1' to='juliet@example.com{resource}' from='paris@example.com/b'><{name} xmlns='{ns}'/></iq>"
            );
            let mut scene = juliet();
            scene.online("balcony");
            let to_stranger = only(scene.gets(&iq));
            assert_eq!(to_stranger, only(juliet().gets(&iq)), "nobody is online");
            let mut scene = nobody();
            assert_eq!(to_stranger, only(scene.gets(&iq)), "{iq}");
            assert!(to_stranger.contains("type='error'"), "{to_stranger}");
            assert!(scene.written.is_empty(), "{:?}", scene.written);
        }
        asked += usize::from(to == To::Account);
    }
    assert!(asked >= 7, "{asked}");
}

/// Juliet with a session, a subscriber and a blocked address.
fn busy() -> Scene {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    scene.online("balcony");
    scene.sends("balcony", "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='blocked@example.net'/></block></iq>");
    scene
}

/// What is said in return: a result or an error to whoever sent it.
fn answers<'a>(said: &'a [String], sent: &Sent) -> Vec<&'a String> {
    let is_answer = |line: &&String| {
        let head = line.split_once('>').map_or(line.as_str(), |(head, _)| head);
        let kind = format!("<{}", sent.kind);
        head.contains(&kind)
            && head.contains("id='sent'")
            && (head.contains("type='result'") || head.contains("type='error'"))
    };
    said.iter().filter(is_answer).collect()
}

proptest! {
    // Nothing is written beside the sources: a case that fails is printed.
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// RFC 6120 §8.2.3, §8.3.1: a request has one answer, here or from whom
    /// it is passed to; an error or a result has none.
    #[test]
    fn a_request_has_one_answer_and_an_error_none(stanzas in prop::collection::vec(sent(), 1..6)) {
        for make in [busy, host, nobody] {
            let mut scene = make();
            for sent in &stanzas {
                check(&mut scene, sent)?;
            }
        }
    }
}

fn check(scene: &mut Scene, sent: &Sent) -> Result<(), TestCaseError> {
    let is_bound = scene
        .account()
        .sessions
        .iter()
        .any(|s| s.jid.resource() == Some("balcony"));
    if sent.is_outbound && !is_bound {
        return Ok(());
    }
    let stanza = sent.stanza();
    let said = if sent.is_outbound {
        scene.sends("balcony", &stanza)
    } else if is_for(scene, sent) {
        scene.gets(&stanza)
    } else {
        return Ok(());
    };
    // An answer that is passed on to somebody is no answer to it.
    let passed = said.iter().filter(|line| is_passed(line, sent)).count();
    let answers = answers(&said, sent).len();
    if sent.must_not_be_answered() {
        prop_assert!(answers <= passed, "{stanza}: {said:#?}");
    } else if sent.is_request() {
        prop_assert_eq!(answers + passed, 1, "{}: {:#?}", stanza, said);
    } else {
        prop_assert!(answers <= 1, "{stanza}: {said:#?}");
    }
    Ok(())
}

/// Whether a stanza from elsewhere would be brought to this account.
fn is_for(scene: &Scene, sent: &Sent) -> bool {
    let to = sent.to.map(|to| Jid::parse(to).unwrap().to_bare());
    to.is_some_and(|to| to == scene.account().jid)
}

/// Whether the stanza itself went on, to a client or to another account.
fn is_passed(line: &str, sent: &Sent) -> bool {
    let Some((_, stanza)) = line.split_once(": ") else {
        return false;
    };
    let head = stanza.split_once('>').map_or(stanza, |(head, _)| head);
    let type_ = format!("type='{}'", sent.type_);
    // RFC 6120 §10.3.1: a message to nobody is for the account.
    let to = format!(" to='{}'", sent.to.unwrap_or("juliet@example.com"));
    head.starts_with(&format!("<{}", sent.kind))
        && head.contains("id='sent'")
        && head.contains(&type_)
        && head.contains(&to)
}
