//! XEP-0386: Bind 2, version 1.1.0.
//!
//! Binding and its answer. Stream management is turned on with it here; what
//! else a client may ask for (carbons, client state) the session node does, and
//! announces through [`crate::Host::inline`].

use std::sync::Arc;

use smol_str::SmolStr;
use starling_auth::Mechanism;
use starling_link::{Bind, Bound, Enable};
use starling_xmpp::{Element, ns};

use super::{sasl2, sm};
use crate::negotiation::{Ask, Identity, Negotiation};
use crate::outlet::ClientOutlet;

/// The longest tag that becomes part of a resource.
const TAG_BYTES_MAX: usize = 128;

/// `<bind/>` of the client (§3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) tag: Option<SmolStr>,
    /// XEP-0198 §9.1.
    enable: Option<Enable>,
    /// What else is to be turned on, behind a mark that this is Bind 2.
    inline: Vec<Element>,
}

impl Request {
    pub(crate) fn read(authenticate: &Element) -> Option<Self> {
        let bind = authenticate.get(ns::BIND2, "bind")?;
        let tag = bind.child_text(ns::BIND2, "tag");
        let is_kept = |tag: &str| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX;
        let others = bind
            .children()
            .filter(|child| !matches!(child.ns(), ns::BIND2 | ns::SM));
        Some(Self {
            tag: tag.filter(|tag| is_kept(tag)).map(SmolStr::new),
            enable: bind.get(ns::SM, "enable").map(sm::enable),
            inline: std::iter::once(Element::new(ns::BIND2, "bind"))
                .chain(others.cloned())
                .collect(),
        })
    }
}

/// `<bind/>` inside `<inline/>` (§3.1).
pub(crate) fn offer(stream: &Negotiation) -> Element {
    let host = stream.host.as_ref();
    let others = host.into_iter().flat_map(|host| &host.inline);
    let features = std::iter::once(ns::SM).chain(others.map(String::as_str));
    let feature = |var| Element::new(ns::BIND2, "feature").attr("var", var);
    let inline = Element::new(ns::BIND2, "inline").with_children(features.map(feature));
    Element::new(ns::BIND2, "bind").child(inline)
}

/// The request to the session node.
pub(crate) fn ask(
    stream: &Negotiation,
    identity: Identity,
    request: &sasl2::Request,
    outlet: Arc<ClientOutlet>,
) -> Ask {
    let bind = request.bind.as_ref();
    Ask::Bind(Bind {
        resource: None,
        tag: bind.and_then(|bind| bind.tag.clone()),
        is_anonymous: identity.mechanism == Mechanism::Anonymous,
        conflict: stream.host.as_ref().map(|h| h.conflict).unwrap_or_default(),
        client: stream.client(&identity),
        management: bind.and_then(|bind| bind.enable),
        inline: bind.map(|bind| bind.inline.clone()).unwrap_or_default(),
        outlet,
        account: identity.account,
        basis: identity.basis,
    })
}

/// `<bound/>` (§3.2.2).
pub(crate) fn bound(bound: &Bound) -> Element {
    Element::new(ns::BIND2, "bound")
        .with_children(bound.management.as_ref().map(sm::enabled))
        .with_children(bound.inline.iter().cloned())
}
