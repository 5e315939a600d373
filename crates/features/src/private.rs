//! XEP-0049: Private XML Storage, version 1.2, complete.
//!
//! What is stored belongs to the clients; here it is bytes under a name.

use std::collections::BTreeMap;

use bytes::Bytes;
use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_store::account;
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

/// Elements that one account may keep. Clients have a few each; every one may
/// be as large as a stanza.
const ELEMENTS_MAX: usize = 200;

/// The account attribute that counts them.
const COUNT: &str = "private.elements";

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
                starling_xmpp::Type::Set => put(&query, ctx).await.map(|()| iq.result()),
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

/// §2.3: one or more elements, each in a namespace of its own.
async fn put(query: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    crate::check_stored(ctx)?;
    if query.children().next().is_none() {
        // §2.3: not `bad-request`.
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("a private query holds the element to store"));
    }
    let mut elements = BTreeMap::new();
    for element in query.children() {
        if element.ns() == ns::PRIVATE || element.ns().is_empty() {
            return Err(StanzaError::new(Condition::NotAcceptable)
                .text("a private element has a namespace of its own"));
        }
        let key = Key::new(element.ns(), element.name());
        elements.insert(key, element.to_bytes());
    }
    count(&elements, ctx).await?;
    for (key, element) in elements {
        ctx.write(Change::Put { key, element });
    }
    Ok(())
}

/// Counts what is new, and refuses what would be too much.
async fn count(elements: &BTreeMap<Key, Bytes>, ctx: &mut Ctx) -> Result<(), StanzaError> {
    let owner = ctx.account.jid.clone();
    let store = ctx.store().await;
    let kept = ctx.account.attributes.get(COUNT);
    let before: usize = kept.and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut after = before;
    for key in elements.keys() {
        let stored = store.private_xml(&owner, key).await;
        let stored = stored.map_err(|error| crate::unreadable(&owner, &error))?;
        after += usize::from(stored.is_none());
    }
    if after > ELEMENTS_MAX {
        return Err(
            StanzaError::new(Condition::ResourceConstraint).text(format!(
                "an account has at most {ELEMENTS_MAX} private elements"
            )),
        );
    }
    if after != before {
        let value = after.to_string();
        let attributes = &mut ctx.account.attributes;
        attributes.insert(COUNT.into(), value.clone());
        ctx.write(account::Change::SetAttribute {
            name: COUNT.into(),
            value: Some(value),
        });
    }
    Ok(())
}

/// §2.3: what was never stored is answered as it was asked: empty.
async fn get(query: &Element, ctx: &Ctx) -> Result<Element, StanzaError> {
    let mut children = query.children();
    let (Some(wanted), None) = (children.next(), children.next()) else {
        return Err(StanzaError::new(Condition::NotAcceptable)
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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use crate::testing::{check, check_from_romeo, juliet, nobody};

    fn iq(type_: &str, inside: &str) -> String {
        format!("<iq type='{type_}' id='1'><query xmlns='jabber:iq:private'>{inside}</query></iq>")
    }

    /// XEP-0049 §2.3: examples 1 and 2; what was never stored is empty.
    #[test]
    fn what_is_stored_comes_back() {
        let mut scene = juliet();
        let asked = "<exodus xmlns='exodus:prefs'/>";
        let empty = format!("<query xmlns='jabber:iq:private'>{asked}</query>");
        check(&mut scene, &iq("get", asked), &empty);
        let stored = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>";
        check(
            &mut scene,
            &iq("set", stored),
            "<iq type='result' id='1' to='juliet@example.com/balcony'/>",
        );
        check(&mut scene, &iq("get", asked), stored);
        let other = "<exodus xmlns='exodus:other'/>";
        check(&mut scene, &iq("get", other), other);
    }

    /// XEP-0049 §2.3: a set may have several elements.
    #[test]
    fn several_elements_are_stored_under_their_names() {
        let mut scene = juliet();
        check(
            &mut scene,
            &iq("set", "<a xmlns='urn:x'>1</a><b xmlns='urn:x'>2</b>"),
            "type='result'",
        );
        check(
            &mut scene,
            &iq("get", "<a xmlns='urn:x'/>"),
            "<a xmlns='urn:x'>1</a>",
        );
        check(
            &mut scene,
            &iq("get", "<b xmlns='urn:x'/>"),
            "<b xmlns='urn:x'>2</b>",
        );
    }

    /// XEP-0049 §2.3: the error is `not-acceptable`.
    #[test]
    fn nothing_and_too_much_are_not_acceptable() {
        let mut scene = juliet();
        for wrong in [
            iq("set", ""),
            iq("get", ""),
            iq("get", "<a xmlns='urn:x'/><b xmlns='urn:x'/>"),
            iq("set", "<a/>"),
            iq("set", "<a xmlns='urn:x'/><b/>"),
        ] {
            check(&mut scene, &wrong, "<not-acceptable ");
        }
        assert!(scene.written.is_empty(), "nothing of a wrong set is stored");
    }

    /// XEP-0049 §2.3: "Service Unavailable", as for an account that is not there.
    #[test]
    fn what_belongs_to_another_user_is_unavailable() {
        for type_ in ["get", "set"] {
            let from_romeo = iq(type_, "<a xmlns='urn:x'/>").replace(
                "id='1'",
                "id='1' to='juliet@example.com' from='romeo@example.net/a'",
            );
            check_from_romeo(&mut juliet(), &from_romeo, "<service-unavailable ");
        }
    }

    #[test]
    fn an_anonymous_account_is_not_told_that_something_is_stored() {
        check(
            &mut nobody(),
            &iq("set", "<a xmlns='urn:x'/>"),
            "<not-allowed ",
        );
    }

    #[test]
    fn an_account_keeps_a_bounded_number_of_elements() {
        let mut scene = juliet();
        for number in 0..super::ELEMENTS_MAX {
            let element = format!("<a{number} xmlns='urn:x'/>");
            check(&mut scene, &iq("set", &element), "type='result'");
        }
        check(
            &mut scene,
            &iq("set", "<b xmlns='urn:x'/>"),
            "<resource-constraint ",
        );
        check(
            &mut scene,
            &iq("set", "<a0 xmlns='urn:x'>new</a0>"),
            "type='result'",
        );
        scene.reload();
        check(
            &mut scene,
            &iq("set", "<b xmlns='urn:x'/>"),
            "<resource-constraint ",
        );
    }
}
