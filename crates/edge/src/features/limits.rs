//! XEP-0478: Stream Limits Advertisement, version 0.2.0, complete.
//!
//! The limits are kept by the decoder and by `connection.rs`.

use starling_xmpp::{Element, ns};

use crate::negotiation::Negotiation;

/// `<limits/>` (§3.1): they grow with authentication (§4).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    let config = &stream.settings.config;
    let max = if stream.is_authenticated() {
        config.limits.stanza_bytes_max
    } else {
        config.limits.unauthenticated_bytes_max
    };
    let idle = config.keepalive.ping_after.as_secs();
    let child = |name: &str, value: String| Element::new(ns::STREAM_LIMITS, name).text(value);
    Some(
        Element::new(ns::STREAM_LIMITS, "limits")
            .child(child("max-bytes", max.to_string()))
            .child(child("idle-seconds", idle.to_string())),
    )
}
