//! A stanza: its head parsed, its content the bytes it came as.
//!
//! Routing needs only the head and the list of payloads, so nothing is built
//! up for what just passes through, and a payload no one changes leaves byte
//! for byte as it came. What the rules of delivery are is left to `session`,
//! where stanzas come from to `stream`.

mod body;
mod head;
mod parts;
mod payload;
mod read;
mod rejected;
mod reply;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use smol_str::SmolStr;

pub use head::{Head, Kind, Type};
pub use parts::{Place, PlaceNs};
pub use payload::Payload;
pub use rejected::{Reason, Rejected};

pub(crate) use read::{Context, Found, Source, read};

use crate::element::Element;
use crate::error::ParseError;
use crate::jid::Jid;
use body::Body;

/// A message, presence or IQ. Cheap to clone: the content is shared.
///
/// Made by the stream decoder, by [`parse`](Self::parse) from stored bytes,
/// or by [`message`](Self::message), [`presence`](Self::presence) and
/// [`iq`](Self::iq), then `to`, `from`, `id` and `child`.
#[derive(Clone, PartialEq, Eq)]
pub struct Stanza {
    /// What is on the stanza's own element. Changing it never touches the
    /// content. Both are behind pointers because a stanza is moved from hand to
    /// hand some forty times on its way through a node.
    pub head: Box<Head>,
    /// Shared by clones.
    body: Arc<Body>,
}

impl Stanza {
    /// An empty message.
    #[must_use]
    pub fn message(type_: Type) -> Self {
        Self::new(Kind::Message, type_)
    }

    /// An empty presence.
    #[must_use]
    pub fn presence(type_: Type) -> Self {
        Self::new(Kind::Presence, type_)
    }

    /// An empty IQ.
    #[must_use]
    pub fn iq(type_: Type, id: impl Into<SmolStr>) -> Self {
        Self::new(Kind::Iq, type_).id(id)
    }

    /// A stanza with this head and nothing in it: enough to answer one whose
    /// content is gone.
    #[must_use]
    pub fn of_head(head: impl Into<Box<Head>>) -> Self {
        Self {
            head: head.into(),
            body: Arc::default(),
        }
    }

    fn new(kind: Kind, type_: Type) -> Self {
        debug_assert!(type_.is_of(kind), "{type_:?} is no type of {kind:?}");
        Self {
            head: Box::new(Head::new(kind, type_)),
            body: Arc::default(),
        }
    }

    /// With another addressee.
    #[must_use]
    pub fn to(mut self, to: impl Into<Jid>) -> Self {
        self.head.to = Some(to.into());
        self
    }

    /// With another sender.
    #[must_use]
    pub fn from(mut self, from: impl Into<Jid>) -> Self {
        self.head.from = Some(from.into());
        self
    }

    /// With another id.
    #[must_use]
    pub fn id(mut self, id: impl Into<SmolStr>) -> Self {
        self.head.id = Some(id.into());
        self
    }

    /// With another `xml:lang`.
    #[must_use]
    pub fn lang(mut self, lang: impl Into<SmolStr>) -> Self {
        self.head.lang = Some(lang.into());
        self
    }

    /// With one more payload at the end.
    #[must_use]
    pub fn child(mut self, payload: &Element) -> Self {
        self.push(payload);
        self
    }

    /// Reads one stanza that stands alone, as [`to_bytes`](Self::to_bytes)
    /// writes it. The content shares `bytes`.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        match read(&Source::Shared(&bytes), &Context::STANDALONE)? {
            Found::Stanza(stanza) => Ok(stanza),
            Found::Rejected(rejected) => Err(ParseError::Rejected(rejected)),
            Found::Nonza(_) | Found::UnknownStanza | Found::ForeignStanza => {
                Err(ParseError::NotAStanza)
            }
        }
    }

    /// The content: everything between the tags, relative to the default
    /// namespace `jabber:client` and the declarations in [`Head::extra`].
    #[must_use]
    pub fn content(&self) -> &Bytes {
        self.body.content()
    }

    /// The direct children, in order.
    pub fn payloads(&self) -> impl Iterator<Item = Payload<'_>> {
        self.body
            .entries()
            .iter()
            .map(|entry| Payload::new(self, entry))
    }

    /// The first direct child of that name.
    #[must_use]
    pub fn payload(&self, ns: &str, name: &str) -> Option<Payload<'_>> {
        self.payloads().find(|payload| payload.is(ns, name))
    }

    /// The first direct child: the request of an IQ.
    #[must_use]
    pub fn first_payload(&self) -> Option<Payload<'_>> {
        self.payloads().next()
    }

    /// Whether there is a direct child of that name.
    #[must_use]
    pub fn has(&self, ns: &str, name: &str) -> bool {
        self.payload(ns, name).is_some()
    }

    /// The text of the first direct child of that name.
    #[must_use]
    pub fn child_text(&self, ns: &str, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.payload(ns, name).map(|payload| payload.text())
    }

    /// Adds a payload at the end. The other payloads keep their bytes.
    pub fn push(&mut self, payload: &Element) {
        Arc::make_mut(&mut self.body).push(payload);
    }

    /// The same for an element with attributes and nothing within, in a namespace
    /// of its own. No tree is built: this is for marks on every message.
    pub(crate) fn push_flat(
        &mut self,
        ns: &'static str,
        name: &'static str,
        attributes: &[(&str, &str)],
    ) {
        Arc::make_mut(&mut self.body).push_flat(ns, name, attributes);
    }

    /// Takes out the payloads `is_unwanted` picks; the others, and the text
    /// between them, keep their bytes. Returns whether there were any.
    pub fn strip(&mut self, mut is_unwanted: impl FnMut(&Payload<'_>) -> bool) -> bool {
        let unwanted: SmallVec<[bool; 8]> = self.payloads().map(|p| is_unwanted(&p)).collect();
        let is_any = unwanted.contains(&true);
        if is_any {
            Arc::make_mut(&mut self.body).remove(&unwanted);
        }
        is_any
    }

    /// Takes out all content.
    pub fn clear(&mut self) {
        self.body = Arc::default();
    }
}

#[cfg(test)]
mod tests;
