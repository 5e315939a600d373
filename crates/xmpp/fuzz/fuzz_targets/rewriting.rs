//! Rewriting stanzas: what we write is read back, and what nobody changed is
//! the same byte for byte.
//!
//! `cargo +nightly fuzz run rewriting`.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use starling_xmpp::{Element, Jid, Stanza, ns};

fuzz_target!(|data: &[u8]| {
    let open = b"<message xmlns='jabber:client' xmlns:p='urn:p'>";
    let xml = [&open[..], data, b"</message>"].concat();
    let Ok(mut stanza) = Stanza::parse(Bytes::from(xml)) else {
        return;
    };
    stanza.head.from = Jid::parse("a@b/it's <me>").ok();
    assert_eq!(stanza.content(), data);
    let payloads: Vec<Vec<u8>> = stanza.payloads().map(|p| p.bytes().to_vec()).collect();
    stanza.push(&Element::new(ns::DELAY, "delay").attr("from", "<&'>"));
    let back = Stanza::parse(stanza.to_bytes()).expect("what we write is a stanza");
    assert_eq!(back, stanza);
    let kept: Vec<_> = back.payloads().map(|p| p.bytes().to_vec()).collect();
    assert_eq!(kept[..payloads.len()], payloads);
    for payload in back.payloads() {
        assert!(payload.element().is(payload.ns(), payload.name()));
    }
    stanza.strip(|payload| payload.ns() == ns::DELAY && payload.name() == "delay");
    assert!(Stanza::parse(stanza.to_bytes()).is_ok());
});
