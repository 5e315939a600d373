//! The head of a stanza while it is being read, and the rules it must keep.
//!
//! The rules are RFC 6120 §8.1 and §8.2.3 and RFC 6121 §4.7.2.3; all of them
//! are about one stanza alone.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::BytesMut;
use smol_str::SmolStr;

use crate::element;
use crate::error::{Condition, StanzaError};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Head, Kind, Reason, Rejected, Type};
use crate::xml::Attribute;

/// The longest id, in bytes. Whoever answers repeats it, and so must keep it.
const ID_BYTES_MAX: usize = 1_024;

/// RFC 7622 §3.1: three parts of 1,023 octets, `@` and `/`. What is longer is
/// no address, and is not repeated to its sender.
const TO_BYTES_MAX: usize = 3_071;

pub(super) struct Draft<'a> {
    kind: Kind,
    type_: Option<Cow<'a, str>>,
    to: Option<Cow<'a, str>>,
    from: Option<Cow<'a, str>>,
    id: Option<SmolStr>,
    lang: Option<SmolStr>,
    extra: String,
    payloads: usize,
    priorities: usize,
    is_in_priority: bool,
    priority: String,
}

impl<'a> Draft<'a> {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            type_: None,
            to: None,
            from: None,
            id: None,
            lang: None,
            extra: String::new(),
            payloads: 0,
            priorities: 0,
            is_in_priority: false,
            priority: String::new(),
        }
    }

    /// Takes an attribute of the stanza as it came.
    pub(super) fn attribute(&mut self, attribute: &Attribute<'a>) {
        if attribute.declares() == Some("") {
            return; // The content namespace; every writer declares its own.
        }
        if attribute.is_lang() {
            self.lang = Some(SmolStr::new(attribute.value()));
        } else if !attribute.prefix().is_empty()
            || !self.known(attribute.local(), || attribute.value())
        {
            self.extra.push(' ');
            self.extra.push_str(attribute.raw());
        }
    }

    /// Takes an attribute of the stanza out of a tree.
    pub(super) fn owned_attribute(&mut self, attribute: &'a element::Attribute, number: usize) {
        let value = attribute.value.as_str();
        match (attribute.ns.as_str(), attribute.name.as_str()) {
            (ns::XML, "lang") => self.lang = Some(value.into()),
            ("", name) if self.known(name, || Cow::Borrowed(value)) => {}
            _ => {
                let mut out = BytesMut::new();
                element::write_attribute(attribute, number, &mut out);
                self.extra.push_str(&String::from_utf8_lossy(&out));
            }
        }
    }

    fn known(&mut self, name: &str, value: impl FnOnce() -> Cow<'a, str>) -> bool {
        match name {
            "to" => self.to = Some(value()),
            "from" => self.from = Some(value()),
            "type" => self.type_ = Some(value()),
            "id" => self.id = Some(SmolStr::new(value())),
            _ => return false,
        }
        true
    }

    /// Takes a prefix declared around the stanza that it leans on (RFC 6120
    /// §4.8.5: whoever forwards it must declare it again).
    pub(super) fn declaration(&mut self, prefix: &str, ns: &str) {
        let mut out = BytesMut::new();
        crate::xml::escape::write_value(ns, &mut out);
        let ns = String::from_utf8_lossy(&out);
        // Writing to a String cannot fail.
        let _ = write!(self.extra, " xmlns:{prefix}='{ns}'");
    }

    /// Takes note of a payload.
    pub(super) fn payload(&mut self, is_content_ns: bool, name: &str) {
        self.payloads += 1;
        self.is_in_priority = is_content_ns && name == "priority";
        self.priorities += usize::from(self.is_in_priority);
    }

    /// Takes note of text directly within the last payload.
    pub(super) fn text(&mut self, text: &str) {
        if self.is_in_priority && self.kind == Kind::Presence {
            self.priority.push_str(text);
        }
    }

    /// The head, or what is wrong with it.
    pub(super) fn finish(self) -> Result<Head, Box<Rejected>> {
        let type_ = Type::from_attribute(self.kind, self.type_.as_deref());
        let parse = |text: Option<&str>| text.map(Jid::parse).transpose();
        let (to, from) = (parse(self.to.as_deref()), parse(self.from.as_deref()));
        let jid_malformed = |text| StanzaError::new(Condition::JidMalformed).text(text);
        let fault = match (self.fault(type_), &to, &from) {
            (Some(text), ..) => Some((
                Reason::Shape,
                StanzaError::new(Condition::BadRequest).text(text),
            )),
            (None, _, Err(_)) => Some((Reason::From, jid_malformed("'from' is not an address"))),
            (None, Err(_), _) => Some((Reason::To, jid_malformed("'to' is not an address"))),
            (None, Ok(_), Ok(_)) => None,
        };
        match (fault, type_, to, from) {
            (None, Some(type_), Ok(to), Ok(from)) => Ok(Head {
                kind: self.kind,
                type_,
                to,
                from,
                id: self.id,
                lang: self.lang,
                extra: (!self.extra.is_empty()).then(|| self.extra.into_boxed_str()),
            }),
            (fault, ..) => {
                let unknown = || (Reason::Shape, StanzaError::new(Condition::BadRequest));
                let (reason, error) = fault.unwrap_or_else(unknown);
                Err(Box::new(Rejected {
                    kind: self.kind,
                    reason,
                    id: self.id.filter(|id| id.len() <= ID_BYTES_MAX),
                    to: self
                        .to
                        .filter(|to| to.len() <= TO_BYTES_MAX)
                        .map(|to| to.into()),
                    error,
                    // RFC 6120 §8.3.1.
                    is_answerable: !matches!(type_, Some(Type::Error | Type::Result)),
                }))
            }
        }
    }

    /// What is wrong with the shape of the stanza.
    fn fault(&self, type_: Option<Type>) -> Option<&'static str> {
        let Some(type_) = type_ else {
            return Some("unknown 'type'");
        };
        if self.id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Some("the 'id' is too long");
        }
        match self.kind {
            Kind::Message => None,
            Kind::Presence if type_ == Type::Available && self.priorities > 0 => {
                // RFC 6121 §4.7.2.3: one integer between -128 and +127.
                let is_valid = self.priorities == 1 && self.priority.trim().parse::<i8>().is_ok();
                (!is_valid).then_some("priority must be an integer from -128 to 127")
            }
            Kind::Presence => None,
            // RFC 6120 §8.2.3.
            Kind::Iq if self.id.is_none() => Some("an IQ needs an 'id'"),
            Kind::Iq => match (type_, self.payloads) {
                (Type::Get | Type::Set, 1) | (Type::Result, 0 | 1) | (Type::Error, _) => None,
                (Type::Get | Type::Set, _) => Some("an IQ request needs exactly one payload"),
                _ => Some("an IQ result has at most one payload"),
            },
        }
    }
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
    use crate::stream::{Content, Event, Limits, read_element};

    fn reply(to: &str, id: &str) -> String {
        let xml =
            format!("<iq xmlns='jabber:client' type='get' to='{to}' id='{id}'><q xmlns='q'/></iq>");
        match read_element(xml.as_bytes(), Content::Client, Limits::AUTHENTICATED).unwrap() {
            Event::Rejected(rejected) => {
                let mut out = BytesMut::new();
                rejected.write_reply(&Jid::parse("a@b/c").unwrap(), &mut out);
                String::from_utf8(out.to_vec()).unwrap()
            }
            other => panic!("not rejected: {other:?}"),
        }
    }

    #[test]
    fn an_answer_does_not_repeat_at_length() {
        // RFC 6120 §8.3.3.8; an answer is never much larger than its cause.
        assert!(reply("@", "i").contains(" from='@'"));
        let long = format!("@{}", "x".repeat(TO_BYTES_MAX));
        let answer = reply(&long, "i");
        assert!(answer.contains("id='i'") && answer.len() < 400, "{answer}");
        let answer = reply("b", &"i".repeat(ID_BYTES_MAX + 1));
        assert!(answer.contains("the 'id' is too long"), "{answer}");
        assert!(answer.len() < 400, "{answer}");
    }
}
