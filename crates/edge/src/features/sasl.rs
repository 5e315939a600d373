//! RFC 6120 §6: SASL.
//!
//! Only its elements. What mechanisms do is in `auth`, the course of an
//! attempt in `negotiation/attempt.rs`, what is said between beginning and end
//! in `exchange`.

use bytes::BytesMut;
use starling_auth::{Failure, Policy, Profile, encoding};
use starling_xmpp::credentials::ScramHash;
use starling_xmpp::{Element, ns};

use crate::config::Auth;
use crate::features::sasl2;
use crate::hosts::Host;
use crate::negotiation::{Negotiation, Next};

/// `<mechanisms/>` (§6.4.1).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    let (sasl1, _) = stream.contexts.as_ref()?;
    let mechanisms = &sasl1.offer.mechanisms;
    if mechanisms.is_empty() {
        return None;
    }
    let mechanism = |name: &str| Element::new(ns::SASL, "mechanism").text(name);
    let names = mechanisms.iter().map(|m| mechanism(m.as_str()));
    Some(Element::new(ns::SASL, "mechanisms").with_children(names))
}

/// What the host and the edge allow together.
pub(crate) fn policy(auth: &Auth, host: &Host) -> Policy {
    Policy {
        has_plain: auth.plain,
        has_external: true,
        has_anonymous: host.is_anonymous_allowed,
        has_fast: auth.fast,
        has_downgrade_hash: auth.downgrade_protection,
        // Not only what is offered: a hash can be offered once accounts have it.
        upgrades: ScramHash::ALL.to_vec(),
        scram: auth.scram.iter().copied().map(ScramHash::from).collect(),
    }
}

/// `<auth/>` (§6.4.2).
pub(crate) fn begin(stream: &mut Negotiation, auth: &Element, out: &mut BytesMut) -> Next {
    let mechanism = auth.attribute("mechanism").unwrap_or_default();
    let data = encoding::initial(Profile::Sasl1, Some(&auth.text_content()));
    let request = sasl2::Request::default();
    stream.attempt(Profile::Sasl1, mechanism, data, request, out)
}

/// `<success/>` (§6.4.6); data of no bytes are `=`.
pub(crate) fn success(data: Option<&[u8]>) -> Element {
    let success = Element::new(ns::SASL, "success");
    match data {
        None => success,
        Some([]) => success.text("="),
        Some(data) => success.text(encoding::encode(data)),
    }
}

/// `<failure/>` (§6.4.5).
pub(crate) fn failure(failure: &Failure) -> Element {
    let condition = Element::new(ns::SASL, failure.condition.as_str());
    let mut element = Element::new(ns::SASL, "failure").child(condition);
    if let Some(text) = failure.text {
        element.push(Element::new(ns::SASL, "text").lang("en").text(text));
    }
    element
}
