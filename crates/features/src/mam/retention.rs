//! How long an archive is kept. It is shortened from its oldest end only
//! (XEP-0313 §3.2), by its owner's shard, at most once a day.

use starling_session::{Ctx, Lasting};
use starling_store::Position;
use starling_store::archive::{Change, Order, Query};
use starling_xmpp::UnixMillis;

use super::Config;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// When an account was last looked at: kept in its slots.
struct Looked(UnixMillis);

/// Whether it is time to look; says so once.
pub(super) fn is_due(config: &Config, ctx: &mut Ctx) -> bool {
    if config.keep_days_of(ctx.account.jid.domain()) == 0 || ctx.account.lasting != Lasting::Stored
    {
        return false;
    }
    let now = ctx.now();
    let slots = &mut ctx.account.slots;
    let is_due = slots
        .get::<Looked>()
        .is_none_or(|looked| now.0 - looked.0.0 >= DAY_MILLIS);
    if is_due {
        slots.set(Looked(now));
    }
    is_due
}

/// Removes what is older than it may be.
pub(super) async fn apply(config: &Config, ctx: &mut Ctx) {
    let owner = ctx.account.jid.clone();
    let keep_days = i64::from(config.keep_days_of(owner.domain()));
    let oldest_kept = ctx.now().0.saturating_sub(keep_days * DAY_MILLIS);
    let query = Query {
        before: Some(arrived_before(ctx)),
        end: Some(UnixMillis(oldest_kept - 1)),
        order: Order::Descending,
        limit: 1,
        ..Query::default()
    };
    match ctx.store().await.archive_page(&owner, &query).await {
        Ok(page) => {
            if let Some(last) = page.first() {
                let through = last.position;
                ctx.write(Change::Purge { through });
            }
        }
        // The next day it is tried again.
        Err(error) => {
            tracing::error!(account = %owner, %error, "old messages could not be looked for");
        }
    }
}

/// Where the log begins that has not arrived yet, however old that is.
fn arrived_before(ctx: &Ctx) -> Position {
    let account = &ctx.account;
    let mut arrived = account.cursors.delivered_or_start();
    if account.offline.entries > 0 {
        arrived = arrived.min(account.cursors.offline_or_start());
    }
    Position::new(arrived.epoch, arrived.seq.saturating_add(1))
}
