//! The checking reader against `quick-xml`, which is lenient: what we accept,
//! it accepts too and sees the same tree in it. What it accepts beyond that is
//! for `against_rxml.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use proptest::prelude::*;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{QName, ResolveResult};
use quick_xml::{NsReader, XmlVersion};
use starling_xmpp::Element;
use starling_xmpp::element::Node;
use starling_xmpp::xml::Limits;

/// The tree `quick-xml` sees.
fn by_quick_xml(document: &str) -> Element {
    let mut reader = NsReader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().unwrap();
        let text = match event {
            Event::Start(tag) => {
                open.push(opened(&reader, &tag));
                continue;
            }
            Event::End(_) => {
                let element = open.pop().unwrap();
                match open.last_mut() {
                    Some(parent) => parent.push(element),
                    None => return element,
                }
                continue;
            }
            Event::Text(text) => text.xml_content(XmlVersion::Explicit1_0).into_owned(),
            Event::CData(data) => data.xml_content(XmlVersion::Explicit1_0).into_owned(),
            Event::GeneralRef(name) => match name.resolve_char_ref().unwrap() {
                Some(character) => character.to_string(),
                None => quick_xml::escape::unescape(&format!("&{};", &*name))
                    .unwrap()
                    .into_owned(),
            },
            other => panic!("{other:?} in {document}"),
        };
        open.last_mut().unwrap().push_text(&text);
    }
}

fn opened(reader: &NsReader<&[u8]>, tag: &BytesStart<'_>) -> Element {
    let (ns, name) = reader.resolver().resolve_element(tag.name());
    let mut element = Element::new(of(&ns), name.as_ref());
    for attribute in tag.attributes() {
        let attribute = attribute.unwrap();
        if is_declaration(attribute.key) {
            continue;
        }
        let (ns, name) = reader.resolver().resolve_attribute(attribute.key);
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).unwrap();
        element.set_attribute_ns(of(&ns), name.as_ref(), value);
    }
    element
}

fn is_declaration(name: QName<'_>) -> bool {
    name.as_namespace_binding().is_some()
}

fn of<'a>(ns: &'a ResolveResult<'_>) -> &'a str {
    match ns {
        ResolveResult::Bound(ns) => ns.as_ref(),
        ResolveResult::Unbound => "",
        ResolveResult::Unknown(prefix) => panic!("undeclared prefix {prefix:?} was accepted"),
    }
}

/// The tree in a form that does not know the order of attributes, nor where
/// one run of characters was cut into two.
fn canonical(element: &Element) -> String {
    let attributes = element.attributes().iter();
    let mut attributes: Vec<_> = attributes.map(|a| format!("{a:?}")).collect();
    attributes.sort();
    let inside: String = element
        .nodes()
        .iter()
        .map(|node| match node {
            Node::Element(child) => canonical(child),
            Node::Text(text) => text.escape_debug().to_string(),
        })
        .collect();
    format!(
        "{{{}}}{} {attributes:?} [{inside}]",
        element.ns(),
        element.name()
    )
}

fn compare(document: &str) -> Result<(), TestCaseError> {
    if let Ok(ours) = Element::parse_within(document.as_bytes(), &[], Limits::TRUSTED) {
        prop_assert_eq!(
            canonical(&ours),
            canonical(&by_quick_xml(document)),
            "{}",
            document
        );
    }
    Ok(())
}

/// Pieces of content, most of them balanced.
const PIECES: &[&str] = &[
    "text",
    "é😀",
    " ",
    "\t",
    "\r\n",
    "\r",
    "&amp;",
    "&lt;",
    "&gt;",
    "&apos;",
    "&quot;",
    "&#33;",
    "&#x21;",
    "<b/>",
    "<b >x</b >",
    "<b c='d'/>",
    "<b c=\"it's\" d='&lt;&#10;\n'/>",
    "<![CDATA[<a>&]]>",
    "<![CDATA[]]>",
    "<x:y/>",
    "<x:y x:z='1' z='2'/>",
    "<y xmlns='urn:y'><z/></y>",
    "<y xmlns=''/>",
    "<p:q xmlns:p='urn:p'>p</p:q>",
    "<b xml:lang='en'/>",
    "<a.b-c_1/>",
    "<é/>",
    "]]",
    "<b>",
    "</b>",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn what_is_accepted_is_seen_alike(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..10)) {
        compare(&format!("<r xmlns='urn:d' xmlns:x='urn:x'>{}</r>", pieces.concat()))?;
    }
}

#[test]
fn every_piece_that_is_balanced_is_accepted() {
    let balanced = PIECES
        .iter()
        .filter(|piece| !["<b>", "</b>"].contains(piece));
    for piece in balanced {
        let document = format!("<r xmlns:x='urn:x'>{piece}</r>");
        let ours = Element::parse_within(document.as_bytes(), &[], Limits::TRUSTED);
        assert_eq!(
            canonical(&ours.unwrap()),
            canonical(&by_quick_xml(&document)),
            "{piece}"
        );
    }
}
