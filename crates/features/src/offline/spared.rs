//! What a client need not be handed because it finds it in the archive
//! (XEP-0313 §6.1.1, XEP-0386 §3.2): it gets the rest, and nothing comes both
//! ways. What the archive does not show any more, it gets.

use starling_session::{Ctx, SessionId};
use starling_store::archive::{Entry, Query, Tally};
use starling_store::{Error, Position};

use super::flush::{PAGE_BYTES_MAX, PAGE_MESSAGES, flushing, move_to};
use crate::mam::{self, Limits, Retention};

/// What one session is spared.
pub(super) struct Spared {
    /// What is archived up to here.
    until: Option<Position>,
    /// As far as it is shown.
    limits: Limits,
}

impl Spared {
    pub(super) fn of(session: SessionId, retention: &Retention, ctx: &Ctx) -> Self {
        let found = ctx.account.session(session);
        Self {
            until: found.and_then(mam::finds_until),
            limits: retention.bounds(ctx),
        }
    }

    /// Where it ends, if that is behind this place.
    pub(super) fn ends_behind(&self, through: Position) -> Option<Position> {
        self.until.filter(|until| *until > through)
    }

    /// The next page of what waits. Where everything archived is shown, it is
    /// not even read.
    pub(super) fn query(&self, through: Position) -> Query {
        let query = Query::after(through, PAGE_MESSAGES)
            .offline_only()
            .within_bytes(PAGE_BYTES_MAX);
        let Some(until) = self.ends_behind(through) else {
            return query;
        };
        Query {
            before: Some(Position::new(until.epoch, until.seq.saturating_add(1))),
            is_unarchived_only: self.limits.is_none(),
            ..query
        }
    }

    /// Whether it is spared an entry.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        entry.is_archived
            && self.until.is_some_and(|until| entry.position <= until)
            && self.limits.admits(entry.position, entry.stored_at)
    }
}

/// XEP-0386 §3.2: what waits and is found in the archive by a session that was
/// just bound does not wait any more, unless something before it does.
pub(super) async fn clear(
    session: SessionId,
    retention: &Retention,
    ctx: &mut Ctx,
) -> Result<(), Error> {
    let spared = Spared::of(session, retention, ctx);
    let through = ctx.account.cursors.offline_or_start();
    let Some(until) = spared.ends_behind(through) else {
        return Ok(());
    };
    // Somebody is being handed what waits, or some of it is not shown.
    if flushing(ctx).next().is_some() || !spared.limits.is_none() {
        return Ok(());
    }
    let query = Query {
        limit: 1,
        ..spared.query(through)
    };
    let store = ctx.store().await;
    let owner = ctx.account.jid.clone();
    if store.archive_page(&owner, &query).await?.is_empty() {
        ctx.account.offline = Tally::default();
        move_to(ctx, until);
    }
    Ok(())
}

/// Whether every session that is to get the message in hand finds it in the
/// archive. Those that do need not get it.
pub(super) fn is_found_by_all(ctx: &mut Ctx) -> bool {
    let position = ctx.place().position;
    let account = &ctx.account;
    let targets = &mut ctx.targets.sessions;
    let had_targets = !targets.is_empty();
    targets.retain(|id| {
        let until = account.session(*id).and_then(mam::finds_until);
        until.is_none_or(|until| position > until)
    });
    had_targets && targets.is_empty()
}
