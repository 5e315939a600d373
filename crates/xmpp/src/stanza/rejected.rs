//! A stanza that is well-formed XML but breaks a rule of stanzas.
//!
//! The stream goes on; its sender gets the error. It never reaches a session.

use bytes::{BufMut as _, BytesMut};
use smol_str::SmolStr;

use super::{Head, Kind, Stanza, Type};
use crate::error::StanzaError;
use crate::jid::Jid;
use crate::ns;
use crate::xml::escape;

/// Which rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `to` is no JID (RFC 6120 §8.3.3.8).
    To,
    /// `from` is no JID. The edge may end the stream with `invalid-from`
    /// instead (RFC 6120 §4.9.3.9).
    From,
    /// No id, a wrong number of payloads, an unknown type (RFC 6120 §8.2.3),
    /// a priority out of range (RFC 6121 §4.7.2.3).
    Shape,
}

/// A stanza that was refused as soon as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which element it was.
    pub kind: Kind,
    /// Which rule it broke.
    pub reason: Reason,
    /// Its id.
    pub id: Option<SmolStr>,
    /// Its `to`, as it was written, unless it is too long for any address.
    pub to: Option<Box<str>>,
    /// What its sender is told.
    pub error: StanzaError,
    /// Whether its sender may be told: errors and results are not answered
    /// (RFC 6120 §8.3.1).
    pub is_answerable: bool,
}

impl Rejected {
    /// The error for its sender, as a stanza; see [`Self::write_reply`].
    #[must_use]
    pub fn reply(&self, to_user: &Jid) -> Option<Stanza> {
        if !self.is_answerable {
            return None;
        }
        let mut head = Head::new(self.kind, Type::Error);
        head.id.clone_from(&self.id);
        head.to = Some(to_user.clone());
        if let Some(to) = &self.to {
            match Jid::parse(to) {
                Ok(from) => head.from = Some(from),
                Err(_) => {
                    let mut from = BytesMut::new();
                    escape::write_attribute("from", to, &mut from);
                    head.extra = Some(String::from_utf8_lossy(&from).into());
                }
            }
        }
        Some(Stanza::of_head(head).child(&self.error.to_element()))
    }

    /// Writes the error for its sender within the sender's stream and returns
    /// whether there was one to write. It comes from whatever `to` said, even
    /// if that is no JID, so that the client can match it.
    pub fn write_reply(&self, to_user: &Jid, out: &mut BytesMut) -> bool {
        self.write_reply_as(None, to_user, out)
    }

    /// The same, with its namespace: for WebSocket.
    pub fn write_reply_standalone(&self, to_user: &Jid, out: &mut BytesMut) -> bool {
        self.write_reply_as(Some(ns::CLIENT), to_user, out)
    }

    fn write_reply_as(&self, ns: Option<&str>, to_user: &Jid, out: &mut BytesMut) -> bool {
        if !self.is_answerable {
            return false;
        }
        let name = self.kind.as_str();
        out.put_u8(b'<');
        out.put_slice(name.as_bytes());
        let values = [
            ("xmlns", ns),
            ("type", Some("error")),
            ("id", self.id.as_deref()),
            ("to", Some(to_user.as_str())),
            ("from", self.to.as_deref()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                escape::write_attribute(name, value, out);
            }
        }
        out.put_u8(b'>');
        self.error.to_element().write(out, ns::CLIENT);
        out.put_slice(b"</");
        out.put_slice(name.as_bytes());
        out.put_u8(b'>');
        true
    }
}
