//! From text to tree.
//!
//! The reader checks; this only collects.

use smol_str::SmolStr;

use super::Element;
use crate::xml::{self, Declaration, Limits, Reader, Start, Token};

impl Element {
    /// Reads one whole element that stands alone.
    pub fn parse(bytes: &[u8]) -> Result<Self, xml::Error> {
        Self::parse_within(bytes, &[], Limits::default())
    }

    /// Reads one whole element surrounded by the declarations of `base`.
    pub fn parse_within(
        bytes: &[u8],
        base: &[Declaration],
        limits: Limits,
    ) -> Result<Self, xml::Error> {
        let mut reader = Reader::new(bytes, base, limits)?;
        let Some(Token::Start(start)) = reader.next()? else {
            return Err(xml::Error::NotWellFormed("no element"));
        };
        let element = read(&mut reader, start)?;
        // Only the end may follow, and the reader knows when it does.
        while reader.next()?.is_some() {}
        Ok(element)
    }
}

/// Reads the element that `start` began, up to and including its end.
pub(crate) fn read(reader: &mut Reader<'_>, start: Start<'_>) -> Result<Element, xml::Error> {
    let mut open = vec![begin(reader, start)];
    loop {
        match reader.next()? {
            Some(Token::Start(start)) => open.push(begin(reader, start)),
            Some(Token::Text(text)) => {
                if let Some(element) = open.last_mut() {
                    element.push_text(text);
                }
            }
            Some(Token::End) | None => {
                let Some(done) = open.pop() else {
                    return Err(xml::Error::NotWellFormed("element without an end"));
                };
                match open.last_mut() {
                    Some(parent) => parent.push(done),
                    None => return Ok(done),
                }
            }
        }
    }
}

fn begin(reader: &Reader<'_>, start: Start<'_>) -> Element {
    let mut element = Element::new(reader.namespace(), SmolStr::new(start.local));
    for attribute in reader.attributes() {
        if attribute.declares().is_none() {
            element.attributes.push(super::Attribute {
                ns: SmolStr::new(reader.attribute_namespace(attribute)),
                name: SmolStr::new(attribute.local()),
                value: attribute.value().into_owned(),
            });
        }
    }
    element
}
