//! XEP-0359: Unique and Stable Stanza IDs, version 0.7.0.
//!
//! Where ids come from is for whoever assigns them; here they are read,
//! written, and forged ones are recognised.

use std::borrow::Cow;

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Payload, Stanza};

/// `<stanza-id xmlns='urn:xmpp:sid:0'/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaId {
    /// Unique for whoever assigned it.
    pub id: String,
    /// Who assigned it: an account, a room.
    pub by: Jid,
}

impl StanzaId {
    /// An id that `by` assigned.
    #[must_use]
    pub fn new(id: impl Into<String>, by: impl Into<Jid>) -> Self {
        Self {
            id: id.into(),
            by: by.into(),
        }
    }

    /// Reads `<stanza-id/>`; §3 rule 5: both attributes are there.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::SID, "stanza-id") {
            return None;
        }
        let id = element.attribute("id").filter(|id| !id.is_empty())?;
        Some(Self {
            id: id.to_owned(),
            by: Jid::parse(element.attribute("by")?).ok()?,
        })
    }

    /// Marks a message with it. What is added is [`StanzaId::to_element`].
    pub fn mark(&self, message: &mut Stanza) {
        let attributes = [("id", self.id.as_str()), ("by", self.by.as_str())];
        message.push_flat(ns::SID, "stanza-id", &attributes);
    }

    /// Writes `<stanza-id/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new(ns::SID, "stanza-id")
            .attr("id", self.id.as_str())
            .attr("by", self.by.as_str())
    }
}

/// Whether this is a stanza id that claims to be from `by`, who did not
/// assign it: §3 rule 2 wants it gone. Spelling `by` otherwise is no way out,
/// and one without any `by` is no id at all.
#[must_use]
pub fn is_forged(payload: &Payload<'_>, by: &Jid) -> bool {
    payload.is(ns::SID, "stanza-id")
        && payload
            .attribute("by")
            .is_none_or(|claimed| Jid::parse(claimed.trim()).is_ok_and(|claimed| claimed == *by))
}

/// The id that the sending client chose.
#[must_use]
pub fn origin_id(stanza: &Stanza) -> Option<Cow<'_, str>> {
    stanza
        .payload(ns::SID, "origin-id")?
        .attribute("id")
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{StanzaId, is_forged, origin_id};
    use crate::element::Element;
    use crate::jid::Jid;
    use crate::ns;
    use crate::stanza::{Stanza, Type};

    fn message(payload: &Element) -> Stanza {
        Stanza::message(Type::Chat).child(payload)
    }

    fn claimed(by: &str) -> Element {
        Element::new(ns::SID, "stanza-id")
            .attr("id", "x")
            .attr("by", by)
    }

    /// XEP-0359 §3 rules 2 and 3.
    #[test]
    fn a_forged_id_is_recognised_in_any_spelling() {
        let us = Jid::parse("juliet@capulet.lit").unwrap();
        let is_taken =
            |payload: &Element| message(payload).strip(|payload| is_forged(payload, &us));
        for by in [
            "juliet@capulet.lit",
            "JULIET@capulet.lit.",
            " juliet@capulet.lit",
        ] {
            assert!(is_taken(&claimed(by)), "{by}");
        }
        for by in [
            "romeo@montague.lit",
            "juliet@capulet.lit/balcony",
            "capulet.lit",
            "@",
        ] {
            assert!(!is_taken(&claimed(by)), "{by}");
        }
        assert!(is_taken(&Element::new(ns::SID, "stanza-id")));
        assert!(!is_taken(
            &Element::new(ns::SID, "origin-id").attr("id", "x")
        ));
    }

    /// Without a tree, a mark is what it is with one.
    #[test]
    fn a_mark_is_the_element() {
        let by = Jid::parse("juliet@capulet.lit/it's <her> & \u{1d49c}").unwrap();
        let id = StanzaId::new("de305d54", by);
        let mut marked = message(&claimed("a@b"));
        let other = marked.clone().child(&id.to_element());
        id.mark(&mut marked);
        assert_eq!(marked.to_bytes(), other.to_bytes());
        let payloads = marked.payloads().map(|payload| payload.element());
        assert!(payloads.eq(other.payloads().map(|payload| payload.element())));
        assert!(
            marked
                .payloads()
                .all(|payload| payload.is(ns::SID, "stanza-id"))
        );
    }

    /// XEP-0359 §3 rules 5 and 6.
    #[test]
    fn ids_are_read_and_written() {
        let id = StanzaId::new("de305d54", Jid::parse("room@muc.example.com").unwrap());
        assert_eq!(StanzaId::from_element(&id.to_element()), Some(id));
        assert_eq!(StanzaId::from_element(&claimed("")), None);
        let origin = Element::new(ns::SID, "origin-id").attr("id", "5f3dbc5e");
        assert_eq!(origin_id(&message(&origin)).as_deref(), Some("5f3dbc5e"));
        assert_eq!(origin_id(&message(&claimed("a@b"))), None);
    }
}
