//! Subscribing in so many words (XEP-0060 §6.1, §6.2), and asking what one is
//! subscribed to (§5.6) and affiliated with (§5.7).
//!
//! Whoever sees the account's presence needs none of it (XEP-0163 §4.1): this is
//! for open nodes, and for clients without capabilities.

use starling_session::Ctx;
use starling_xmpp::{Condition, Element, Jid, StanzaError, ns};

use super::nodes::{self, Entry};
use super::{access, error, last, manage};

/// Subscribers that one node may have.
const SUBSCRIBERS_MAX: usize = 1_000;

/// Answers `<subscribe/>`.
pub(super) async fn subscribe(
    ctx: &mut Ctx,
    asked: &Element,
    who: &Jid,
) -> Result<Option<Element>, StanzaError> {
    let name = manage::name_of(asked)?;
    let jid = subscriber(asked, who)?;
    nodes::load(ctx).await?;
    let mut entry = access::readable(ctx, &name, who)?;
    if entry.node.subscribers.insert(jid.clone()) {
        if entry.node.subscribers.len() > SUBSCRIBERS_MAX {
            return Err(error::of(
                Condition::PolicyViolation,
                "too-many-subscriptions",
            ));
        }
        let is_sent = entry.settings.is_last_sent_to_new;
        nodes::put(ctx, entry);
        if is_sent {
            last::send(ctx, &name, &jid).await?;
        }
    }
    let subscription = subscription(&name, &jid);
    Ok(Some(Element::new(ns::PUBSUB, "pubsub").child(subscription)))
}

/// §6.1.3.1: nobody subscribes somebody else.
fn subscriber(asked: &Element, who: &Jid) -> Result<Jid, StanzaError> {
    let jid = asked.attribute("jid").map(Jid::parse);
    match jid {
        Some(Ok(jid)) if jid == *who || *jid.as_str() == *who.bare_str() => Ok(jid),
        _ => Err(error::of(Condition::BadRequest, "invalid-jid")),
    }
}

/// Answers `<unsubscribe/>`.
pub(super) async fn unsubscribe(
    ctx: &mut Ctx,
    asked: &Element,
    who: &Jid,
) -> Result<Option<Element>, StanzaError> {
    let name = manage::name_of(asked)?;
    let jid = subscriber(asked, who)?;
    nodes::load(ctx).await?;
    // Also of a node that he may not read any more.
    let entry = nodes::get(ctx, &name).cloned();
    let subscribed = entry.filter(|entry| entry.node.subscribers.contains(&jid));
    let Some(mut entry) = subscribed else {
        access::readable(ctx, &name, who)?;
        // §6.2.3.2.
        return Err(error::of(Condition::UnexpectedRequest, "not-subscribed"));
    };
    entry.node.subscribers.remove(&jid);
    nodes::put(ctx, entry);
    Ok(None)
}

/// Answers `<subscriptions/>`: those of whoever asks.
pub(super) async fn subscriptions(
    ctx: &mut Ctx,
    asked: &Element,
    who: &Jid,
) -> Result<Option<Element>, StanzaError> {
    nodes::load(ctx).await?;
    let of = |entry: &Entry| {
        let name = entry.node.name.clone();
        let subscribers = entry.node.subscribers.iter();
        let own = subscribers.filter(|jid| jid.is_same_bare(who));
        own.map(|jid| subscription(&name, jid)).collect::<Vec<_>>()
    };
    let list = list(ctx, asked, who, "subscriptions", of)?;
    Ok(Some(list))
}

/// Answers `<affiliations/>`: those of whoever asks.
pub(super) async fn affiliations(
    ctx: &mut Ctx,
    asked: &Element,
    who: &Jid,
) -> Result<Option<Element>, StanzaError> {
    nodes::load(ctx).await?;
    let (is_own, bare) = (ctx.account.is_self(who), Jid::from(who.to_bare()));
    let of = |entry: &Entry| {
        let affiliation = entry.node.affiliations.get(&bare);
        let affiliation = affiliation.map(|is| manage::name_of_affiliation(*is));
        let affiliation = if is_own { Some("owner") } else { affiliation };
        let element = |affiliation| {
            Element::new(ns::PUBSUB, "affiliation")
                .attr("node", entry.node.name.as_str())
                .attr("affiliation", affiliation)
        };
        affiliation.map(element).into_iter().collect::<Vec<_>>()
    };
    let list = list(ctx, asked, who, "affiliations", of)?;
    Ok(Some(list))
}

fn list(
    ctx: &Ctx,
    asked: &Element,
    who: &Jid,
    what: &str,
    of: impl Fn(&Entry) -> Vec<Element>,
) -> Result<Element, StanzaError> {
    let node = asked.attribute("node");
    let found: Vec<Element> = nodes::all(ctx)
        .filter(|entry| node.is_none_or(|node| node == entry.node.name))
        .flat_map(of)
        .collect();
    if found.is_empty() && !ctx.account.is_seen_by(who) {
        return Err(error::stranger());
    }
    let list = Element::new(ns::PUBSUB, what).attr_if("node", node);
    Ok(Element::new(ns::PUBSUB, "pubsub").child(list.with_children(found)))
}

fn subscription(node: &str, jid: &Jid) -> Element {
    Element::new(ns::PUBSUB, "subscription")
        .attr("node", node)
        .attr("jid", jid.as_str())
        .attr("subscription", "subscribed")
}
