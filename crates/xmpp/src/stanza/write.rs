//! From stanza to bytes.
//!
//! Only the stanza's own tag is written anew; the content is copied.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Kind, Stanza};
use crate::ns;
use crate::xml::escape;

/// Room for the names, quotes and tags around the values of a head.
const HEAD_BYTES: usize = 96;

impl Stanza {
    /// Writes the stanza within a stream, whose content namespace is the
    /// default one: `jabber:client`, or `jabber:server` between servers.
    pub fn write(&self, out: &mut BytesMut) {
        self.write_as(None, out);
    }

    /// Writes the stanza standing alone, with its namespace: for the store,
    /// the link, WebSocket and as a payload of another stanza.
    pub fn write_standalone(&self, out: &mut BytesMut) {
        self.write_as(Some(ns::CLIENT), out);
    }

    /// The stanza standing alone.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len_estimate());
        self.write_standalone(&mut out);
        out.freeze()
    }

    /// About how many bytes the stanza has when written.
    #[must_use]
    pub fn len_estimate(&self) -> usize {
        let head = &self.head;
        let jid = |jid: &Option<crate::jid::Jid>| jid.as_ref().map_or(0, |j| j.as_str().len());
        HEAD_BYTES
            + jid(&head.to)
            + jid(&head.from)
            + head.id.as_ref().map_or(0, |id| id.len())
            + head.lang.as_ref().map_or(0, |lang| lang.len())
            + head.extra().len()
            + self.content().len()
    }

    fn write_as(&self, ns: Option<&str>, out: &mut BytesMut) {
        out.reserve(self.len_estimate());
        let head = &self.head;
        let (start, end): (&[u8], &[u8]) = match head.kind {
            Kind::Message => (b"<message", b"</message>"),
            Kind::Presence => (b"<presence", b"</presence>"),
            Kind::Iq => (b"<iq", b"</iq>"),
        };
        out.put_slice(start);
        // Names together with what stands around them: a stanza is written for
        // each log that keeps it, in pieces as large as they can be.
        let values = [
            (" xmlns='", ns),
            (" type='", head.type_.as_str()),
            (" id='", head.id.as_deref()),
            (" to='", head.to.as_ref().map(|to| to.as_str())),
            (" from='", head.from.as_ref().map(|from| from.as_str())),
            (" xml:lang='", head.lang.as_deref()),
        ];
        for (before, value) in values {
            if let Some(value) = value {
                out.put_slice(before.as_bytes());
                escape::write_value(value, out);
                out.put_slice(b"'");
            }
        }
        if !head.extra().is_empty() {
            out.put_slice(head.extra().as_bytes());
        }
        if self.content().is_empty() {
            out.put_slice(b"/>");
            return;
        }
        out.put_slice(b">");
        out.put_slice(self.content());
        out.put_slice(end);
    }
}

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = BytesMut::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl fmt::Debug for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
