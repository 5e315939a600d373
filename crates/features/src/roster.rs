//! RFC 6121 §2: the roster as a client gets, changes and follows it.
//!
//! What an item means is checked in `roster/item.rs`. Pushes and the durable
//! change are the engine's, which changes rosters itself when a subscription
//! changes; so are subscriptions (§3) and presence (§4).

mod item;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_session::{presence, roster};
use starling_store::roster::Item;
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, Type, ns};

use item::Wanted;

const MANIFEST: Manifest = Manifest {
    spec: Spec::Rfc(6121),
    version: "",
    disco: &[],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::ROSTER, "query"),
    Hook::iq_set(To::Account, ns::ROSTER, "query"),
];

/// Pushes that bring an old version up to date. With more of them the whole
/// roster is the shorter answer (§2.6.3 leaves the choice to the server).
const PUSHES_MAX: usize = 100;

pub(crate) struct Roster;

impl Feature for Roster {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(std::future::ready(answer(iq, ctx)))
    }
}

fn answer(iq: &Stanza, ctx: &mut Ctx) -> Outcome {
    let Some(query) = iq.first_payload().map(|payload| payload.element()) else {
        return Outcome::Pass;
    };
    if ctx.session().is_none() {
        // §2.3.3: nobody reads or changes somebody else's roster.
        return Outcome::Reject(StanzaError::new(Condition::Forbidden));
    }
    if iq.head.type_ == Type::Get {
        get(iq, &query, ctx);
        return Outcome::Done;
    }
    match item::read(&query) {
        Ok((jid, wanted)) => set(iq, jid, wanted, ctx),
        Err(error) => Outcome::Reject(error),
    }
}

/// §2.2, §2.6.2: all of it, or what has changed since the client's version.
/// From now on the session is interested in changes (§2.1.6).
fn get(iq: &Stanza, query: &Element, ctx: &mut Ctx) {
    let Some(session) = ctx.session_mut() else {
        return;
    };
    session.is_interested = true;
    let id = session.id;
    let known = query.attribute("ver");
    let contacts = &ctx.account.roster;
    let pushes: Option<Vec<Element>> = known
        .and_then(|ver| ver.parse().ok())
        .and_then(|version| contacts.since(version))
        .filter(|pushes| pushes.len() <= PUSHES_MAX)
        .map(|pushes| pushes.iter().map(roster::push_element).collect());
    match pushes {
        Some(pushes) => {
            ctx.send(iq.result());
            for push in pushes {
                roster::push_to(ctx, id, &push);
            }
        }
        None => {
            let version = known.map(|_| contacts.version.to_string());
            let whole = Element::new(ns::ROSTER, "query")
                .attr_if("ver", version)
                .with_children(contacts.listed().map(roster::item_element));
            ctx.send(iq.result_with(&whole));
        }
    }
}

/// §2.3, §2.4, §2.5: one item is put or removed. The result comes first, then
/// what follows from it.
fn set(iq: &Stanza, jid: Jid, wanted: Wanted, ctx: &mut Ctx) -> Outcome {
    if ctx.account.is_self(&jid) {
        // Everybody sees his own resources without an item.
        let error = StanzaError::new(Condition::NotAllowed);
        return Outcome::Reject(error.text("your own address cannot be in your roster"));
    }
    let old = ctx.account.roster.items.get(&jid).cloned();
    let was_listed = old.as_ref().is_some_and(|item| item.is_listed);
    match wanted {
        Wanted::Removed if !was_listed => {
            return Outcome::Reject(StanzaError::new(Condition::ItemNotFound));
        }
        Wanted::Removed => {
            ctx.send(iq.result());
            if let Some(old) = old {
                presence::contact_removed(ctx, &old);
            }
            roster::remove(ctx, &jid);
        }
        Wanted::Put { name, groups } => {
            let items_max = ctx.env().config.roster_items_max;
            if !was_listed && ctx.account.roster.listed().count() >= items_max {
                let error = StanzaError::new(Condition::ResourceConstraint);
                return Outcome::Reject(error.text(format!("a roster has at most {items_max}")));
            }
            ctx.send(iq.result());
            // §2.4.1: name and groups are replaced, subscriptions are not.
            let old = old.unwrap_or_else(|| Item::new(jid));
            let item = Item {
                name,
                groups,
                ..old
            };
            roster::put(ctx, item);
        }
    }
    Outcome::Done
}
