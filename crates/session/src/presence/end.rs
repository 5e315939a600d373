//! How a session becomes unavailable: because its client says so, or because
//! its stream is gone and the server says so in its place (§4.5).

use starling_link::{Detached, SessionId};
use starling_store::account::{Change, LastActivity};
use starling_xmpp::{Jid, Stanza, Type, ns};

use super::outbound::PresentSince;
use super::{broadcast, directed};
use crate::account::{LastSeen, Lasting};
use crate::{Ctx, Event, pipeline};

/// Octets of a parting `<status/>` that are kept for those who ask later.
const STATUS_BYTES_MAX: usize = 1024;

/// §4.5.2: the client sent unavailable presence to everybody.
pub(super) fn unavailable(ctx: &mut Ctx, id: SessionId, stanza: &Stanza) {
    let Some(session) = ctx.account.session(id) else {
        return;
    };
    let (jid, was_available) = (session.jid.clone(), session.is_available());
    if was_available {
        // §4.5.2: it comes back to the resource that sent it, too.
        ctx.deliver(id, stanza.clone().to(jid));
    }
    leave(ctx, id, stanza);
    if was_available {
        pipeline::fire(ctx, id, &Event::Unavailable { presence: stanza });
    }
}

/// §4.5.2: the stream ended. How matters to the log alone: a client that closed
/// its stream without a word is as gone as one whose connection broke.
pub(super) fn ended(ctx: &mut Ctx, id: SessionId, how: Detached) {
    let Some(session) = ctx.account.session(id) else {
        return;
    };
    tracing::debug!(session = %session.jid, ?how, "a session ended");
    let presence = Stanza::presence(Type::Unavailable).from(session.jid.clone());
    leave(ctx, id, &presence);
    let event = Event::Unavailable {
        presence: &presence,
    };
    pipeline::fire(ctx, id, &event);
    ctx.account.sessions.retain(|session| session.id != id);
    if ctx.account.lasting == Lasting::Session && ctx.account.sessions.is_empty() {
        // An anonymous account ends with its session, for its contacts too.
        super::account_removed(ctx);
    }
}

/// Tells everybody who saw the session, and notes when the last one left.
fn leave(ctx: &mut Ctx, id: SessionId, presence: &Stanza) {
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    let directed = std::mem::take(&mut session.directed);
    let mut targets: Vec<Jid> = directed.iter().cloned().collect();
    let was_available = session.is_available();
    // A broadcast tells some of them already.
    targets.retain(|to| !directed::is_covered(&ctx.account, id, to));
    targets.sort_unstable();
    if let Some(session) = ctx.account.session_mut(id) {
        session.presence = None;
        session.priority = 0;
        session.slots.take::<PresentSince>();
    }
    if was_available {
        broadcast::to_own(ctx, presence);
        broadcast::to_subscribers(ctx, presence);
        if ctx.account.available().next().is_none() {
            note_last(ctx, presence);
        }
    }
    directed::end(ctx, targets, presence);
}

/// §4.3.2: what later probes are answered with.
fn note_last(ctx: &mut Ctx, presence: &Stanza) {
    let at = ctx.now();
    let status = presence.child_text(ns::CLIENT, "status");
    let status = status.map(|text| shortened(&text).to_owned());
    ctx.account.last_seen = Some(LastSeen {
        at,
        status: status.clone(),
    });
    ctx.write(Change::SetLastActivity(LastActivity { at, status }));
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(STATUS_BYTES_MAX)]
}
