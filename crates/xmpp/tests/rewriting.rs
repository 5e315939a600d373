//! Rewriting: what is stamped changes, what is not stays byte for byte, and
//! what we write is always read back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use bytes::Bytes;
use proptest::prelude::*;
use starling_xmpp::{Element, Jid, Stanza, Type, ns};

const PAYLOADS: &[&str] = &[
    "<body>Hello &lt;world&gt;&#10;</body>",
    "<body xml:lang='de' ><![CDATA[<&]]></body>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<x:y xmlns:x=\"urn:x\" x:a='>'><x:y>\r\n</x:y></x:y>",
    "<e:f e:g=\"h\"/>",
    " \n",
    "loose text &amp; more",
    "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AAAA</payload></encrypted  >",
    "<c:subject xmlns:c='jabber:client'>S</c:subject>",
];

fn content() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PAYLOADS), 0..8).prop_map(|parts| parts.concat())
}

fn stanza(content: &str) -> Stanza {
    let xml = format!(
        "<message xmlns='jabber:client' xmlns:e='urn:e' e:a='b' type='chat' id='i'>{content}</message>"
    );
    Stanza::parse(Bytes::from(xml)).unwrap()
}

fn names(stanza: &Stanza) -> Vec<(String, String, Vec<u8>)> {
    let name = |p: starling_xmpp::Payload<'_>| {
        (p.ns().to_owned(), p.name().to_owned(), p.bytes().to_vec())
    };
    stanza.payloads().map(name).collect()
}

proptest! {
    #[test]
    fn stamping_leaves_the_content(content in content(), id in "\\PC{0,8}", lang in "[a-z]{2}") {
        let mut stanza = stanza(&content);
        stanza.head.from = Some(Jid::parse("a@b/it's <&> \"me\"").unwrap());
        stanza.head.to = Some(Jid::parse("c@d").unwrap());
        stanza.head.id = Some(id.into());
        stanza.head.lang = Some(lang.into());
        prop_assert_eq!(stanza.content(), content.as_bytes());
        let back = Stanza::parse(stanza.to_bytes()).unwrap();
        prop_assert_eq!(&back, &stanza);
        prop_assert_eq!(names(&back), names(&stanza));
    }

    #[test]
    fn adding_and_taking_out_leaves_the_others(content in content(), unwanted in 0usize..8) {
        let mut stanza = stanza(&content);
        let before = names(&stanza);
        stanza.push(&Element::new(ns::DELAY, "delay").text("<&>"));
        let mut at = 0;
        stanza.strip(|_| { at += 1; at - 1 == unwanted });
        let mut expected = before;
        expected.push((
            ns::DELAY.into(),
            "delay".into(),
            b"<delay xmlns='urn:xmpp:delay'>&lt;&amp;&gt;</delay>".to_vec(),
        ));
        if unwanted < expected.len() {
            expected.remove(unwanted);
        }
        prop_assert_eq!(&names(&stanza), &expected);
        let back = Stanza::parse(stanza.to_bytes()).unwrap();
        prop_assert_eq!(&names(&back), &expected);
    }

    #[test]
    fn payloads_as_trees_mean_what_their_bytes_mean(content in content()) {
        let stanza = stanza(&content);
        let mut rebuilt = Stanza::message(Type::Chat);
        for payload in stanza.payloads() {
            let element = payload.element();
            prop_assert!(element.is(payload.ns(), payload.name()));
            prop_assert_eq!(element.text_content(), payload.text());
            rebuilt.push(&element);
        }
        for (one, other) in stanza.payloads().zip(rebuilt.payloads()) {
            prop_assert_eq!(one.element(), other.element());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_stanza_or_are_rewritten(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(stanza) = Stanza::parse(bytes.into()) {
            prop_assert_eq!(Stanza::parse(stanza.to_bytes()).unwrap(), stanza);
        }
    }
}
