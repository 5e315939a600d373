//! What a client's presence does.

use starling_link::SessionId;
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{Condition, Stanza, StanzaError, Type};

use super::{Availability, broadcast, directed, end, probe, subscribing};
use crate::{Ctx, Event, pipeline, reject, returned};

/// When a session's last presence was sent: the stamp of its replay. Lives in
/// the session's slots.
pub(crate) struct PresentSince(pub(crate) UnixMillis);

pub(super) fn handle(ctx: &mut Ctx, stanza: Stanza) {
    let Some(session) = ctx.session().map(|session| session.id) else {
        return;
    };
    match (stanza.head.type_, &stanza.head.to) {
        (type_, _) if type_.is_subscription() => subscribing::sent(ctx, stanza),
        (Type::Available | Type::Unavailable, Some(_)) => directed::send(ctx, session, stanza),
        (Type::Available, None) => available(ctx, session, stanza),
        (Type::Unavailable, None) => end::unavailable(ctx, session, &stanza),
        // Probes are the server's to send, but who sends one itself gets its
        // answer like any server would (§4.3.2), and never another client.
        (Type::Probe, Some(to)) if ctx.account.is_self(to) => {
            if let Some(from) = &stanza.head.from {
                probe::answer(ctx, from, Some(to));
            }
        }
        (_, Some(_)) => ctx.send(stanza),
        (_, None) => refuse(ctx, &stanza, Condition::BadRequest),
    }
}

/// Answers a client's presence with an error.
pub(super) fn refuse(ctx: &mut Ctx, stanza: &Stanza, condition: Condition) {
    reject::reply(ctx, stanza, &StanzaError::new(condition));
}

/// §4.2.2 and §4.4.2: available presence for everybody.
///
/// The order of what initial presence leads to, so that a client can rely on
/// it: its own presence comes back, then that of its account's other
/// resources, contacts are told and asked, requests that wait are shown; then
/// features follow, those with messages last.
fn available(ctx: &mut Ctx, id: SessionId, stanza: Stanza) {
    let Some(Availability::Available { priority }) = Availability::of(&stanza) else {
        // §4.7.2.3. The stream's reader refuses it before; this is the border
        // to what does not come from a stream.
        return refuse(ctx, &stanza, Condition::BadRequest);
    };
    if ctx
        .account
        .session(id)
        .is_some_and(|session| !session.is_available())
    {
        returned::before_newer(ctx);
    }
    let is_first = ctx.account.available().next().is_none();
    let now = ctx.now();
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    let (is_initial, was_reachable) = (!session.is_available(), session.is_reachable());
    session.priority = priority;
    session.presence = Some(stanza.clone());
    session.slots.set(PresentSince(now));
    let is_reachable = session.is_reachable();

    broadcast::to_own(ctx, &stanza);
    if is_initial {
        broadcast::others_to(ctx, id);
    }
    broadcast::to_subscribers(ctx, &stanza);
    if is_initial {
        probe::send_all(ctx);
        if is_first {
            subscribing::ask_again(ctx);
        }
        subscribing::show_requests(ctx, id);
        pipeline::fire(ctx, id, &Event::Available { presence: &stanza });
    } else {
        pipeline::fire(ctx, id, &Event::Changed { presence: &stanza });
    }
    if is_reachable && !was_reachable {
        pipeline::fire(ctx, id, &Event::Reachable);
    }
}
