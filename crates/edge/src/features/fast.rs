//! XEP-0484: Fast Authentication Streamlining Tokens, version 0.2.0.
//!
//! Only its elements; the rules of tokens are in `auth::fast`. Early data is
//! not accepted, so `tls-0rtt` is not offered.

use smol_str::SmolStr;
use starling_auth::fast::{self, Change, Issued, Lifetime};
use starling_auth::{Context, Failure, Offer, Success};
use starling_link::CredentialChange;
use starling_xmpp::credentials::Credentials;
use starling_xmpp::{Element, UnixMillis, ns};

use super::sasl2;
use crate::config::Auth;

/// A token is replaced when so much of its life is over.
const ROTATE_AFTER_PART: i64 = 20;

/// `<fast/>` inside `<inline/>` (§3.1).
pub(crate) fn offer(offer: &Offer) -> Option<Element> {
    if offer.fast.is_empty() {
        return None;
    }
    let mechanism = |name: &str| Element::new(ns::FAST, "mechanism").text(name);
    let names = offer.fast.iter().map(|m| mechanism(m.as_str()));
    Some(Element::new(ns::FAST, "fast").with_children(names))
}

/// The mechanism of `<request-token/>` (§3.2).
pub(crate) fn requested(authenticate: &Element) -> Option<SmolStr> {
    let request = authenticate.get(ns::FAST, "request-token")?;
    request.attribute("mechanism").map(SmolStr::new)
}

/// `<fast/>` (§3.4) of the client with that id.
pub(crate) fn used(
    authenticate: &Element,
    user_agent_id: Option<&str>,
) -> Option<Result<fast::Request, Failure>> {
    let used = authenticate.get(ns::FAST, "fast")?;
    let count = used.attribute("count");
    let invalidate = used.attribute("invalidate");
    Some(fast::Request::new(user_agent_id, count, invalidate, false))
}

/// The token a client gets with its success, if any.
pub(crate) fn issue(
    request: &sasl2::Request,
    success: &Success,
    context: &Context,
    now: UnixMillis,
) -> Option<Issued> {
    let mechanism = fast::due(success, &context.offer, request.token.as_deref())?;
    // §4.1: a client without an id cannot have one.
    let device = request.user_agent_id.as_deref()?;
    Some(fast::issue(device, mechanism, &context.fast, now))
}

/// What has to be stored before the client hears of it.
pub(crate) fn changes(
    credentials: &Credentials,
    success: &Success,
    issued: Option<&Issued>,
    now: UnixMillis,
) -> Vec<CredentialChange> {
    let changes = fast::changes(credentials, success, issued, now);
    let change = |change| match change {
        Change::Put(token) => CredentialChange::PutToken(token),
        Change::Remove { device, slot } => CredentialChange::RemoveToken { device, slot },
    };
    changes.into_iter().map(change).collect()
}

/// `<token/>` inside `<success/>` (§3.3).
pub(crate) fn token(issued: &Issued) -> Element {
    Element::new(ns::FAST, "token")
        .attr("expiry", issued.record.expires_at.to_string())
        .attr("token", issued.token.as_str())
}

/// How long tokens live by the configuration.
pub(crate) fn lifetime(auth: &Auth) -> Lifetime {
    let ttl_ms = i64::try_from(auth.fast_token_lifetime.as_millis()).unwrap_or(i64::MAX);
    Lifetime {
        ttl_ms,
        rotate_after_ms: ttl_ms / ROTATE_AFTER_PART,
    }
}
