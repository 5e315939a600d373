//! RFC 6121 §4: what presence does to a session and who learns of it.
//!
//! So far a session becomes available and unavailable; contacts come with the
//! roster.

use starling_link::{Detached, SessionId};
use starling_xmpp::stanza::Type;
use starling_xmpp::{Stanza, ns};

use crate::{Ctx, Event, pipeline};

/// A client's own presence.
pub(crate) fn outbound(ctx: &mut Ctx, presence: Stanza) {
    if presence.head.to.is_some() {
        return ctx.send(presence);
    }
    let Some(session) = ctx.session_mut() else {
        return;
    };
    let (id, was_reachable) = (session.id, session.is_reachable());
    session.priority = presence
        .child_text(ns::CLIENT, "priority")
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default();
    session.presence = (presence.head.type_ == Type::Available).then_some(presence);
    let is_reachable = session.is_reachable();
    if is_reachable && !was_reachable {
        pipeline::fire(ctx, id, &Event::Reachable);
    }
}

/// Presence from somebody else.
pub(crate) fn inbound(ctx: &mut Ctx, presence: Stanza) {
    let available: Vec<SessionId> = ctx.account.available().map(|session| session.id).collect();
    for session in available {
        ctx.deliver(session, presence.clone());
    }
}

/// The stream of a session has ended.
pub(crate) fn ended(ctx: &mut Ctx, session: SessionId, _how: Detached) {
    ctx.account.sessions.retain(|other| other.id != session);
}

/// The account is being erased.
pub(crate) fn account_removed(ctx: &mut Ctx) {
    ctx.account.roster.items.clear();
}
