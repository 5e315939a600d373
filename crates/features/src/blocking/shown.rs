//! XEP-0191 §3.3, §3.4: who sees the account leave when it blocks, and come
//! back when it unblocks.
//!
//! Contacts are told by their bare JID; somebody of whom only one resource is
//! blocked is told there. Broadcasts ask the same list later: that is the
//! engine's work.

use std::collections::BTreeSet;

use starling_session::Ctx;
use starling_xmpp::{Jid, Stanza, Type};

/// Those a block will shut out who see some session of the account now:
/// contacts with a subscription, and those who got directed presence. Whoever
/// is shut out already is not told again.
pub(super) fn to_whom(ctx: &Ctx, named: &[Jid]) -> Vec<Jid> {
    let directed = ctx.account.sessions.iter();
    let directed = directed.flat_map(|session| session.directed.iter().cloned());
    let watching: BTreeSet<Jid> = subscribers(ctx, named).chain(directed).collect();
    let open = watching.into_iter();
    open.filter(|jid| !ctx.account.has_blocked(jid)).collect()
}

/// Contacts that are shut out now and may be let in by an unblock.
pub(super) fn shut_out(ctx: &Ctx, named: &[Jid]) -> Vec<Jid> {
    let contacts: BTreeSet<Jid> = subscribers(ctx, named).collect();
    let shut_out = contacts.into_iter();
    shut_out
        .filter(|jid| ctx.account.has_blocked(jid))
        .collect()
}

/// Of those who saw the account, tells the ones it has blocked now that every
/// session they saw is gone.
pub(super) fn leave(ctx: &mut Ctx, seen: Vec<Jid>) {
    for watcher in seen {
        if !ctx.account.has_blocked(&watcher) {
            continue;
        }
        let is_subscribed = ctx.account.is_seen_by(&watcher);
        let mut gone = Vec::new();
        for session in &mut ctx.account.sessions {
            // It has left for them: nothing more to say when it ends.
            let was_directed = session.directed.remove(&watcher);
            if was_directed || (is_subscribed && session.is_available()) {
                gone.push(session.jid.clone());
            }
        }
        for from in gone {
            let unavailable = Stanza::presence(Type::Unavailable);
            ctx.send(unavailable.from(from).to(watcher.clone()));
        }
    }
}

/// Shows those who are let in again every available session as it is. Directed
/// presence is the client's to repeat.
pub(super) fn come_back(ctx: &mut Ctx, shut_out: Vec<Jid>) {
    for contact in shut_out {
        if ctx.account.has_blocked(&contact) {
            continue;
        }
        let shown = ctx.account.available().filter_map(|session| {
            let presence = session.presence.clone()?;
            Some(presence.from(session.jid.clone()))
        });
        let shown: Vec<Stanza> = shown.map(|shown| shown.to(contact.clone())).collect();
        for presence in shown {
            ctx.send(presence);
        }
    }
}

/// Contacts who are subscribed, and the resources of theirs that are named.
fn subscribers(ctx: &Ctx, named: &[Jid]) -> impl Iterator<Item = Jid> {
    let contacts = ctx.account.roster.items.values();
    let contacts = contacts
        .filter(|item| item.subscription.has_from())
        .map(|item| item.jid.clone());
    let resources = named
        .iter()
        .filter(|jid| jid.is_full() && ctx.account.is_seen_by(jid));
    contacts.chain(resources.cloned())
}
