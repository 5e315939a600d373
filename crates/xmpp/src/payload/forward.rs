//! XEP-0297: Stanza Forwarding, version 1.0: a stanza inside a stanza.
//!
//! The inner stanza is bytes in and bytes out when it is one of ours; only a
//! stanza someone else wrapped becomes a tree. Whether to believe what it
//! says (§7) is for the features.

use bytes::{BufMut as _, BytesMut};

use super::delay::Delay;
use crate::element::Element;
use crate::ns;

/// `<forwarded xmlns='urn:xmpp:forward:0'/>` as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// When the inner stanza was sent.
    pub delay: Option<Delay>,
    /// The stanza, in `jabber:client` or `jabber:server`.
    pub stanza: Element,
}

impl Forwarded {
    /// Reads `<forwarded/>`. `None` when it does not hold exactly one stanza.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::FORWARD, "forwarded") {
            return None;
        }
        let delay = element
            .get(ns::DELAY, "delay")
            .and_then(Delay::from_element);
        let mut stanzas = element.children().filter(|child| is_stanza(child));
        let stanza = stanzas.next()?.clone();
        stanzas.next().is_none().then_some(Self { delay, stanza })
    }

    /// Writes `<forwarded/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new(ns::FORWARD, "forwarded")
            .with_children(self.delay.as_ref().map(Delay::to_element))
            .child(self.stanza.clone())
    }
}

/// Writes `<forwarded/>` around a stanza that stands alone (§3.2: it declares
/// its own namespace), as the archive keeps it, without looking into it.
pub fn write(out: &mut BytesMut, delay: Option<&Delay>, standalone: &[u8]) {
    out.put_slice(b"<forwarded xmlns='urn:xmpp:forward:0'>");
    if let Some(delay) = delay {
        delay.to_element().write(out, ns::FORWARD);
    }
    out.put_slice(standalone);
    out.put_slice(b"</forwarded>");
}

fn is_stanza(element: &Element) -> bool {
    matches!(element.ns(), ns::CLIENT | ns::SERVER)
        && matches!(element.name(), "message" | "presence" | "iq")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use bytes::BytesMut;

    use super::{Forwarded, write};
    use crate::element::Element;
    use crate::jid::Jid;
    use crate::payload::delay::Delay;
    use crate::time::UnixMillis;

    const INNER: &[u8] = b"<message xmlns='jabber:client' to='a@b'><body>&amp;</body></message>";

    /// XEP-0297 §3.1.
    #[test]
    fn what_is_wrapped_is_found_inside() {
        let delay = Delay::new(Jid::parse("b").unwrap(), UnixMillis(0));
        let mut out = BytesMut::new();
        write(&mut out, Some(&delay), INNER);
        let element = Element::parse(&out).unwrap();
        let forwarded = Forwarded::from_element(&element).unwrap();
        assert_eq!(forwarded.delay, Some(delay));
        assert_eq!(forwarded.stanza, Element::parse(INNER).unwrap());
        assert_eq!(forwarded.to_element(), element);
    }

    #[test]
    fn exactly_one_stanza_is_wrapped() {
        for content in [
            "",
            "<x xmlns='jabber:client'/>",
            "<message/>",
            "<message xmlns='jabber:client'/><iq xmlns='jabber:client'/>",
        ] {
            let xml = format!("<forwarded xmlns='urn:xmpp:forward:0'>{content}</forwarded>");
            let element = Element::parse(xml.as_bytes()).unwrap();
            assert_eq!(Forwarded::from_element(&element), None, "{xml}");
        }
    }
}
