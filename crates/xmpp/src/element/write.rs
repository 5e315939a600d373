//! From tree to text.
//!
//! Elements are written without prefixes; a namespace is declared where it
//! differs from the surrounding one.

use std::fmt::{self, Write as _};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Element, Node};
use crate::ns;
use crate::xml::escape;

impl Element {
    /// Writes this element where `parent_ns` is the default namespace; empty
    /// for none.
    pub fn write(&self, out: &mut BytesMut, parent_ns: &str) {
        out.put_u8(b'<');
        out.put_slice(self.name.as_bytes());
        if self.ns != parent_ns {
            escape::write_attribute("xmlns", &self.ns, out);
        }
        self.write_attributes(out);
        if self.nodes.is_empty() {
            out.put_slice(b"/>");
            return;
        }
        out.put_u8(b'>');
        self.write_content(out);
        out.put_slice(b"</");
        out.put_slice(self.name.as_bytes());
        out.put_u8(b'>');
    }

    /// Writes what is between the tags.
    pub(crate) fn write_content(&self, out: &mut BytesMut) {
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write(out, &self.ns),
                Node::Text(text) => escape::write_text(text, out),
            }
        }
    }

    fn write_attributes(&self, out: &mut BytesMut) {
        for (at, attribute) in self.attributes.iter().enumerate() {
            write_attribute(attribute, at, out);
        }
    }

    /// This element standing alone.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write(&mut out, "");
        out.freeze()
    }
}

/// Writes one attribute; `number` makes the prefix of a namespaced one unique
/// within its element.
pub(crate) fn write_attribute(attribute: &super::Attribute, number: usize, out: &mut BytesMut) {
    let super::Attribute { ns, name, value } = attribute;
    match ns.as_str() {
        "" => escape::write_attribute(name, value, out),
        ns::XML => escape::write_attribute(&format!("xml:{name}"), value, out),
        ns => {
            escape::write_attribute(&format!("xmlns:ns{number}"), ns, out);
            escape::write_attribute(&format!("ns{number}:{name}"), value, out);
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.to_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}
