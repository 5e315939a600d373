//! §4.6: presence to one address. Who got it must learn when it ends, even if
//! the client cannot tell any more.

use starling_link::SessionId;
use starling_xmpp::{Condition, Jid, Stanza, Type};

use super::outbound::refuse;
use crate::{Account, Ctx};

/// Sends directed presence and remembers, or forgets, its addressee.
pub(super) fn send(ctx: &mut Ctx, id: SessionId, stanza: Stanza) {
    let targets_max = ctx.env.config.directed_presence_max;
    let Some(to) = stanza.head.to.clone() else {
        return;
    };
    let is_covered = is_covered(&ctx.account, id, &to);
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    if stanza.head.type_ == Type::Unavailable {
        session.directed.remove(&to);
    } else if !is_covered && !session.directed.contains(&to) {
        if session.directed.len() >= targets_max {
            // Without a place for it the addressee would never learn that the
            // client is gone.
            return refuse(ctx, &stanza, Condition::ResourceConstraint);
        }
        session.directed.insert(to);
    }
    ctx.send(stanza);
}

/// §4.6.3: tells the addressees of directed presence that the client is gone.
/// Not subject to blocking: who blocks a room still has to leave it.
pub(super) fn end(ctx: &mut Ctx, targets: impl IntoIterator<Item = Jid>, unavailable: &Stanza) {
    for target in targets {
        ctx.send(unavailable.clone().to(target));
    }
}

/// Whether broadcasts of an available session reach this address anyway. A
/// full JID may be an occupant of a room, which wants its own.
pub(super) fn is_covered(account: &Account, id: SessionId, to: &Jid) -> bool {
    let is_available = account
        .session(id)
        .is_some_and(|found| found.is_available());
    is_available && to.is_bare() && (account.is_self(to) || is_subscribed(account, to))
}

fn is_subscribed(account: &Account, to: &Jid) -> bool {
    let item = account.roster.items.get(to);
    item.is_some_and(|item| item.subscription.has_from())
}
