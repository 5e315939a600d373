//! XEP-0203: Delayed Delivery, version 2.0: when a stanza was really sent.
//!
//! Deciding who may be believed about it is left to the features (§5: a
//! `from` that names someone else is not evidence).

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::Stanza;
use crate::time::{self, UnixMillis};

/// `<delay xmlns='urn:xmpp:delay'/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Who delayed the stanza: a server, an account, a room.
    pub from: Option<Jid>,
    /// When the stanza was first sent.
    pub stamp: UnixMillis,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Delay {
    /// A delay without a reason.
    #[must_use]
    pub fn new(from: impl Into<Jid>, stamp: UnixMillis) -> Self {
        Self {
            from: Some(from.into()),
            stamp,
            reason: None,
        }
    }

    /// The first delay that a stanza tells of, whoever put it there.
    #[must_use]
    pub fn of(stanza: &Stanza) -> Option<Self> {
        let delay = stanza.payload(ns::DELAY, "delay")?;
        Self::from_element(&delay.element())
    }

    /// Reads `<delay/>`. `None` when it is another element, or its stamp or
    /// its `from` cannot be read.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::DELAY, "delay") {
            return None;
        }
        let from = element.attribute("from").map(Jid::parse).transpose().ok()?;
        let stamp = time::parse(element.attribute("stamp")?)?;
        let reason = element.text_content();
        let reason = Some(reason.trim())
            .filter(|text| !text.is_empty())
            .map(str::to_owned);
        Some(Self {
            from,
            stamp,
            reason,
        })
    }

    /// Writes `<delay/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new(ns::DELAY, "delay")
            .attr_if("from", self.from.as_ref().map(Jid::as_str))
            .attr("stamp", time::format(self.stamp))
            .text(self.reason.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::Delay;
    use crate::element::Element;
    use crate::stanza::{Stanza, Type};
    use crate::time::UnixMillis;

    /// XEP-0203 §3, example 1.
    #[test]
    fn the_offline_example_is_read() {
        let element = Element::parse(
            b"<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'>\n\
              Offline Storage\n</delay>",
        );
        let delay = Delay::from_element(&element.unwrap()).unwrap();
        assert_eq!(delay.from.as_ref().unwrap().as_str(), "capulet.com");
        assert_eq!(delay.stamp, UnixMillis(1_031_699_305_000));
        assert_eq!(delay.reason.as_deref(), Some("Offline Storage"));
        let stanza = Stanza::message(Type::Chat).child(&delay.to_element());
        assert_eq!(Delay::of(&stanza), Some(delay));
    }

    #[test]
    fn a_delay_without_a_stamp_is_none() {
        for xml in [
            "<delay xmlns='urn:xmpp:delay'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='@'/>",
            "<delay stamp='2002-09-10T23:08:25Z'/>",
        ] {
            let element = Element::parse(xml.as_bytes()).unwrap();
            assert_eq!(Delay::from_element(&element), None, "{xml}");
        }
    }
}
