//! Elements: what is written reads back, and reading resolves namespaces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use proptest::prelude::*;

use super::*;

fn element() -> impl Strategy<Value = Element> {
    let name = "[a-z][a-z0-9.-]{0,6}";
    let ns = prop_oneof![Just(""), Just("jabber:client"), Just("urn:x"), Just("a&'b")];
    let attributes = prop::collection::vec((ns.clone(), name, "[ -~é\t\n]{0,6}"), 0..4);
    let leaf =
        (ns, name, attributes, "[ -~😀\r\n]{0,8}").prop_map(|(ns, name, attributes, text)| {
            let mut element = Element::new(ns, name).text(text);
            for (ns, name, value) in attributes {
                element.set_attribute_ns(ns, &name, value);
            }
            element
        });
    leaf.prop_recursive(4, 24, 4, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(parent, children)| parent.with_children(children).text("tail"))
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(element in element(), parent in prop_oneof![Just(""), Just("urn:x")]) {
        let mut out = bytes::BytesMut::new();
        element.write(&mut out, parent);
        let base = [crate::xml::Declaration::new("", parent)];
        let back = Element::parse_within(&out, &base, crate::xml::Limits::TRUSTED);
        prop_assert_eq!(back.unwrap(), element);
    }
}

/// Namespaces in XML 1.0 §6.
#[test]
fn prefixes_are_resolved() {
    let read = Element::parse(b"<p:a xmlns:p='urn:p' p:x='1' x='2'><b xmlns='urn:b'/><c/></p:a>");
    let element = read.unwrap();
    assert!(element.is("urn:p", "a"));
    assert_eq!(element.attribute("x"), Some("2"));
    assert_eq!(element.attribute_ns("urn:p", "x"), Some("1"));
    assert!(element.get("urn:b", "b").is_some());
    assert!(element.get("", "c").is_some());
}

#[test]
fn text_is_joined_over_references_and_cdata() {
    let element = Element::parse(b"<a>x &amp; <![CDATA[<y>]]>&#33;<b/>z</a>").unwrap();
    assert_eq!(element.text_content(), "x & <y>!z");
}
