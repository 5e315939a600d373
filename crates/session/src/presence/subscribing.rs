//! RFC 6121 §3: carries out what `subscription` decides about a subscription
//! stanza: who gets it, what the roster holds afterwards, whose presence is
//! shown or hidden.

use bytes::Bytes;
use starling_link::SessionId;
use starling_store::roster::Item;
use starling_xmpp::{BareJid, Condition, Jid, Stanza, StanzaError, Type};

use super::broadcast;
use super::outbound::refuse;
use crate::subscription::{self, Half, State, Verb};
use crate::{Account, Ctx, reject, roster};

/// Requests of strangers that wait for the user at a time. They are apart from
/// the roster's own bound, so that strangers cannot use that up.
const REQUESTS_MAX: usize = 500;

/// Octets of a request, which is kept whole (§3.1.3).
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Octets of all requests that wait. They are shown to a client at once, so
/// they have to fit its queue beside all else; of a request beyond that, only
/// who asks is kept.
const WAITING_BYTES_MAX: usize = 512 * 1024;

/// A.2: a client sends a subscription stanza.
pub(super) fn sent(ctx: &mut Ctx, mut stanza: Stanza) {
    let (Some(verb), Some(to)) = (Verb::of(stanza.head.type_), &stanza.head.to) else {
        return refuse(ctx, &stanza, Condition::BadRequest);
    };
    // §3.1.2: addressed to a resource it still is about the contact.
    let contact = to.to_bare();
    if ctx.account.is_self(&contact) {
        // Everybody sees his own presence; there is nothing to agree upon.
        return refuse(ctx, &stanza, Condition::NotAllowed);
    }
    let before = state(&ctx.account, &contact);
    let decided = subscription::sent(before, verb);
    let after = decided.state;
    if !after.is_invisible() && !has_room(ctx, &contact) {
        return refuse(ctx, &stanza, Condition::ResourceConstraint);
    }
    if before.from == Half::Yes && after.from != Half::Yes {
        // §3.2.2: while the contact is still subscribed.
        hide(ctx, &contact);
    }
    if decided.is_routed {
        // §3.1.2: from the bare JID.
        stanza.head.from = Some(ctx.account.jid.clone().into());
        stanza.head.to = Some(contact.clone().into());
        ctx.send(stanza);
    }
    store(ctx, &contact, before, after, None);
    if after.from == Half::Yes && before.from != Half::Yes {
        // §3.1.5.
        show(ctx, &contact);
    }
}

/// A.3: a subscription stanza arrives.
pub(super) fn received(ctx: &mut Ctx, mut stanza: Stanza, from: &Jid) {
    let contact = from.to_bare();
    let Some(verb) = Verb::of(stanza.head.type_) else {
        return;
    };
    if ctx.account.is_self(&contact) {
        return;
    }
    let before = state(&ctx.account, &contact);
    let decided = subscription::received(before, verb);
    let after = decided.state;
    stanza.head.from = Some(contact.clone().into());
    stanza.head.to = Some(ctx.account.jid.clone().into());
    let is_asked = after.from == Half::Pending && before.from != Half::Pending;
    let request = match is_asked.then(|| may_wait(&ctx.account, stanza.to_bytes())) {
        Some(None) => {
            let error = StanzaError::new(Condition::ResourceConstraint);
            return reject::reply(ctx, &stanza, &error);
        }
        request => request.flatten(),
    };
    if decided.is_delivered {
        for session in concerned(&ctx.account, verb) {
            ctx.deliver(session, stanza.clone());
        }
    }
    store(ctx, &contact, before, after, request);
    if before.from == Half::Yes && after.from != Half::Yes {
        // §3.3.3: it learns that nobody is here for it any more.
        hide(ctx, &contact);
    }
    if decided.is_granted {
        // §3.1.3, §3.4.3.
        let own = ctx.account.jid.clone();
        let granted = Stanza::presence(Type::Subscribed).from(own);
        ctx.send(granted.to(contact.clone()));
        show(ctx, &contact);
    }
}

/// §2.5.2: ends both directions, as far as there is anything to end.
pub(super) fn end(ctx: &mut Ctx, item: &Item) {
    let (state, contact) = (State::of(Some(item)), item.jid.to_bare());
    let own = ctx.account.jid.clone();
    if state.from == Half::Yes {
        hide(ctx, &contact);
    }
    if state.to != Half::No {
        let unsubscribe = Stanza::presence(Type::Unsubscribe).from(own.clone());
        ctx.send(unsubscribe.to(contact.clone()));
    }
    if state.from != Half::No {
        let unsubscribed = Stanza::presence(Type::Unsubscribed).from(own);
        ctx.send(unsubscribed.to(contact));
    }
}

/// §3.1.3: shows a resource that became available what waits for the user.
pub(super) fn show_requests(ctx: &mut Ctx, session: SessionId) {
    let items = ctx.account.roster.items.values();
    let waiting: Vec<(Jid, Bytes)> = items
        .filter_map(|item| Some((item.jid.clone(), item.pending_in.clone()?)))
        .collect();
    for (contact, request) in waiting {
        let own = ctx.account.jid.clone();
        // One that is not kept, or cannot be read, still says who asks.
        let request = Stanza::parse(request)
            .unwrap_or_else(|_| Stanza::presence(Type::Subscribe).from(contact).to(own));
        ctx.deliver(session, request);
    }
}

/// §3.1.2: asks again those who have not answered, in case they never heard.
/// Once per presence of the account, not of each resource.
pub(super) fn ask_again(ctx: &mut Ctx) {
    let items = ctx.account.roster.items.values();
    let asked: Vec<Jid> = items
        .filter(|item| item.is_asking)
        .map(|item| item.jid.clone())
        .collect();
    for contact in asked {
        let own = ctx.account.jid.clone();
        let subscribe = Stanza::presence(Type::Subscribe).from(own);
        broadcast::send(ctx, subscribe.to(contact));
    }
}

fn state(account: &Account, contact: &BareJid) -> State {
    State::of(account.roster.items.get(contact.as_jid()))
}

/// Puts a new state into the roster; clients are told what they can see of it.
fn store(ctx: &mut Ctx, contact: &BareJid, before: State, after: State, request: Option<Bytes>) {
    if before == after {
        return;
    }
    let roster = &ctx.account.roster;
    let old = roster.items.get(contact.as_jid()).cloned();
    let was_listed = old.as_ref().is_some_and(|item| item.is_listed);
    let mut item = old.unwrap_or_else(|| Item {
        is_listed: false,
        version: roster.version_of(contact),
        ..Item::new(contact.clone().into())
    });
    item.subscription = after.subscription();
    item.is_asking = after.to == Half::Pending;
    item.is_approved = after.is_approved;
    item.pending_in = match after.from {
        Half::Pending => item.pending_in.or(request),
        Half::No | Half::Yes => None,
    };
    item.is_listed |= !after.is_invisible();
    if !item.is_listed && after.from == Half::No {
        roster::forget(ctx, &item);
    } else if item.is_listed && (!was_listed || before.visible() != after.visible()) {
        roster::put(ctx, item);
    } else {
        roster::put_silently(ctx, item);
    }
}

/// Whether a contact is in the roster or there is room for one more.
fn has_room(ctx: &Ctx, contact: &BareJid) -> bool {
    let roster = &ctx.account.roster;
    let item = roster.items.get(contact.as_jid());
    item.is_some_and(|item| item.is_listed)
        || roster.listed().count() < ctx.env.config.roster_items_max
}

/// What is kept of a request until the user answers; `None` if it may not wait.
fn may_wait(account: &Account, request: Bytes) -> Option<Bytes> {
    let items = account.roster.items.values();
    let waiting = items.filter_map(|item| item.pending_in.as_ref());
    let (count, bytes) = waiting.fold((0, 0), |(count, bytes), waiting| {
        (count + 1, bytes + waiting.len())
    });
    if request.len() > REQUEST_BYTES_MAX || count >= REQUESTS_MAX {
        return None;
    }
    Some(match bytes + request.len() > WAITING_BYTES_MAX {
        true => Bytes::new(),
        false => request,
    })
}

/// Who of the user's clients is shown an inbound subscription stanza: requests
/// all that are available (§3.1.3), the rest those that follow the roster
/// (§3.1.6, §3.2.3, §3.3.3).
fn concerned(account: &Account, verb: Verb) -> Vec<SessionId> {
    let sessions = account.sessions.iter().filter(|session| match verb {
        Verb::Subscribe => session.is_available(),
        Verb::Subscribed | Verb::Unsubscribe | Verb::Unsubscribed => session.is_interested,
    });
    sessions.map(|session| session.id).collect()
}

/// The present presence of every available resource, for a new subscriber.
fn show(ctx: &mut Ctx, contact: &BareJid) {
    let sessions = ctx.account.available();
    let presences: Vec<Stanza> = sessions
        .filter_map(|session| session.presence.clone())
        .collect();
    for presence in presences {
        ctx.send(presence.to(contact.clone()));
    }
}

/// Unavailable presence of every available resource, for a former subscriber.
fn hide(ctx: &mut Ctx, contact: &BareJid) {
    for (_, jid) in broadcast::available(ctx) {
        let unavailable = Stanza::presence(Type::Unavailable).from(jid);
        ctx.send(unavailable.to(contact.clone()));
    }
}
