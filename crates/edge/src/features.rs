//! What is negotiated before a session exists, one extension a file, in the
//! order in which it is offered.

pub(crate) mod bind;
pub(crate) mod bind2;
pub(crate) mod channel_binding;
pub(crate) mod csi;
pub(crate) mod exchange;
pub(crate) mod fast;
pub(crate) mod limits;
pub(crate) mod ping;
pub(crate) mod register;
pub(crate) mod sasl;
pub(crate) mod sasl2;
pub(crate) mod sm;
pub(crate) mod starttls;

use starling_xmpp::Element;

use crate::negotiation::Negotiation;

/// How a feature says what it offers on this stream now.
type Offer = fn(&Negotiation) -> Option<Element>;

const OFFERS: &[Offer] = &[
    starttls::offer,
    sasl2::offer,
    sasl::offer,
    channel_binding::offer,
    register::offer,
    bind::offer,
    bind::offer_session,
    sm::offer,
    csi::offer,
    limits::offer,
];

/// The children of `<stream:features/>`.
pub(crate) fn offered(stream: &Negotiation) -> Vec<Element> {
    // RFC 6120 §5.3.1: while TLS is mandatory it stands alone.
    if stream.must_encrypt() {
        return starttls::offer(stream).into_iter().collect();
    }
    let mut features: Vec<_> = OFFERS.iter().filter_map(|offer| offer(stream)).collect();
    if let (true, Some(host)) = (stream.is_authenticated(), &stream.host) {
        features.extend(host.features.iter().cloned());
    }
    features
}
