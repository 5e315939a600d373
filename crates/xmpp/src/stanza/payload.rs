//! One direct child of a stanza, looked at without building a tree.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use smol_str::SmolStr;

use super::Stanza;
use super::body::{Entry, Ns};
use crate::element::Element;
use crate::ns;
use crate::xml::{Declaration, Limits, Reader, Token};

/// What is declared around the payloads of nearly every stanza.
static CLIENT: [Declaration; 1] = [Declaration {
    prefix: SmolStr::new_static(""),
    ns: SmolStr::new_static(ns::CLIENT),
}];

/// One direct child of a stanza.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    stanza: &'a Stanza,
    entry: &'a Entry,
}

impl<'a> Payload<'a> {
    pub(super) fn new(stanza: &'a Stanza, entry: &'a Entry) -> Self {
        Self { stanza, entry }
    }

    /// The namespace; empty for none.
    #[must_use]
    pub fn ns(&self) -> &'a str {
        match &self.entry.ns {
            Ns::Client => ns::CLIENT,
            Ns::Within(range) => self.stanza.body.text(range),
            Ns::Owned(ns) => ns,
        }
    }

    /// The name without a prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.stanza.body.text(&self.entry.name)
    }

    /// Whether this is the element `name` of namespace `ns`.
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.stanza.body.slice(&self.entry.name) == name.as_bytes() && self.is_in(ns)
    }

    /// Whether its namespace is `ns`. Every feature asks this of every payload,
    /// so it compares bytes: a `str` out of the content is checked to be one.
    #[must_use]
    pub fn is_in(&self, ns: &str) -> bool {
        match &self.entry.ns {
            Ns::Client => ns == ns::CLIENT,
            Ns::Within(range) => self.stanza.body.slice(range) == ns.as_bytes(),
            Ns::Owned(own) => own == ns,
        }
    }

    /// The element exactly as it came. It may lean on `jabber:client` as the
    /// default namespace and on prefixes declared in [`Head::extra`](super::Head::extra).
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.stanza.body.slice(&self.entry.range)
    }

    /// The same, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.stanza.content().slice_ref(self.bytes())
    }

    /// The element as a tree.
    #[must_use]
    pub fn element(&self) -> Element {
        Element::parse_within(self.bytes(), &self.declarations(), Limits::TRUSTED)
            // The content was checked; this is only for the type.
            .unwrap_or_else(|_| Element::new(self.ns(), self.name()))
    }

    /// The value of an attribute without a namespace.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        let declarations = self.declarations();
        let mut reader = Reader::new(self.bytes(), &declarations, Limits::TRUSTED).ok()?;
        reader.next().ok()?;
        let is_it = |a: &&crate::xml::Attribute<'_>| a.prefix().is_empty() && a.local() == name;
        let value = reader.attributes().iter().find(is_it)?.value();
        // The reader is bound to the declarations, the text is not.
        Some(match value {
            Cow::Borrowed(value) => self.borrow(value),
            Cow::Owned(value) => Cow::Owned(value),
        })
    }

    /// The characters directly within the element.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        let declarations = self.declarations();
        let Ok(mut reader) = Reader::new(self.bytes(), &declarations, Limits::TRUSTED) else {
            return Cow::Borrowed("");
        };
        let mut found: Cow<'a, str> = Cow::Borrowed("");
        while let Ok(Some(token)) = reader.next() {
            if let Token::Text(text) = token
                && reader.depth() == 1
            {
                match text {
                    Cow::Borrowed(text) if found.is_empty() => found = self.borrow(text),
                    text => found.to_mut().push_str(&text),
                }
            }
        }
        found
    }

    /// `part` lies within this payload's bytes; gives it their lifetime.
    fn borrow(&self, part: &str) -> Cow<'a, str> {
        let start = part
            .as_ptr()
            .addr()
            .wrapping_sub(self.bytes().as_ptr().addr());
        let bytes = self.bytes().get(start..start + part.len());
        match bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(part.to_owned()),
        }
    }

    /// What is declared around the payloads of this stanza.
    fn declarations(&self) -> Cow<'static, [Declaration]> {
        let extra = self.stanza.head.extra();
        if extra.is_empty() {
            return Cow::Borrowed(&CLIENT);
        }
        let mut found = CLIENT.to_vec();
        let tag = format!("<x{extra}/>");
        if let Ok(mut reader) = Reader::new(tag.as_bytes(), &[], Limits::TRUSTED)
            && reader.next().is_ok()
        {
            let declared = reader.attributes().iter().filter_map(|attribute| {
                let prefix = attribute.declares()?;
                Some(Declaration::new(prefix, attribute.value()))
            });
            found.extend(declared);
        }
        Cow::Owned(found)
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.bytes()))
    }
}
