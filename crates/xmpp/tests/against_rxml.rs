//! The checking reader against `rxml`, an independent parser of the same
//! restricted XML: both accept a document and see the same tree, or both
//! refuse it.
//!
//! Known differences, which the documents here avoid or which are asserted:
//! - `rxml` bounds the length of names and values (8 KB each), we bound whole
//!   elements;
//! - we refuse white space around the root (RFC 7395 §3.3.3), so it is cut off;
//! - we refuse an XML declaration here: only the stream decoder knows one;
//! - `rxml` refuses a bare carriage return in an attribute value or, at its end,
//!   forgets it, where XML 1.0 §2.11 and §3.3.3 make it a space;
//! - `rxml` accepts a CDATA section that is empty or white before and after the
//!   root, which production 1 does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use proptest::prelude::*;
use rxml::Parse as _;
use starling_xmpp::Element;
use starling_xmpp::xml::Limits;

/// The tree `rxml` sees.
fn by_rxml(document: &[u8]) -> Result<Element, String> {
    let mut parser = rxml::Parser::new();
    let mut rest = document;
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let event = match parser.parse(&mut rest, true) {
            Ok(Some(event)) => event,
            Ok(None) => return root.ok_or_else(|| "no root".to_owned()),
            Err(error) => return Err(format!("{error:?}")),
        };
        match event {
            rxml::Event::XmlDeclaration(..) => {}
            rxml::Event::StartElement(_, (ns, name), attributes) => {
                let mut element = Element::new(ns.as_str(), name.as_str());
                for ((ns, name), value) in attributes {
                    element.set_attribute_ns(ns.as_str(), name.as_str(), value);
                }
                open.push(element);
            }
            rxml::Event::Text(_, text) => open.last_mut().unwrap().push_text(text),
            rxml::Event::EndElement(_) => {
                let element = open.pop().unwrap();
                match open.last_mut() {
                    Some(parent) => parent.push(element),
                    None => root = Some(element),
                }
            }
        }
    }
}

/// The tree in a form that does not know the order of attributes.
fn canonical(element: &Element) -> String {
    let mut attributes: Vec<_> = element
        .attributes()
        .iter()
        .map(|a| format!("{a:?}"))
        .collect();
    attributes.sort();
    let nodes: Vec<_> = element
        .nodes()
        .iter()
        .map(|node| match node {
            starling_xmpp::element::Node::Element(child) => canonical(child),
            starling_xmpp::element::Node::Text(text) => format!("{text:?}"),
        })
        .collect();
    format!(
        "{{{}}}{} {attributes:?} {nodes:?}",
        element.ns(),
        element.name()
    )
}

fn compare(document: &[u8]) -> Result<(), TestCaseError> {
    // `trim_ascii` also cuts form feeds, which are no white space in XML.
    let document = if document.contains(&0xc) {
        document
    } else {
        document.trim_ascii()
    };
    let ours = Element::parse_within(document, &[], Limits::TRUSTED);
    let theirs = by_rxml(document);
    let shown = String::from_utf8_lossy(document);
    match (&ours, &theirs) {
        (Ok(_), Ok(_)) if has_bare_return(document) => {}
        (Ok(ours), Ok(theirs)) => prop_assert_eq!(canonical(ours), canonical(theirs), "{}", shown),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) if has_bare_return(document) && error.contains("InvalidChar") => {}
        (Err(_), Ok(_)) if document.starts_with(b"<![CDATA[") || document.ends_with(b"]]>") => {}
        _ => prop_assert!(false, "{:?}: ours {:?}, rxml {:?}", shown, ours, theirs),
    }
    Ok(())
}

fn has_bare_return(document: &[u8]) -> bool {
    document
        .iter()
        .zip(document.iter().skip(1))
        .any(|(&a, &b)| a == b'\r' && b != b'\n')
}

const WORDS: &[&str] = &[
    "<a>",
    "</a>",
    "<b c='d'>",
    "</b>",
    "</b >",
    "<b/>",
    "<b />",
    "<x:y xmlns:x='u'>",
    "</x:y>",
    "<x:z/>",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "text",
    "é",
    "😀",
    "&amp;",
    "&lt;",
    "&#33;",
    "&#x21;",
    "&#X21;",
    "&bad;",
    "&",
    ";",
    "<![CDATA[",
    "]]>",
    "]]",
    ">",
    "<",
    "'",
    "\"",
    "=",
    "/",
    "!",
    "?",
    "<!--",
    "-->",
    "<?pi?>",
    "<!DOCTYPE a>",
    "<c d='e' d='f'/>",
    "<c xmlns:p='u' xmlns:q='u' p:d='' q:d=''/>",
    "<c xmlns=''/>",
    "<c xmlns:p=''/>",
    "<c xml:lang='en'/>",
    "<c xmlns='urn:c' x='&quot;&#10;\n\t'/>",
    "<c d=\"it's\"/>",
    "<c d='&lt;'/>",
    "<c d='<'/>",
    "<c d='>'/>",
    "<c d = 'e'/>",
    "<c d=e/>",
    "<c d/>",
    "<c d='e'f='g'/>",
    "<c xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
    "<c xmlns:xmlns='u'/>",
    "<1/>",
    "<-/>",
    "<a.b-c_1/>",
    "<é/>",
    "<:a/>",
    "<a:/>",
    "\u{85}",
    "\u{fffe}",
    "\u{7f}",
    "\u{1}",
    "&#1;",
    "&#xD800;",
    "&#x10FFFF;",
    "</a",
    "<a",
];

/// Words of XML in any order.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS);
    (prop::collection::vec(word, 0..8), any::<bool>()).prop_map(|(words, is_wrapped)| {
        let inside = words.concat();
        if is_wrapped {
            format!("<r xmlns:x='urn:r'>{inside}</r>")
        } else {
            inside
        }
    })
}

/// A document that is XML, to be damaged.
const WHOLE: &str = "<m xmlns='jabber:client' xmlns:x='urn:x' to='a@b/&apos;' x:y=\"1\" \
    xml:lang='en'><b>Hi &amp; <i>é😀</i> &#x21;</b><![CDATA[<a>&]]><x:z/>\r\n<c xmlns='' d='e'/></m>";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn words_in_any_order(document in soup()) {
        compare(document.as_bytes())?;
    }
}

/// Every damage of up to three bytes, by nothing, by any byte and by what means
/// something in XML.
#[test]
fn a_damaged_document() {
    let bytes = (0..=u8::MAX).map(|byte| vec![byte]);
    let words = ["", "]]>", "<!"].map(|word| word.as_bytes().to_vec());
    let replacements: Vec<Vec<u8>> = bytes.chain(words).collect();
    for at in 0..WHOLE.len() {
        for length in 0..4 {
            let end = (at + length).min(WHOLE.len());
            for new in &replacements {
                let mut document = WHOLE.as_bytes().to_vec();
                document.splice(at..end, new.iter().copied());
                compare(&document).unwrap();
            }
        }
    }
}

#[test]
fn the_whole_document_is_read_alike() {
    compare(WHOLE.as_bytes()).unwrap();
    assert!(by_rxml(WHOLE.as_bytes()).is_ok());
}
