//! XEP-0440: SASL Channel-Binding Type Capability, version 1.0.0, complete.
//!
//! What TLS can prove is found in `tls/facts.rs`.

use starling_xmpp::{Element, ns};

use crate::negotiation::Negotiation;

/// `<sasl-channel-binding/>` (§2), beside the mechanisms.
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    let (sasl1, sasl2) = stream.contexts.as_ref()?;
    // Both lists come from one connection; either may lack -PLUS mechanisms.
    let offer = [&sasl2.offer, &sasl1.offer]
        .into_iter()
        .find(|offer| !offer.bindings.is_empty())?;
    let type_ =
        |name: &str| Element::new(ns::CHANNEL_BINDING, "channel-binding").attr("type", name);
    let types = offer.bindings.iter().map(|t| type_(t.as_str()));
    Some(Element::new(ns::CHANNEL_BINDING, "sasl-channel-binding").with_children(types))
}
