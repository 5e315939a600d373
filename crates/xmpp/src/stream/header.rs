//! The opening tag of a stream, RFC 6120 §4.7 and §4.8.
//!
//! Reads a peer's, writes ours. Whether a host is served, a version spoken or
//! a content namespace fits the port is left to the edge.

use bytes::{BufMut as _, BytesMut};
use smol_str::SmolStr;

use super::error::{StreamCondition, StreamError};
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Attribute, Declaration, Limits, Reader, escape};

/// The longest `xml:lang` of a stream that is taken note of: it is stamped on
/// every stanza without one. RFC 5646 §4.4.1 finds 35 enough.
const LANG_BYTES_MAX: usize = 64;

/// Bytes of all prefixes declared on the stream and their namespaces: a stanza
/// that leans on them carries them on (RFC 6120 §4.8.5).
const DECLARATION_BYTES_MAX: usize = 1_024;

/// RFC 6120 §4.8.2: whom the stream is with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Content {
    /// A client: `jabber:client`.
    #[default]
    Client,
    /// A server: `jabber:server`.
    Server,
}

impl Content {
    /// The namespace of stanzas.
    #[must_use]
    pub const fn ns(self) -> &'static str {
        match self {
            Self::Client => ns::CLIENT,
            Self::Server => ns::SERVER,
        }
    }

    fn from_ns(name: &str) -> Option<Self> {
        match name {
            ns::CLIENT => Some(Self::Client),
            ns::SERVER => Some(Self::Server),
            _ => None,
        }
    }
}

/// RFC 6120 §4.7.5: major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

impl Version {
    /// What a header without a version means: before RFC 3920.
    pub const NONE: Self = Self(0, 9);
    /// XMPP.
    pub const XMPP: Self = Self(1, 0);

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// What an opening tag says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeader {
    /// The host the stream is for, or our peer when we answer.
    pub to: Option<Jid>,
    /// Who opens it.
    pub from: Option<Jid>,
    /// The id the receiving side gave to it.
    pub id: Option<SmolStr>,
    /// The version spoken.
    pub version: Version,
    /// The stream's `xml:lang`, to be stamped on stanzas without one (§4.7.4).
    pub lang: Option<SmolStr>,
    /// The namespace of stanzas; what the decoder expects when the header
    /// declares none.
    pub content: Content,
    /// All declarations, for extensions that look for theirs.
    pub declarations: Vec<Declaration>,
}

impl StreamHeader {
    /// A header of ours, still without addresses and id.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self {
            to: None,
            from: None,
            id: None,
            version: Version::XMPP,
            lang: None,
            content,
            declarations: Vec::new(),
        }
    }

    /// Writes it with an XML declaration, `stream` as the prefix of streams
    /// and the content namespace as the default one. What `declarations` hold
    /// beyond these two is declared too.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"<?xml version='1.0'?><stream:stream");
        escape::write_attribute("xmlns", self.content.ns(), out);
        escape::write_attribute("xmlns:stream", ns::STREAM, out);
        for Declaration { prefix, ns } in &self.declarations {
            if !matches!(prefix.as_str(), "" | "stream") {
                escape::write_attribute(&format!("xmlns:{prefix}"), ns, out);
            }
        }
        let Version(major, minor) = self.version;
        let version = (self.version > Version::NONE).then(|| format!("{major}.{minor}"));
        let values = [
            ("id", self.id.as_deref()),
            ("from", self.from.as_ref().map(|from| from.as_str())),
            ("to", self.to.as_ref().map(|to| to.as_str())),
            ("version", version.as_deref()),
            ("xml:lang", self.lang.as_deref()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                escape::write_attribute(name, value, out);
            }
        }
        out.put_u8(b'>');
    }

    /// Reads an opening tag. What was understood is in the header even when
    /// there is an error, because the error has to follow a header of ours
    /// (RFC 6120 §4.9.1.2).
    pub(super) fn read(
        tag: &[u8],
        expected: Content,
        limits: Limits,
    ) -> (Self, Result<(), StreamError>) {
        let mut header = Self::new(expected);
        header.version = Version::NONE;
        let result = header.fill(tag, limits);
        (header, result)
    }

    fn fill(&mut self, tag: &[u8], limits: Limits) -> Result<(), StreamError> {
        let mut reader = Reader::new(tag, &[], limits)?;
        let opened = reader.opening();
        // Also after an error: the tokenizer got at least the attributes.
        let mut fault = None;
        for attribute in reader.attributes() {
            let result = self.attribute(attribute);
            fault = fault.or(result.err());
        }
        let start = opened?;
        if reader.namespace() != ns::STREAM {
            return Err(StreamError::new(StreamCondition::InvalidNamespace)
                .text("not the namespace of streams"));
        }
        if start.local != "stream" {
            return Err(StreamError::new(StreamCondition::BadFormat).text("not a stream"));
        }
        let declared = self
            .declarations
            .iter()
            .map(|d| d.prefix.len() + d.ns.len());
        if declared.sum::<usize>() > DECLARATION_BYTES_MAX {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return Err(error.text("the namespaces of the stream are too long"));
        }
        self.content = self.content_declared()?.unwrap_or(self.content);
        fault.map_or(Ok(()), Err)
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), StreamError> {
        let value = attribute.value();
        if let Some(prefix) = attribute.declares() {
            self.declarations.push(Declaration::new(prefix, value));
        } else if attribute.is_lang() {
            self.lang = is_lang(&value).then(|| SmolStr::new(value));
        } else if attribute.prefix().is_empty() {
            match attribute.local() {
                "id" => self.id = Some(SmolStr::new(value)),
                "to" => {
                    // §4.9.3.6: no host of ours has a name that is no name.
                    let to = Jid::parse(&value).map_err(|_| StreamCondition::HostUnknown)?;
                    self.to = Some(to);
                }
                "from" => {
                    let from = Jid::parse(&value).map_err(|_| StreamCondition::InvalidFrom)?;
                    self.from = Some(from);
                }
                "version" => {
                    let version = Version::parse(&value);
                    self.version = version.ok_or(StreamCondition::UnsupportedVersion)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The content namespace by the declarations: the default one (§4.8.2),
    /// else one bound to a prefix (§4.8.5), else none, when every stanza
    /// declares it itself (§4.8.3).
    fn content_declared(&self) -> Result<Option<Content>, StreamError> {
        let default = self.declarations.iter().find(|d| d.prefix.is_empty());
        match default.map(|d| d.ns.as_str()) {
            None | Some("" | ns::STREAM) => Ok(self
                .declarations
                .iter()
                .find_map(|d| Content::from_ns(&d.ns))),
            Some(name) => Content::from_ns(name).map(Some).ok_or_else(|| {
                StreamError::new(StreamCondition::InvalidNamespace).text("not a content namespace")
            }),
        }
    }
}

/// RFC 5646 §2.1: letters and digits with hyphens between. Anything else says
/// nothing about a language, and would be written into every stanza.
fn is_lang(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !text.is_empty() && text.len() <= LANG_BYTES_MAX && text.bytes().all(is_part)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::stream::{Decoder, Event};

    fn open(attributes: &str) -> Result<Option<Event>, StreamError> {
        let tag = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='{}' to='a' {attributes}>",
            ns::STREAM
        );
        Decoder::new(Limits::AUTHENTICATED).feed(&mut BytesMut::from(tag.as_bytes()))
    }

    fn lang(text: &str) -> Option<SmolStr> {
        match open(&format!("xml:lang='{text}'")).unwrap() {
            Some(Event::Open(header)) => header.lang,
            other => panic!("no header: {other:?}"),
        }
    }

    #[test]
    fn a_language_that_is_none_is_not_stamped_on_stanzas() {
        // RFC 6120 §4.7.4: it goes into each of them, and so does its length.
        assert_eq!(lang("zh-Hant-TW").as_deref(), Some("zh-Hant-TW"));
        assert_eq!(lang(&"x".repeat(LANG_BYTES_MAX + 1)), None);
        assert_eq!(lang("&lt;&lt;&lt;"), None);
        assert_eq!(lang(""), None);
    }

    #[test]
    fn what_stanzas_would_repeat_is_short() {
        // RFC 6120 §4.8.5.
        let declared = |length| format!("xmlns:p='{}'", "x".repeat(length));
        assert!(open(&declared(500)).is_ok());
        let refused = open(&declared(DECLARATION_BYTES_MAX)).unwrap_err();
        assert_eq!(refused.condition, StreamCondition::PolicyViolation);
    }

    #[test]
    fn an_opening_tag_is_short_whatever_stanzas_may_be() {
        // RFC 6120 §4.9.3.14.
        let refused = open(&format!("id='{}'", "x".repeat(8_192))).unwrap_err();
        assert_eq!(refused.condition, StreamCondition::PolicyViolation);
        assert!(open(&format!("id='{}'", "x".repeat(4_096))).is_ok());
    }
}
