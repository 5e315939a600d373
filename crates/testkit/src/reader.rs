//! Bytes to stream items, by the parser `rxml`.
//!
//! It refuses whatever XMPP forbids (RFC 6120 §11.1), so everything a server
//! sends to a test is checked for well-formedness by another hand.

use rxml::error::EndOrError;
use rxml::{Event, Parse, Parser};

use crate::element::{Element, Node};

/// What comes on a stream, cut at the top level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The opening tag of the stream, with its attributes and no content.
    Open(Element),
    /// A whole element.
    Element(Element),
    /// Whitespace or, wrongly, other text between elements.
    Text(String),
    /// The closing tag of the stream.
    Close,
    /// The connection ended.
    End,
}

/// A parser of one stream; a restarted stream needs a new one.
pub struct Reader {
    parser: Parser,
    /// Bytes given to the parser that no event has accounted for yet.
    bytes: Vec<u8>,
    /// The bytes of the top-level element that is being read.
    raw: Vec<u8>,
    /// Elements that are open, below the stream.
    open: Vec<Element>,
    is_in_stream: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            parser: Parser::new(),
            bytes: Vec::new(),
            raw: Vec::new(),
            open: Vec::new(),
            is_in_stream: false,
        }
    }

    /// Reads more bytes and returns what is complete.
    ///
    /// # Errors
    /// What is wrong with the XML.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Item>, String> {
        self.bytes.extend_from_slice(bytes);
        let mut items = Vec::new();
        loop {
            match self.parser.parse(&mut bytes, false) {
                Ok(Some(event)) => items.extend(self.event(event)),
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(items),
                Err(EndOrError::Error(error)) => {
                    return Err(format!("the server sent bad XML: {error}"));
                }
            }
        }
    }

    fn event(&mut self, event: Event) -> Option<Item> {
        let length = event.metrics().len().min(self.bytes.len());
        let bytes = self.bytes.drain(..length);
        if self.is_in_stream {
            self.raw.extend(bytes);
        } else {
            drop(bytes);
        }
        match event {
            Event::XmlDeclaration(..) => None,
            Event::StartElement(_, (ns, name), attributes) => {
                let attributes = attributes
                    .into_iter()
                    .map(|((ns, name), value)| (ns.to_string(), name.to_string(), value))
                    .collect();
                let (ns, name) = (ns.to_string(), name.to_string());
                let element = Element {
                    ns,
                    name,
                    attributes,
                    ..Element::default()
                };
                if self.is_in_stream {
                    self.open.push(element);
                    return None;
                }
                self.is_in_stream = true;
                Some(Item::Open(element))
            }
            Event::EndElement(_) => self.end(),
            Event::Text(_, text) => match self.open.last_mut() {
                Some(parent) => {
                    parent.nodes.push(Node::Text(text));
                    None
                }
                None => {
                    self.raw.clear();
                    Some(Item::Text(text))
                }
            },
        }
    }

    fn end(&mut self) -> Option<Item> {
        let Some(mut element) = self.open.pop() else {
            return Some(Item::Close);
        };
        if let Some(parent) = self.open.last_mut() {
            parent.nodes.push(Node::Element(element));
            return None;
        }
        element.raw = String::from_utf8_lossy(&std::mem::take(&mut self.raw)).into_owned();
        Some(Item::Element(element))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{Item, Reader};

    const STREAM: &str = "<?xml version='1.0'?><s:stream xmlns:s='http://etherx.jabber.org/streams' \
                          xmlns='jabber:client' id='1'><message id='a'><body>h&amp;i</body></message> \
                          <presence/></s:stream>";

    #[test]
    fn any_cutting_of_a_stream_reads_alike() {
        let whole = Reader::new().push(STREAM.as_bytes()).unwrap();
        let [
            Item::Open(_),
            Item::Element(message),
            Item::Text(_),
            Item::Element(_),
            Item::Close,
        ] = &whole[..]
        else {
            panic!("not what was sent: {whole:?}");
        };
        assert_eq!(message.body().as_deref(), Some("h&i"));
        assert_eq!(
            message.raw,
            "<message id='a'><body>h&amp;i</body></message>"
        );
        for cut in 1..STREAM.len() {
            let mut reader = Reader::new();
            let mut items = reader.push(&STREAM.as_bytes()[..cut]).unwrap();
            items.extend(reader.push(&STREAM.as_bytes()[cut..]).unwrap());
            let elements: Vec<_> = items
                .iter()
                .filter(|item| matches!(item, Item::Element(_)))
                .collect();
            assert_eq!(elements, [&whole[1], &whole[3]], "cut at {cut}");
        }
    }
}
