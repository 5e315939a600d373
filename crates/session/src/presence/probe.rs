//! §4.3: asking contacts for their presence, and answering those who ask.
//! A probe never reaches a client.

use starling_xmpp::payload::delay::Delay;
use starling_xmpp::{Jid, Stanza, Type, ns};

use super::broadcast;
use super::outbound::PresentSince;
use crate::{Account, Ctx, Session};

/// §4.3.1: asks every contact the user is subscribed to, from the bare JID.
pub(super) fn send_all(ctx: &mut Ctx) {
    let items = ctx.account.roster.items.values();
    let contacts: Vec<Jid> = items
        .filter(|item| item.subscription.has_to())
        .map(|item| item.jid.clone())
        .collect();
    let from = ctx.account.jid.clone();
    for contact in contacts {
        let probe = Stanza::presence(Type::Probe).to(contact);
        broadcast::send(ctx, probe.from(from.clone()));
    }
}

/// §4.3.2: answers a probe.
pub(super) fn answer(ctx: &mut Ctx, prober: &Jid, probed: Option<&Jid>) {
    let full = probed.filter(|jid| jid.is_full());
    let answers = match full {
        Some(full) => of_resource(&ctx.account, prober, full),
        None => of_account(&ctx.account, prober),
    };
    for answer in answers {
        ctx.send(answer.to(prober.clone()));
    }
}

/// §4.3.2, also for an account that does not exist: whoever is not subscribed
/// learns only that.
pub(super) fn denial(account: &Account) -> Stanza {
    Stanza::presence(Type::Unsubscribed).from(account.jid.clone())
}

fn of_account(account: &Account, prober: &Jid) -> Vec<Stanza> {
    if !account.is_seen_by(prober) {
        return vec![denial(account)];
    }
    let present: Vec<Stanza> = account.available().filter_map(last).collect();
    if present.is_empty() {
        return vec![absence(account, account.jid.as_jid())];
    }
    present
}

/// A probe of one resource. §4.6.6: a room asks this way whether an occupant
/// is still there, with no subscription but directed presence to go by.
fn of_resource(account: &Account, prober: &Jid, full: &Jid) -> Vec<Stanza> {
    let session = account.session_by_jid(full);
    if account.is_seen_by(prober) {
        let present = session.and_then(last);
        return vec![present.unwrap_or_else(|| absence(account, full))];
    }
    let is_directed = session.is_some_and(|session| {
        session.directed.contains(prober) || session.directed.contains(prober.to_bare().as_jid())
    });
    if is_directed {
        // What was sent to it is not kept, and the rest is not for it.
        return vec![Stanza::presence(Type::Available).from(full.clone())];
    }
    // The same whether the resource is there or not: a stranger learns nothing.
    vec![denial(account)]
}

/// The last presence of a session, unaltered, with the time it was sent.
fn last(session: &Session) -> Option<Stanza> {
    let mut presence = session.presence.clone()?;
    if let Some(since) = session.slots.get::<PresentSince>()
        && !presence.has(ns::DELAY, "delay")
    {
        presence.push(&Delay::new(session.jid.clone(), since.0).to_element());
    }
    Some(presence)
}

/// §4.3.2: since when nobody is there, and with which words.
fn absence(account: &Account, from: &Jid) -> Stanza {
    let mut presence = Stanza::presence(Type::Unavailable).from(from.clone());
    if let Some(last) = &account.last_seen
        && account.available().next().is_none()
    {
        if let Some(status) = &last.status {
            let status = starling_xmpp::Element::new(ns::CLIENT, "status").text(status.as_str());
            presence.push(&status);
        }
        presence.push(&Delay::new(account.jid.clone(), last.at).to_element());
    }
    presence
}
