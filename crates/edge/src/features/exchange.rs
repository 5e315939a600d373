//! What both SASL profiles say alike once a mechanism was chosen: RFC 6120
//! §6.4.3–6.4.4 and XEP-0388 §2.4 have the same elements in two namespaces.
//!
//! How an exchange begins and ends differs: that is in `sasl` and `sasl2`.

use bytes::BytesMut;
use starling_auth::{Condition, Profile, encoding};
use starling_xmpp::stream::StreamCondition;
use starling_xmpp::{Element, ns};

use crate::negotiation::{Attempt, Negotiation, Next};

/// `<challenge/>`.
pub(crate) fn challenge(profile: Profile, data: &[u8]) -> Element {
    Element::new(namespace(profile), "challenge").text(encoding::encode(data))
}

/// `<response/>` or `<abort/>`.
pub(crate) fn proceed(
    stream: &mut Negotiation,
    attempt: Attempt,
    nonza: &Element,
    out: &mut BytesMut,
) -> Next {
    let profile = attempt.profile;
    if nonza.is(namespace(profile), "response") {
        let data = encoding::response(profile, &nonza.text_content());
        return stream.respond(attempt, data.map(Some), out);
    }
    if nonza.is(namespace(profile), "abort") {
        return stream.deny(&attempt, Condition::Aborted.into(), out);
    }
    disturbed(profile, stream, out)
}

/// XEP-0388 §2.4: "Servers MUST disconnect Clients immediately if any other
/// traffic is received." In the other profile nothing else is allowed either, as
/// long as nobody is authenticated (RFC 6120 §4.9.3.12).
pub(crate) fn disturbed(profile: Profile, stream: &mut Negotiation, out: &mut BytesMut) -> Next {
    let condition = match profile {
        Profile::Sasl1 => StreamCondition::NotAuthorized,
        Profile::Sasl2 => StreamCondition::PolicyViolation,
    };
    stream.end(
        condition,
        "only SASL may be sent during authentication",
        out,
    )
}

const fn namespace(profile: Profile) -> &'static str {
    match profile {
        Profile::Sasl1 => ns::SASL,
        Profile::Sasl2 => ns::SASL2,
    }
}
