//! The end of a session, and what becomes of stanzas that its client did not
//! take (XEP-0198 §4): they go to the account again, so that another session
//! gets them, or they wait, or their sender is told.
//!
//! Also how far the account's log has arrived, which is what a node looks at
//! that has to begin anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use starling_link::{Attach, Close, Detached, SessionId};
use starling_store::{Position, archive, cursor};
use starling_xmpp::stanza::Kind;

use crate::account::{Closing, Lasting};
use crate::effects::Effect;
use crate::outgoing::Outgoing;
use crate::work::Alarm;
use crate::{Ctx, Origin, ended, inbound, presence, reject};

/// How long an edge may take to tell what the client of a session that was
/// ended still took. It has hung up on the client long before.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a busy account writes down how far it is. A node that dies
/// delivers again what arrived since, under the same ids.
const CURSOR_WRITE_AFTER: Duration = Duration::from_secs(1);

/// Ends a session from this side: its client is told, its contacts too.
pub(crate) fn end(ctx: &mut Ctx, id: SessionId, why: Close) {
    let Some(session) = ctx.account.session(id) else {
        return;
    };
    let (ring, attach) = (Arc::clone(&session.ring), session.attach);
    if session.is_hibernating {
        return over(ctx, id, Detached::Lost);
    }
    let effect = Effect::Close {
        ring: Arc::clone(&ring),
        why,
    };
    ctx.effects.releases.push(effect);
    leave(ctx, id, Detached::Lost);
    // Its edge tells what the client has when the stream is closed.
    ctx.account.closing.push(Closing { id, attach, ring });
    let alarm = Alarm::Closed { id, attach };
    ctx.effects.alarms.push((CLOSING_TIMEOUT, alarm));
}

/// A session without a stream is over.
pub(crate) fn over(ctx: &mut Ctx, id: SessionId, how: Detached) {
    if let Some(session) = ctx.account.session(id) {
        let ring = Arc::clone(&session.ring);
        leave(ctx, id, how);
        give_back(ctx, ring.end());
    }
}

/// The stream of a session that was ended is closed.
pub(crate) fn closed(ctx: &mut Ctx, id: SessionId, attach: Attach, acked: Option<u32>) {
    let is_it = |closing: &Closing| closing.id == id && closing.attach == attach;
    if let Some(index) = ctx.account.closing.iter().position(is_it) {
        let Closing { ring, .. } = ctx.account.closing.swap_remove(index);
        if let Some(number) = acked {
            ring.acked(number);
        }
        give_back(ctx, ring.end());
    }
}

/// Another session begins to take messages: what those before it have not
/// acknowledged comes ahead of anything newer. Their edges have had the time of
/// a round trip to tell what their clients still took. From one that has not,
/// the word may come much later, and a message that comes again has its id.
pub(crate) fn before_newer(ctx: &mut Ctx) {
    for Closing { ring, .. } in std::mem::take(&mut ctx.account.closing) {
        give_back(ctx, ring.end());
    }
}

fn leave(ctx: &mut Ctx, id: SessionId, how: Detached) {
    match how {
        Detached::Lost => ended::note(ctx, id),
        Detached::Closed => ended::forget(ctx, id),
    }
    ctx.account.remember_ended(id);
    let origin = std::mem::replace(&mut ctx.origin, Origin::Session(id));
    presence::ended(ctx, id, how);
    ctx.origin = origin;
}

fn give_back(ctx: &mut Ctx, (lost, announced): (Vec<Outgoing>, VecDeque<Position>)) {
    ctx.account.owed.extend(announced);
    for outgoing in lost {
        handle(ctx, outgoing);
    }
    write_delivered(ctx);
}

/// A stanza that its session did not take, because it was over before.
pub(crate) fn late(ctx: &mut Ctx, outgoing: Outgoing) {
    if let Some(position) = outgoing.position() {
        // Nobody waits for it if the account was read anew since: then it was
        // found in the log.
        let Some(index) = ctx.account.owed.iter().position(|owed| *owed == position) else {
            return;
        };
        ctx.account.owed.swap_remove(index);
    }
    handle(ctx, outgoing);
    note_delivered(ctx);
}

/// What was on its way to sessions when an earlier owner was gone, and that no
/// session has brought along.
pub(crate) fn recover(ctx: &mut Ctx) {
    let Some(takeover) = ctx.account.takeover.take() else {
        return;
    };
    let lost = takeover.unclaimed();
    if lost.is_empty() {
        return note_delivered(ctx);
    }
    tracing::info!(
        account = %ctx.account.jid,
        messages = lost.len(),
        "messages were on their way when the node ended; they are delivered again"
    );
    for outgoing in lost {
        if let Some(logged) = &outgoing.logged {
            // Whoever sent it may not know that it is here.
            ctx.account.recent.note(logged.id);
        }
        handle(ctx, outgoing);
    }
    write_delivered(ctx);
}

/// Handles a stanza again.
pub(crate) fn handle(ctx: &mut Ctx, outgoing: Outgoing) {
    if !outgoing.is_returned() || outgoing.is_with_others(&ctx.account) {
        return;
    }
    let (stanza, logged) = outgoing.into_original();
    let origin = ctx.take_up(Origin::Returned, logged.as_deref().copied());
    match stanza.head.kind {
        Kind::Message => inbound::message(ctx, stanza),
        // What the account itself asked is nobody's loss.
        Kind::Iq
            if stanza
                .head
                .from
                .as_ref()
                .is_none_or(|from| ctx.account.is_self(from)) => {}
        Kind::Iq => reject::unavailable(ctx, &stanza),
        Kind::Presence => {}
    }
    ctx.take_up(origin, None);
}

/// Something arrived: how far the log has is written soon.
pub(crate) fn note_delivered(ctx: &mut Ctx) {
    let account = &mut ctx.account;
    if account.lasting == Lasting::Stored
        && !account.is_cursor_due
        && account.delivered() > account.cursors.delivered_or_start()
    {
        account.is_cursor_due = true;
        ctx.effects.alarms.push((CURSOR_WRITE_AFTER, Alarm::Cursor));
    }
}

/// Writes down how far the log has arrived, and lets go of what was in it only
/// for that.
pub(crate) fn write_delivered(ctx: &mut Ctx) {
    let (before, now) = (
        ctx.account.cursors.delivered_or_start(),
        ctx.account.delivered(),
    );
    ctx.account.is_cursor_due = false;
    if ctx.account.lasting != Lasting::Stored || now <= before {
        return;
    }
    let change = cursor::Change::SetDelivered(now);
    ctx.account.cursors.apply(&change);
    ctx.write(change);
    ctx.write(archive::Change::Sweep {
        after: before,
        through: now,
        is_offline: false,
    });
}
