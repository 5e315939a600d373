//! The errors of XEP-0060 that say more than a condition does.

use starling_xmpp::{Condition, Element, StanzaError, ns};

/// An error with what XEP-0060 adds to it.
pub(super) fn of(condition: Condition, more: &str) -> StanzaError {
    StanzaError::new(condition).app(Element::new(ns::PUBSUB_ERRORS, more))
}

/// What is not done here, by the name of its feature (XEP-0060 §10).
pub(super) fn unsupported(feature: &str) -> StanzaError {
    let unsupported = Element::new(ns::PUBSUB_ERRORS, "unsupported").attr("feature", feature);
    StanzaError::new(Condition::FeatureNotImplemented).app(unsupported)
}

/// There is no such node, or no such item.
pub(super) fn not_found() -> StanzaError {
    StanzaError::new(Condition::ItemNotFound)
}

/// What somebody is told whom the account does not know, whatever he asks for
/// that is not open: the node is not for him, or not there, or nobody is.
pub(super) fn stranger() -> StanzaError {
    of(Condition::NotAuthorized, "presence-subscription-required")
}

/// The request names no node.
pub(super) fn nodeless() -> StanzaError {
    of(Condition::BadRequest, "nodeid-required")
}
