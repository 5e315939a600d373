//! Presence to all who see it: contacts with a subscription and the account's
//! own resources. Targets of directed presence are no part of it (§4.6.3).

use starling_link::SessionId;
use starling_xmpp::{Jid, Stanza};

use crate::pipeline::{self, Verdict};
use crate::{Ctx, Phase, Side};

/// §4.2.2, §4.4.2, §4.5.2: to every contact that is subscribed.
pub(super) fn to_subscribers(ctx: &mut Ctx, presence: &Stanza) {
    let items = ctx.account.roster.items.values();
    let contacts: Vec<Jid> = items
        .filter(|item| item.subscription.has_from())
        .map(|item| item.jid.clone())
        .collect();
    for contact in contacts {
        send(ctx, presence.clone().to(contact));
    }
}

/// §4.2.2: to every available resource of the account, the one that sent it
/// included: everybody is subscribed to himself.
pub(super) fn to_own(ctx: &mut Ctx, presence: &Stanza) {
    for (session, jid) in available(ctx) {
        ctx.deliver(session, presence.clone().to(jid));
    }
}

/// §4.2.2: a resource that becomes available learns of the others.
pub(super) fn others_to(ctx: &mut Ctx, session: SessionId) {
    let Some(to) = ctx.account.session(session).map(|found| found.jid.clone()) else {
        return;
    };
    let others = ctx.account.available().filter(|other| other.id != session);
    let presences: Vec<Stanza> = others
        .filter_map(|other| other.presence.clone())
        .map(|presence| presence.to(to.clone()))
        .collect();
    for presence in presences {
        ctx.deliver(session, presence);
    }
}

/// Sends what the account says of its own accord, unless its rules forbid it
/// for this recipient: the phases of the client's stanza knew none.
pub(super) fn send(ctx: &mut Ctx, mut stanza: Stanza) {
    if let Verdict::Pass = pipeline::run(ctx, &mut stanza, Side::Sender, [Phase::Guard]) {
        ctx.send(stanza);
    }
}

/// The available sessions, to walk over while `ctx` changes.
pub(super) fn available(ctx: &Ctx) -> Vec<(SessionId, Jid)> {
    let sessions = ctx.account.available();
    sessions
        .map(|session| (session.id, session.jid.clone()))
        .collect()
}
