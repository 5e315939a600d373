//! RFC 6120 §7: resource binding; and the session request of RFC 3921 §3,
//! which does nothing any more but which old clients wait for.

use std::sync::Arc;

use bytes::BytesMut;
use smol_str::SmolStr;
use starling_auth::Mechanism;
use starling_link::{self as link, Bind, BindError, Bound};
use starling_xmpp::{
    BareJid, Condition, Element, ErrorType, Jid, Kind, Stanza, StanzaError, Type, ns,
};

use crate::negotiation::{Ask, Negotiation, Next};

/// `<bind/>` (§7.3.1), after authentication.
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    let is_due = stream.is_authenticated();
    is_due.then(|| Element::new(ns::BIND, "bind"))
}

/// `<session/>`, marked as needless: clients of our time skip it.
pub(crate) fn offer_session(stream: &Negotiation) -> Option<Element> {
    let optional = Element::new(ns::SESSION, "optional");
    let is_due = stream.is_authenticated();
    is_due.then(|| Element::new(ns::SESSION, "session").child(optional))
}

/// Whether a feature is one of ours, which a bound stream is not offered.
pub(crate) fn is_feature(feature: &Element) -> bool {
    matches!(feature.ns(), ns::BIND | ns::SESSION)
}

/// Whether a client asks to bind.
pub(crate) fn is_request(stanza: &Stanza) -> bool {
    is_set(stanza) && stanza.has(ns::BIND, "bind")
}

/// The client asks (§7.6.1, §7.7.1).
pub(crate) fn begin(stream: &mut Negotiation, request: Stanza, out: &mut BytesMut) -> Next {
    let Some(identity) = stream.identity.clone() else {
        return stream.too_early(out);
    };
    let bind = request.payload(ns::BIND, "bind");
    let resource = bind.and_then(|bind| {
        let bind = bind.element();
        let text = bind.child_text(ns::BIND, "resource")?;
        (!text.is_empty()).then(|| SmolStr::new(text))
    });
    let outlet = stream.new_outlet();
    stream.outlet = Some(Arc::clone(&outlet));
    let ask = Ask::Bind(Bind {
        account: identity.account.clone(),
        resource,
        tag: None,
        basis: identity.basis,
        is_anonymous: identity.mechanism == Mechanism::Anonymous,
        conflict: stream.host.as_ref().map(|h| h.conflict).unwrap_or_default(),
        client: stream.client(&identity),
        management: None,
        inline: Vec::new(),
        outlet,
    });
    stream.ask_bind(request, ask)
}

/// The session node has answered.
pub(crate) fn end(
    stream: &mut Negotiation,
    request: &Stanza,
    bound: Result<Bound, BindError>,
    out: &mut BytesMut,
) -> Next {
    match bound {
        Ok(bound) => {
            let jid = Element::new(ns::BIND, "jid").text(bound.jid.as_str());
            let payload = Element::new(ns::BIND, "bind").child(jid);
            let account = bound.jid.to_bare();
            stream.framing.stanza(&request.result_with(&payload), out);
            match stream.established(account, bound) {
                Some(established) => Next::Bound(Box::new(established)),
                None => stream.too_early(out),
            }
        }
        Err(why) => {
            stream.outlet = None;
            if let Some(answer) = request.error(&refusal(&why)) {
                stream.framing.stanza(&answer, out);
            }
            Next::Read
        }
    }
}

/// The border from [`BindError`] to stanza errors.
fn refusal(why: &BindError) -> StanzaError {
    match why {
        // §7.7.2.1.
        BindError::BadResource => StanzaError::new(Condition::BadRequest),
        // §7.7.2.2.
        BindError::Conflict => StanzaError::new(Condition::Conflict),
        // §7.6.2.1.
        BindError::TooManySessions => StanzaError::new(Condition::ResourceConstraint)
            .text("the account has too many sessions"),
        // §7.6.2.2.
        BindError::NoAccount => StanzaError::new(Condition::NotAllowed),
        // The password was changed since: authenticate anew.
        BindError::Stale => StanzaError::new(Condition::NotAuthorized),
        BindError::Link(link::Error::Unavailable | link::Error::ShuttingDown) => {
            StanzaError::new(Condition::ResourceConstraint).text("try again in a moment")
        }
        BindError::Link(link::Error::Store(_) | link::Error::Stale | link::Error::NoAccount) => {
            StanzaError::new(Condition::InternalServerError).kind(ErrorType::Wait)
        }
    }
}

/// What a bound client may still ask of it, and the answer: binding twice is
/// an error (§7.1), a session is there already.
/// To anyone but the server it is a stanza like any other.
pub(crate) fn answer_when_bound(stanza: &Stanza, host: &BareJid) -> Option<Stanza> {
    let is_for_us = |to: &Jid| to.as_str() == host.as_str();
    if !is_set(stanza) || !stanza.head.to.as_ref().is_none_or(is_for_us) {
        return None;
    }
    let payload = stanza.first_payload()?;
    if payload.is(ns::BIND, "bind") {
        let refusal = StanzaError::new(Condition::NotAllowed).text("a resource is bound already");
        return stanza.error(&refusal);
    }
    payload.is(ns::SESSION, "session").then(|| stanza.result())
}

fn is_set(stanza: &Stanza) -> bool {
    stanza.head.kind == Kind::Iq && stanza.head.type_ == Type::Set
}
