//! Stanzas: reading, their rules, rewriting, answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use bytes::{Bytes, BytesMut};

use super::*;
use crate::error::{Condition, StanzaError};
use crate::ns;
use crate::xml::Declaration;

fn stanza(xml: &str) -> Stanza {
    Stanza::parse(Bytes::copy_from_slice(xml.as_bytes())).expect(xml)
}

/// Reads `xml` where `jabber:client` is the default namespace.
fn found(xml: &str) -> Found {
    let base = [
        Declaration::new("", ns::CLIENT),
        Declaration::new("stream", ns::STREAM),
    ];
    let context = Context {
        base: &base,
        ..Context::STANDALONE
    };
    read(&Source::Borrowed(xml.as_bytes()), &context).expect(xml)
}

fn rejected(xml: &str) -> Rejected {
    match found(xml) {
        Found::Rejected(rejected) => *rejected,
        _ => panic!("not rejected: {xml}"),
    }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

const CHAT: &str = "<message xmlns='jabber:client' to='juliet@example.com/x' type='chat' id='1' \
    xml:lang='en' custom='a&amp;b'><body>Art &lt;thou&gt; not</body>\
    <active xmlns=\"http://jabber.org/protocol/chatstates\"/> \
    <x:y xmlns:x='urn:x' x:a='1'><![CDATA[<&]]></x:y></message>";

#[test]
fn a_message_is_read() {
    let message = stanza(CHAT);
    assert_eq!(message.head.kind, Kind::Message);
    assert_eq!(message.head.type_, Type::Chat);
    assert_eq!(message.head.to, Some(jid("juliet@example.com/x")));
    assert_eq!(message.head.from, None);
    assert_eq!(message.head.id.as_deref(), Some("1"));
    assert_eq!(message.head.lang.as_deref(), Some("en"));
    assert_eq!(message.head.extra(), " custom='a&amp;b'");
    let names: Vec<_> = message.payloads().map(|p| (p.ns(), p.name())).collect();
    let expected = [
        (ns::CLIENT, "body"),
        ("http://jabber.org/protocol/chatstates", "active"),
        ("urn:x", "y"),
    ];
    assert_eq!(names, expected);
    assert_eq!(
        message.child_text(ns::CLIENT, "body").unwrap(),
        "Art <thou> not"
    );
    assert_eq!(message.child_text("urn:x", "y").unwrap(), "<&");
    let y = message.payload("urn:x", "y").unwrap();
    assert_eq!(
        y.bytes(),
        b"<x:y xmlns:x='urn:x' x:a='1'><![CDATA[<&]]></x:y>"
    );
    assert_eq!(y.element().attribute_ns("urn:x", "a"), Some("1"));
}

/// RFC 6120 §8.1.2.1: stamping the sender leaves the content alone.
#[test]
fn changing_attributes_keeps_the_content_byte_for_byte() {
    let mut message = stanza(CHAT);
    let before = message.content().clone();
    message.head.from = Some(jid("romeo@example.net/orchard"));
    message.head.to = Some(jid("ohara@example.com/o'h<&>"));
    message.head.type_ = Type::Headline;
    message.head.lang = None;
    let back = Stanza::parse(message.to_bytes()).unwrap();
    assert_eq!(back, message);
    assert_eq!(back.content(), &before);
    assert_eq!(back.payloads().count(), 3);
}

#[test]
fn a_stanza_without_content_is_written_short() {
    let presence = Stanza::presence(Type::Available).from(jid("a@b/c"));
    assert_eq!(presence.to_string(), "<presence from='a@b/c'/>");
    let standalone = presence.to_bytes();
    assert_eq!(
        &standalone[..],
        b"<presence xmlns='jabber:client' from='a@b/c'/>"
    );
    assert_eq!(Stanza::parse(standalone).unwrap(), presence);
}

#[test]
fn payloads_can_be_added_and_taken_out() {
    let mut message = stanza(CHAT);
    assert!(message.strip(|p| p.name() == "active"));
    assert!(!message.strip(|p| p.name() == "active"));
    message.push(&Element::new(ns::DELAY, "delay").attr("stamp", "2002-09-10T23:08:25Z"));
    assert_eq!(
        &message.content()[..],
        b"<body>Art &lt;thou&gt; not</body> <x:y xmlns:x='urn:x' x:a='1'><![CDATA[<&]]></x:y>\
          <delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"
    );
    let delay = message.payload(ns::DELAY, "delay").unwrap();
    assert_eq!(delay.attribute("stamp").unwrap(), "2002-09-10T23:08:25Z");
    assert_eq!(message.child_text("urn:x", "y").unwrap(), "<&");
    let again = Stanza::parse(message.to_bytes()).unwrap();
    let names: Vec<_> = again.payloads().map(|p| (p.ns(), p.name())).collect();
    assert_eq!(
        names,
        message
            .payloads()
            .map(|p| (p.ns(), p.name()))
            .collect::<Vec<_>>()
    );
}

/// RFC 6120 §4.8.5: declarations around a stanza go with it.
#[test]
fn prefixes_declared_on_the_stream_are_declared_again() {
    let base = [
        Declaration::new("", ns::CLIENT),
        Declaration::new("stream", ns::STREAM),
        Declaration::new("f", "urn:f&g"),
    ];
    let context = Context {
        base: &base,
        ..Context::STANDALONE
    };
    let xml = b"<message><f:x/><y><f:z f:a='b'/></y></message>";
    let Found::Stanza(message) = read(&Source::Borrowed(xml), &context).unwrap() else {
        panic!("no stanza");
    };
    assert_eq!(message.head.extra(), " xmlns:f='urn:f&amp;g'");
    assert!(
        message
            .payload("urn:f&g", "x")
            .unwrap()
            .element()
            .is("urn:f&g", "x")
    );
    let back = Stanza::parse(message.to_bytes()).unwrap();
    assert!(back.has("urn:f&g", "x"));
}

/// RFC 6120 §4.8.5: the content namespace may have a prefix.
#[test]
fn a_prefixed_content_namespace_is_normalised() {
    let xml = "<c:message xmlns:c='jabber:client' to='a@b' type='chat' c:x='1'>\
        <c:body>&amp;</c:body> <y xmlns='urn:y'><c:z/></y></c:message>";
    let message = stanza(xml);
    assert_eq!(&message.content()[..8], b"<body>&a");
    assert_eq!(message.child_text(ns::CLIENT, "body").unwrap(), "&");
    assert!(
        message
            .payload("urn:y", "y")
            .unwrap()
            .element()
            .get(ns::CLIENT, "z")
            .is_some()
    );
    assert_eq!(Stanza::parse(message.to_bytes()).unwrap(), message);
}

/// RFC 6120 §4.8.3: between servers the same stanza is in `jabber:server`.
#[test]
fn jabber_server_becomes_jabber_client() {
    let base = [Declaration::new("", ns::SERVER)];
    let context = Context {
        base: &base,
        content_ns: ns::SERVER,
        ..Context::STANDALONE
    };
    for xml in [
        "<message to='a@b'><body>x</body></message>",
        "<message to='a@b'><body xmlns='jabber:server'>x</body></message>",
        "<s:message xmlns:s='jabber:server' to='a@b'><s:body>x</s:body></s:message>",
    ] {
        let Found::Stanza(message) = read(&Source::Borrowed(xml.as_bytes()), &context).unwrap()
        else {
            panic!("no stanza");
        };
        assert_eq!(
            message.child_text(ns::CLIENT, "body").as_deref(),
            Some("x"),
            "{xml}"
        );
        assert_eq!(
            message.to_string(),
            "<message to='a@b'><body>x</body></message>"
        );
    }
    let client = b"<message xmlns='jabber:client' to='a@b'/>";
    let foreign = read(&Source::Borrowed(client), &context).unwrap();
    assert!(matches!(foreign, Found::ForeignStanza));
}

/// RFC 6121 §5.2.2.
#[test]
fn a_message_of_unknown_type_is_normal() {
    assert_eq!(
        stanza("<message xmlns='jabber:client' type='bogus'/>")
            .head
            .type_,
        Type::Normal
    );
}

/// RFC 6120 §8.2.3.
#[test]
fn an_iq_breaking_the_rules_is_a_bad_request() {
    for xml in [
        "<iq type='get'><q xmlns='urn:q'/></iq>",
        "<iq type='get' id='1'/>",
        "<iq type='set' id='1'><a xmlns='u'/><b xmlns='u'/></iq>",
        "<iq id='1'><q xmlns='urn:q'/></iq>",
        "<iq id='1' type='push'><q xmlns='urn:q'/></iq>",
    ] {
        let rejected = rejected(xml);
        assert_eq!(rejected.error.condition, Condition::BadRequest, "{xml}");
        assert_eq!(rejected.reason, Reason::Shape);
        assert!(rejected.is_answerable, "{xml}");
    }
    // §8.3.1: these must not be answered.
    assert!(!rejected("<iq type='result'/>").is_answerable);
    assert!(!rejected("<iq type='result' id='1'><a/><b/></iq>").is_answerable);
    assert!(!rejected("<message type='error' to='@'/>").is_answerable);
    for xml in [
        "<iq type='result' id='1'/>",
        "<iq type='error' id='1'><a/><error/></iq>",
    ] {
        assert!(matches!(found(xml), Found::Stanza(_)), "{xml}");
    }
}

/// RFC 6120 §8.3.3.8: the error comes from what `to` said, to the letter.
#[test]
fn an_unparsable_address_is_answered_with_the_original() {
    let rejected = rejected("<message to='&quot;@ex&apos;ample' id='7' type='chat'/>");
    assert_eq!(rejected.reason, Reason::To);
    assert_eq!(rejected.error.condition, Condition::JidMalformed);
    let mut out = BytesMut::new();
    assert!(rejected.write_reply(&jid("romeo@example.net/x"), &mut out));
    let reply = Element::parse(&out).unwrap();
    assert_eq!(reply.attribute("from"), Some("\"@ex'ample"));
    assert_eq!(reply.attribute("to"), Some("romeo@example.net/x"));
    assert_eq!(reply.attribute("id"), Some("7"));
    assert_eq!(reply.attribute("type"), Some("error"));
}

/// RFC 6121 §4.7.1, §4.7.2.3.
#[test]
fn presence_has_known_types_and_a_priority_of_one_byte() {
    for xml in [
        "<presence type='away'/>",
        "<presence type='available'/>",
        "<presence><priority>128</priority></presence>",
        "<presence><priority>-129</priority></presence>",
        "<presence><priority>high</priority></presence>",
        "<presence><priority/></presence>",
        "<presence><priority>1</priority><priority>1</priority></presence>",
    ] {
        assert_eq!(
            rejected(xml).error.condition,
            Condition::BadRequest,
            "{xml}"
        );
    }
    for xml in [
        "<presence><priority>-128</priority></presence>",
        "<presence><show>away</show><priority> 127 </priority></presence>",
        "<presence><priority xmlns='urn:other'>9000</priority></presence>",
        "<presence type='unavailable'><priority>x</priority></presence>",
    ] {
        assert!(matches!(found(xml), Found::Stanza(_)), "{xml}");
    }
}

#[test]
fn other_elements_are_told_apart() {
    assert!(matches!(found("<query/>"), Found::UnknownStanza));
    assert!(matches!(
        found("<iq xmlns='jabber:server'/>"),
        Found::ForeignStanza
    ));
    let Found::Nonza(r) = found("<r xmlns='urn:xmpp:sm:3'/>") else {
        panic!("no nonza");
    };
    assert!(r.is(ns::SM, "r"));
}

/// RFC 6120 §8.3.1, §8.2.3.
#[test]
fn answers_swap_the_addresses_and_errors_are_never_answered() {
    let get = Stanza::iq(Type::Get, "q1")
        .to(jid("a@b"))
        .from(jid("c@d/e"));
    let result = get.result();
    assert_eq!(
        result.to_string(),
        "<iq type='result' id='q1' to='c@d/e' from='a@b'/>"
    );
    let error = StanzaError::new(Condition::ServiceUnavailable);
    let answer = get.error(&error).unwrap();
    assert_eq!(
        answer.to_string(),
        "<iq type='error' id='q1' to='c@d/e' from='a@b'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    assert_eq!(answer.stanza_error(), Some(error.clone()));
    assert!(answer.error(&error).is_none());
    assert!(result.error(&error).is_none());
}
