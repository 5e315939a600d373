//! XEP-0049: Private XML Storage, version 1.2, complete.
//!
//! What is stored belongs to the clients; here it is bytes under a name.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_store::private_xml::{Change, Key};
use starling_xmpp::{Condition, Element, Stanza, StanzaError, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(49),
    version: "1.2",
    disco: &[],
    disco_account: &[ns::PRIVATE],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Own, ns::PRIVATE, "query"),
    Hook::iq_set(To::Own, ns::PRIVATE, "query"),
];

pub(crate) struct Private;

impl Feature for Private {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Some(query) = iq.first_payload().map(|payload| payload.element()) else {
                return Outcome::Reject(StanzaError::new(Condition::BadRequest));
            };
            let answered = match iq.head.type_ {
                starling_xmpp::Type::Set => put(&query, ctx).map(|()| iq.result()),
                _ => get(&query, ctx).await.map(|found| iq.result_with(&found)),
            };
            match answered {
                Ok(answer) => {
                    ctx.send(answer);
                    Outcome::Done
                }
                Err(error) => Outcome::Reject(error),
            }
        })
    }
}

/// §2: one or more elements, each in a namespace of its own.
fn put(query: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    let mut elements = query.children().peekable();
    if elements.peek().is_none() {
        return Err(StanzaError::new(Condition::BadRequest)
            .text("a private query holds the element to store"));
    }
    for element in query.children() {
        if element.ns() == ns::PRIVATE || element.ns().is_empty() {
            return Err(StanzaError::new(Condition::BadRequest)
                .text("a private element has a namespace of its own"));
        }
    }
    for element in elements {
        let key = Key::new(element.ns(), element.name());
        ctx.write(Change::Put {
            key,
            element: element.to_bytes(),
        });
    }
    Ok(())
}

/// §2.3: what was never stored is answered as it was asked: empty.
async fn get(query: &Element, ctx: &Ctx) -> Result<Element, StanzaError> {
    let mut children = query.children();
    let (Some(wanted), None) = (children.next(), children.next()) else {
        return Err(StanzaError::new(Condition::BadRequest)
            .text("a private query asks for exactly one element"));
    };
    let key = Key::new(wanted.ns(), wanted.name());
    let owner = ctx.account.jid.clone();
    let stored = ctx.store().await.private_xml(&owner, &key).await;
    let stored = stored.map_err(|error| crate::unreadable(&owner, &error))?;
    let element = stored
        .and_then(|bytes| Element::parse(&bytes).ok())
        .unwrap_or_else(|| Element::new(wanted.ns(), wanted.name()));
    Ok(Element::new(ns::PRIVATE, "query").child(element))
}
