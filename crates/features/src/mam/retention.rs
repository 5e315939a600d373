//! How long an archive is kept, by what the operator says of all, of a host, or
//! of one user. What is older is not shown any more from that moment on. It is
//! removed from the oldest end only (XEP-0313 §3.2), by its owner's shard, a
//! little at a time.
//!
//! An operator can also erase an archive: then the same becomes of all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use starling_session::{Ctx, Lasting};
use starling_store::account::{self, ARCHIVE_ERASED, ARCHIVE_KEEP_DAYS};
use starling_store::archive::{Change, Order, Query};
use starling_store::{Position, Store};
use starling_xmpp::{StanzaError, UnixMillis};

use super::{Config, OF_ACCOUNT};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Entries that are removed at once, and octets: what one commit can take
/// without making others wait.
const STEP_ENTRIES_MAX: usize = 500;
const STEP_BYTES_MAX: usize = 1024 * 1024;

/// Between two steps others have their turn.
const STEP_INTERVAL: Duration = Duration::from_millis(200);

/// What operators say.
#[derive(Clone)]
pub(crate) struct Retention {
    keep_days: u32,
    host_keep_days: BTreeMap<String, u32>,
}

/// What an archive does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Nothing up to here.
    after: Option<Position>,
    /// Nothing sooner.
    since: Option<UnixMillis>,
}

/// When an account was last looked at: kept in its slots.
struct Looked(UnixMillis);

impl Limits {
    /// Whether everything is shown.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an entry of this time is shown.
    pub(crate) fn admits(&self, at: Position, time: UnixMillis) -> bool {
        self.after.is_none_or(|after| at > after) && self.since.is_none_or(|since| time >= since)
    }

    /// The same query for what is shown.
    pub(super) fn narrow(&self, query: Query) -> Query {
        Query {
            after: query.after.max(self.after),
            start: query.start.max(self.since),
            ..query
        }
    }
}

impl Retention {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            keep_days: config.keep_days,
            host_keep_days: config.host_keep_days,
        }
    }

    /// What an account's archive does not show, once that has arrived.
    pub(crate) fn bounds(&self, ctx: &Ctx) -> Limits {
        let account = &ctx.account;
        let of_user = account.attributes.get(ARCHIVE_KEEP_DAYS);
        let of_user = of_user.and_then(|days| days.parse().ok());
        let of_host = || self.host_keep_days.get(account.jid.domain()).copied();
        let days = of_user.or_else(of_host).unwrap_or(self.keep_days);
        let since = ctx.now().0.saturating_sub(i64::from(days) * DAY_MILLIS);
        let erased = account.attributes.get(ARCHIVE_ERASED);
        Limits {
            after: erased.and_then(|erased| position(erased)),
            since: (days > 0).then_some(UnixMillis(since)),
        }
    }

    /// What its archive does not show now: what still waits is shown, however
    /// old it is.
    pub(super) async fn limits(&self, store: &dyn Store, ctx: &Ctx) -> Result<Limits, StanzaError> {
        let bounds = self.bounds(ctx);
        if bounds.is_none() || ctx.account.offline.entries == 0 {
            return Ok(bounds);
        }
        let owner = &ctx.account.jid;
        let arrived = arrived(ctx);
        let last = Query {
            order: Order::Descending,
            limit: 1,
            ..bounds.outside(arrived)
        };
        let by_time = match bounds.since {
            Some(_) => store.archive_page(owner, &last).await,
            None => Ok(Vec::new()),
        };
        let by_time = by_time.map_err(|error| crate::unreadable(owner, &error))?;
        let by_time = by_time.first().map(|entry| entry.position);
        Ok(Limits {
            after: bounds.after.map(|after| after.min(arrived)).max(by_time),
            since: None,
        })
    }

    /// Whether it is time to look at an account; says so once.
    pub(super) fn is_due(&self, ctx: &mut Ctx) -> bool {
        if ctx.account.lasting != Lasting::Stored || self.bounds(ctx).is_none() {
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

    /// Removes some of what is not shown, and comes back for the rest.
    pub(super) async fn apply(&self, ctx: &mut Ctx) {
        let (owner, bounds) = (ctx.account.jid.clone(), self.bounds(ctx));
        let arrived = arrived(ctx);
        let mut queries = Vec::new();
        if let Some(erased) = bounds.after {
            queries.push(Query {
                before: Some(behind(erased.min(arrived))),
                ..Query::default()
            });
        }
        if bounds.since.is_some() {
            queries.push(bounds.outside(arrived));
        }
        let store = ctx.store().await;
        for query in queries {
            let query = Query {
                limit: STEP_ENTRIES_MAX,
                bytes_max: Some(STEP_BYTES_MAX),
                ..query
            };
            match store.archive_page(&owner, &query).await {
                Ok(page) => {
                    if let Some(last) = page.last() {
                        let through = last.position;
                        ctx.write(Change::Purge { through });
                        return ctx.follow_up_after(STEP_INTERVAL, OF_ACCOUNT);
                    }
                }
                // The next day it is tried again.
                Err(error) => {
                    tracing::error!(account = %owner, %error, "old messages could not be looked for");
                }
            }
        }
    }
}

impl Limits {
    /// What is too old, of what has arrived.
    fn outside(&self, arrived: Position) -> Query {
        Query {
            before: Some(behind(arrived)),
            end: self.since.map(|since| UnixMillis(since.0 - 1)),
            ..Query::default()
        }
    }
}

/// An operator has set something: whether it is about how long an archive is
/// kept. What is erased ends where the log ends now.
pub(super) fn note(name: &str, ctx: &mut Ctx) -> bool {
    if name == ARCHIVE_ERASED
        && let Some(value) = ctx.account.attributes.get(ARCHIVE_ERASED)
        && position(value).is_none()
    {
        ctx.write(account::Change::SetAttribute {
            name: ARCHIVE_ERASED.into(),
            value: Some(ctx.account.last_position().to_string()),
        });
    }
    matches!(name, ARCHIVE_ERASED | ARCHIVE_KEEP_DAYS)
}

/// The position that was written so.
fn position(text: &str) -> Option<Position> {
    let (epoch, seq) = text.split_once('.')?;
    Some(Position::new(epoch.parse().ok()?, seq.parse().ok()?))
}

/// Up to where the log has arrived, however old what is behind may be.
fn arrived(ctx: &Ctx) -> Position {
    let account = &ctx.account;
    let arrived = account.delivered();
    match account.offline.entries {
        0 => arrived,
        _ => arrived.min(account.cursors.offline_or_start()),
    }
}

fn behind(position: Position) -> Position {
    Position::new(position.epoch, position.seq.saturating_add(1))
}
