//! XEP-0386: Bind 2, version 1.1.0.
//!
//! Binding and its answer. What a client may ask to have turned on with it
//! (stream management, carbons, client state) is listed in [`INLINE`] as those
//! come to be. Offline messages are delivered as ever, because there is no
//! archive yet to find them in.

use std::sync::Arc;

use smol_str::SmolStr;
use starling_auth::{Mechanism, Success};
use starling_link::{Bind, Bound};
use starling_xmpp::{Element, ns};

use crate::negotiation::{Ask, Attempt, Identity, Negotiation};
use crate::outlet::ClientOutlet;

/// The longest tag that becomes part of a resource.
const TAG_BYTES_MAX: usize = 128;

/// The features that may be requested inside `<bind/>` (§3.1).
const INLINE: &[&str] = &[];

/// `<bind/>` of the client (§3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) tag: Option<SmolStr>,
}

impl Request {
    pub(crate) fn read(authenticate: &Element) -> Option<Self> {
        let bind = authenticate.get(ns::BIND2, "bind")?;
        let tag = bind.child_text(ns::BIND2, "tag");
        let is_kept = |tag: &str| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX;
        Some(Self {
            tag: tag.filter(|tag| is_kept(tag)).map(SmolStr::new),
        })
    }
}

/// `<bind/>` inside `<inline/>` (§3.1).
pub(crate) fn offer() -> Element {
    let mut bind = Element::new(ns::BIND2, "bind");
    if !INLINE.is_empty() {
        let feature = |var: &&str| Element::new(ns::BIND2, "feature").attr("var", *var);
        let features = INLINE.iter().map(feature);
        bind.push(Element::new(ns::BIND2, "inline").with_children(features));
    }
    bind
}

/// The request to the session node.
pub(crate) fn ask(
    stream: &Negotiation,
    success: &Success,
    attempt: &Attempt,
    outlet: Arc<ClientOutlet>,
) -> Ask {
    let request = &attempt.request;
    let identity = Identity {
        account: success.account.clone(),
        mechanism: success.mechanism,
        user_agent_id: request.user_agent_id.clone(),
        software: request.software.clone(),
        basis: attempt.basis,
    };
    Ask::Bind(Bind {
        account: success.account.clone(),
        resource: None,
        tag: request.bind.as_ref().and_then(|bind| bind.tag.clone()),
        basis: attempt.basis,
        is_anonymous: success.mechanism == Mechanism::Anonymous,
        conflict: stream.host.as_ref().map(|h| h.conflict).unwrap_or_default(),
        client: stream.client(&identity),
        outlet,
    })
}

/// `<bound/>` (§3.2.2).
pub(crate) fn bound(_: &Bound) -> Element {
    Element::new(ns::BIND2, "bound")
}
