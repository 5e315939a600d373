//! What arrives for an account: presence of contacts, of rooms, of strangers.

use starling_link::SessionId;
use starling_xmpp::{Jid, Stanza, Type};

use super::{probe, subscribing};
use crate::account::Lasting;
use crate::{Account, Ctx};

pub(super) fn handle(ctx: &mut Ctx, stanza: Stanza) {
    let Some(from) = stanza.head.from.clone() else {
        debug_assert!(false, "whoever routes a stanza has given it a `from`");
        return;
    };
    let type_ = stanza.head.type_;
    if !ctx.account.is_served() {
        return absent(ctx, type_, &from);
    }
    if type_.is_subscription() {
        return subscribing::received(ctx, stanza, &from);
    }
    match type_ {
        Type::Probe => probe::answer(ctx, &from, stanza.head.to.as_ref()),
        Type::Error => failed(ctx, stanza, &from),
        _ => notify(ctx, &stanza, &from),
    }
}

/// §8.5.1, §4.3.2: a probe of an account that does not exist is answered as by
/// one that does not know the other; everything else is ignored, as requests
/// seem to be by somebody who has not seen them yet.
fn absent(ctx: &mut Ctx, type_: Type, from: &Jid) {
    let has_sessionless_account = ctx.account.lasting == Lasting::Session;
    if has_sessionless_account && type_ == Type::Probe {
        let denial = probe::denial(&ctx.account);
        ctx.send(denial.to(from.to_bare()));
    }
}

/// §4.2.3, §4.5.3: available and unavailable presence.
fn notify(ctx: &mut Ctx, stanza: &Stanza, from: &Jid) {
    for session in recipients(&ctx.account, stanza, from) {
        ctx.deliver(session, stanza.clone());
    }
}

fn recipients(account: &Account, stanza: &Stanza, from: &Jid) -> Vec<SessionId> {
    if let Some(to) = stanza.head.to.as_ref().filter(|to| to.is_full()) {
        // §8.5.3.1, §8.5.3.2.2: that resource or nobody.
        let session = account.session_by_jid(to);
        return session.map(|session| session.id).into_iter().collect();
    }
    let bare = from.to_bare();
    let item = account.roster.items.get(bare.as_jid());
    // Someone whose subscription has just ended is still shown; that he goes
    // may be told, else he would stay for ever.
    let is_leaving = stanza.head.type_ == Type::Unavailable;
    let is_expected = account.is_self(from)
        || item.is_some_and(|item| item.subscription.has_to() || (is_leaving && item.is_listed));
    let sessions = account.sessions.iter().filter(|session| {
        if is_expected {
            session.is_available()
        } else {
            // §4.6.2: those who showed themselves to a stranger may see him.
            session.directed.contains(from) || session.directed.contains(bare.as_jid())
        }
    });
    sessions.map(|session| session.id).collect()
}

/// §8.5.3.1, §8.5.3.2.2: an error is for the resource that caused it.
fn failed(ctx: &mut Ctx, stanza: Stanza, from: &Jid) {
    let to = stanza.head.to.as_ref();
    let id = to.and_then(|to| ctx.account.session_by_jid(to).map(|session| session.id));
    if let Some(session) = id.and_then(|id| ctx.account.session_mut(id)) {
        // It never got there, or is gone: nobody to tell of the end.
        session.directed.remove(from);
        let id = session.id;
        ctx.deliver(id, stanza);
    }
}
