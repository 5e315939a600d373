//! RFC 6120 §5: STARTTLS.
//!
//! The handshake itself is the driver's, which also drops every byte that came
//! before it (§5.3.2, §5.4.3.3; PROTOCOL B.1 3).

use std::sync::Arc;

use bytes::BytesMut;
use starling_xmpp::stream::StreamCondition;
use starling_xmpp::{Element, ns};

use crate::negotiation::{Negotiation, Next};

/// `<starttls/>`, once at most (§5.3.4), and never over TLS (XEP-0368 §2 rule 5).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    if stream.tls.is_some() || stream.is_authenticated() {
        return None;
    }
    let mut starttls = Element::new(ns::TLS, "starttls");
    if stream.must_encrypt() {
        starttls.push(Element::new(ns::TLS, "required"));
    }
    Some(starttls)
}

/// The client wants it.
pub(crate) fn begin(stream: &mut Negotiation, out: &mut BytesMut) -> Next {
    let (None, Some(host)) = (&stream.tls, &stream.host) else {
        // §5.4.2.2: failure ends the stream.
        let failure = Element::new(ns::TLS, "failure");
        stream.framing.nonza(&failure, out);
        let text = "TLS is in place already";
        return stream.end(StreamCondition::UnsupportedStanzaType, text, out);
    };
    let host = Arc::clone(host);
    stream.framing.nonza(&Element::new(ns::TLS, "proceed"), out);
    stream.secure(host)
}
