//! XEP-0352: Client State Indication, version 1.0.0: the stream feature. What a
//! client says is passed on by the connection; what it means is said by the
//! feature of the session node.

use starling_xmpp::{Element, ns};

use crate::negotiation::Negotiation;

/// `<csi/>`, once the client has authenticated (§4.1).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    stream
        .is_authenticated()
        .then(|| Element::new(ns::CSI, "csi"))
}
