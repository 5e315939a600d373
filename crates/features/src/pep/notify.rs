//! Who hears of an event at a node, and how (XEP-0163 §4.3).
//!
//! Every client whose capabilities say `node+notify` (XEP-0060 §9.2): the
//! account's own, and those of contacts who see its presence; then those who
//! subscribed in so many words. Nobody who is blocked, and nobody who may not
//! read the node. The name of the publishing resource (XEP-0033) is left out.

use std::collections::HashSet;

use starling_session::{Ctx, SessionId};
use starling_store::pep::Item;
use starling_xmpp::payload::delay::Delay;
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Element, Jid, Stanza, Type, ns};

use super::access;
use super::nodes::{self, Entry};
use crate::caps::{Capabilities, others};

/// What a client adds to the name of a node whose events it wants.
const NOTIFY: &str = "+notify";

/// The nodes that a client wants to hear of.
pub(super) fn wanted(info: &Info) -> impl Iterator<Item = &str> {
    let features = info.features.iter();
    features.filter_map(|feature| feature.strip_suffix(NOTIFY))
}

fn wants(info: &Info, node: &str) -> bool {
    wanted(info).any(|wanted| wanted == node)
}

/// Tells of an event: what goes into `<event/>`. Who subscribed and may not
/// read the node any more is not subscribed any more (XEP-0163 §7.1).
pub(super) fn tell(ctx: &mut Ctx, node: &str, event: &Element) {
    let Some(entry) = nodes::get(ctx, node).cloned() else {
        return;
    };
    if entry.settings.has_notifications {
        others::look_around(ctx);
        let message = message(ctx, event);
        let told = tell_clients(ctx, &entry, &message);
        tell_subscribers(ctx, &entry, &told, &message);
    }
    let account = &ctx.account;
    let may_read = |who: &Jid| access::check(account, &entry, who).is_ok();
    if !entry.node.subscribers.iter().all(may_read) {
        let mut after = entry.clone();
        after.node.subscribers.retain(|who| may_read(who));
        nodes::put(ctx, after);
    }
}

/// Those whose capabilities ask for it; returns whom of others.
fn tell_clients(ctx: &mut Ctx, entry: &Entry, message: &Stanza) -> Vec<Jid> {
    let node = entry.node.name.as_str();
    let own = ctx.account.available().filter(|session| {
        let known = session.slots.get::<Capabilities>();
        known.is_some_and(|known| wants(&known.0, node))
    });
    let own: Vec<(SessionId, Jid)> = own.map(|found| (found.id, found.jid.clone())).collect();
    for (session, jid) in own {
        ctx.deliver(session, message.clone().to(jid));
    }
    let account = &ctx.account;
    let clients = others::known(account).filter(|(jid, info)| {
        wants(info, node) && is_subscribed(ctx, jid) && access::check(account, entry, jid).is_ok()
    });
    let mut clients: Vec<Jid> = clients.map(|(jid, _)| jid.clone()).collect();
    clients.sort_unstable();
    for client in &clients {
        ctx.send(message.clone().to(client.clone()));
    }
    clients
}

/// XEP-0163 §4.3.2: a full JID gets one; a bare one gets one unless clients of
/// it were told.
fn tell_subscribers(ctx: &mut Ctx, entry: &Entry, told: &[Jid], message: &Stanza) {
    let bare: HashSet<&str> = told.iter().map(Jid::bare_str).collect();
    for who in &entry.node.subscribers {
        let is_told = told.contains(who) || who.is_bare() && bare.contains(who.as_str());
        if !is_told
            && !ctx.account.has_blocked(who)
            && access::check(&ctx.account, entry, who).is_ok()
        {
            ctx.send(message.clone().to(who.clone()));
        }
    }
}

/// XEP-0060 §9.1: who sees the account's presence is subscribed.
pub(super) fn is_subscribed(ctx: &Ctx, who: &Jid) -> bool {
    ctx.account.is_seen_by(who) && !ctx.account.has_blocked(who)
}

/// An item as it was published last, for somebody who has just come.
pub(super) fn send_last(ctx: &mut Ctx, entry: &Entry, item: &Item, to: &Jid) {
    let event = published(entry, item);
    let mut message = message(ctx, &event).to(to.clone());
    message.push(&Delay::new(ctx.account.jid.clone(), item.at).to_element());
    let own = ctx.account.session_by_jid(to).map(|session| session.id);
    match own {
        Some(session) => ctx.deliver(session, message),
        None => ctx.send(message),
    }
}

/// `<items/>` with one that was published.
pub(super) fn published(entry: &Entry, item: &Item) -> Element {
    let payload = entry.settings.has_payloads.then(|| payload(item)).flatten();
    let item = Element::new(ns::PUBSUB_EVENT, "item")
        .attr("id", item.id.as_str())
        .with_children(payload);
    Element::new(ns::PUBSUB_EVENT, "items")
        .attr("node", entry.node.name.as_str())
        .child(item)
}

/// What was published, if it was anything.
pub(super) fn payload(item: &Item) -> Option<Element> {
    Element::parse(&item.payload).ok()
}

fn message(ctx: &Ctx, event: &Element) -> Stanza {
    let event = Element::new(ns::PUBSUB_EVENT, "event").child(event.clone());
    // XEP-0163 §4.3.1: from the account, so that errors find their way to it.
    Stanza::message(Type::Headline)
        .from(ctx.account.jid.clone())
        .child(&event)
}
