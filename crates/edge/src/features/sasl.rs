//! RFC 6120 §6: SASL.
//!
//! Only its elements. What mechanisms do is in `auth`, the course of an
//! attempt in `negotiation/attempt.rs`.

use bytes::BytesMut;
use starling_auth::{Condition, Failure, Policy, Profile, encoding};
use starling_xmpp::credentials::ScramHash;
use starling_xmpp::stream::StreamCondition;
use starling_xmpp::{Element, ns};

use crate::config::Auth;
use crate::features::sasl2;
use crate::hosts::Host;
use crate::negotiation::{Attempt, Negotiation, Next};

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

/// `<response/>` (§6.4.3) or `<abort/>` (§6.4.4).
pub(crate) fn proceed(
    stream: &mut Negotiation,
    attempt: Attempt,
    nonza: &Element,
    out: &mut BytesMut,
) -> Next {
    if nonza.is(ns::SASL, "response") {
        let data = encoding::response(Profile::Sasl1, &nonza.text_content());
        return stream.respond(attempt, data.map(Some), out);
    }
    if nonza.is(ns::SASL, "abort") {
        return stream.deny(&attempt, Condition::Aborted.into(), out);
    }
    let text = "only SASL may be sent during authentication";
    stream.end(StreamCondition::NotAuthorized, text, out)
}

pub(crate) fn challenge(data: &[u8]) -> Element {
    Element::new(ns::SASL, "challenge").text(encoding::encode(data))
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
