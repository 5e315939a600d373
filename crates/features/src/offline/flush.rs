//! Handing a session what waits: page by page, each when the client has the one
//! before, with the account's cursor behind.

use std::time::Duration;

use starling_session::{Ctx, Session, SessionId};
use starling_store::archive::{self, Entry, Tally};
use starling_store::{Error, Position, cursor};
use starling_xmpp::Stanza;
use starling_xmpp::payload::delay::Delay;

use super::spared::Spared;
use crate::carbons;
use crate::mam::Retention;

/// Messages handed to a client before it is waited for.
pub(super) const PAGE_MESSAGES: usize = 50;

/// Octets of them, except that one message is always handed over. A page must
/// fit a client's queue beside what comes in meanwhile: one that does not ends
/// the session, and the next one gets the same page.
pub(super) const PAGE_BYTES_MAX: usize = 256 * 1024;

/// Pause before a store that did not answer is asked again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A session is being handed what waited: kept in its slots. The page that is
/// on its way still counts as waiting, because its reader may vanish.
#[derive(Clone, Copy)]
pub(super) struct Flush {
    /// The last message of that page.
    through: Position,
    /// How many it has, and how many octets.
    tally: Tally,
}

/// Begins to hand a session what waits, if anything does.
pub(super) fn begin(ctx: &mut Ctx, session: SessionId) {
    if ctx.account.offline.entries == 0 {
        return;
    }
    let through = ctx.account.cursors.offline_or_start();
    if let Some(found) = ctx.account.session_mut(session) {
        let tally = Tally::default();
        found.slots.set(Flush { through, tally });
        if ctx.has_written() {
            // What came back from an older session of this client is not in the
            // store yet.
            ctx.follow_up_after(Duration::ZERO, session);
        } else {
            ctx.follow_up(session);
        }
    }
}

/// A session that takes messages and is not this one.
pub(super) fn another(ctx: &Ctx, than: SessionId) -> Option<SessionId> {
    let mut others = ctx.account.sessions.iter();
    let other = others.find(|other| other.id != than && other.is_reachable());
    other.map(|other| other.id)
}

fn is_reachable(ctx: &Ctx, session: SessionId) -> bool {
    let found = ctx.account.session(session);
    found.is_some_and(Session::is_reachable)
}

/// What the session is being handed, if it is.
pub(super) fn flush(ctx: &Ctx, session: SessionId) -> Option<Flush> {
    ctx.account.session(session)?.slots.get().copied()
}

/// The sessions that are being handed what waited.
pub(super) fn flushing(ctx: &Ctx) -> impl Iterator<Item = SessionId> {
    let sessions = ctx.account.sessions.iter();
    sessions
        .filter(|session| session.slots.get::<Flush>().is_some())
        .map(|session| session.id)
}

/// Goes on handing a session what waits, now that it has the page before.
pub(super) async fn go_on(
    session: SessionId,
    retention: &Retention,
    ctx: &mut Ctx,
) -> Result<(), Error> {
    let Some(written) = flush(ctx, session) else {
        return Ok(());
    };
    advance(ctx, written);
    if !is_reachable(ctx, session) {
        // RFC 6121 §8.5.2.1.1: it does not take them any more.
        finish(ctx, session);
        if let Some(other) = another(ctx, session) {
            begin(ctx, other);
        }
        return Ok(());
    }
    let spared = Spared::of(session, retention, ctx);
    let (owner, mut through) = (ctx.account.jid.clone(), written.through);
    let store = ctx.store().await;
    loop {
        let page = store.archive_page(&owner, &spared.query(through)).await?;
        if page.is_empty() {
            let Some(until) = spared.ends_behind(through) else {
                break;
            };
            // The rest up to there it finds in the archive.
            through = until;
            ctx.account.offline = store.offline_tally(&owner, through).await?;
            move_to(ctx, through);
            continue;
        }
        if hand_over(ctx, session, &page, &spared) {
            return Ok(());
        }
        // Nothing of it is on its way.
        if let Some(passed) = flush(ctx, session) {
            through = passed.through;
            advance(ctx, passed);
        }
    }
    move_to(ctx, through);
    ctx.account.offline = Tally::default();
    finish(ctx, session);
    Ok(())
}

/// What was handed over has arrived: it does not wait any more.
fn advance(ctx: &mut Ctx, Flush { through, tally }: Flush) {
    ctx.account.offline.subtract(tally);
    move_to(ctx, through);
}

/// Nothing up to here waits any more.
pub(super) fn move_to(ctx: &mut Ctx, through: Position) {
    let after = ctx.account.cursors.offline_or_start();
    if through > after {
        let change = cursor::Change::SetOffline(through);
        ctx.account.cursors.apply(&change);
        ctx.write(change);
        ctx.write(archive::Change::Sweep {
            after,
            through,
            is_offline: true,
        });
    }
}

/// Hands a page over; `false` if there is nothing in it for this session.
fn hand_over(ctx: &mut Ctx, session: SessionId, page: &[Entry], spared: &Spared) -> bool {
    let (page, tally) = cut(page);
    let Some(last) = page.last() else {
        return false;
    };
    let found = ctx.account.session(session);
    let is_due = |entry: &&Entry| {
        // XEP-0191 §3.3: blocked after it was stored.
        !spared.has(entry) && !ctx.account.has_blocked(&entry.peer)
    };
    let mut due: Vec<&Entry> = page.iter().filter(is_due).collect();
    let is_any = !due.is_empty();
    // XEP-0280 §7: it got a copy, or is about to.
    due.retain(|entry| !found.is_some_and(|found| carbons::has_copy(found, entry.position)));
    if let Some(found) = ctx.account.session_mut(session) {
        let through = last.position;
        found.slots.set(Flush { through, tally });
    }
    if !is_any {
        return false;
    }
    for entry in due {
        match delayed(ctx, entry) {
            Some(message) => ctx.deliver_waiting(session, message, entry.position),
            None => tracing::error!(
                account = %ctx.account.jid,
                position = %entry.position,
                "a stored message cannot be read; it is left out"
            ),
        }
    }
    ctx.report_drained(session);
    true
}

/// What a session is being handed, for the next owner of its account.
pub(super) fn note(session: &Session) -> Option<Vec<u8>> {
    let Flush { through, tally } = session.slots.get::<Flush>()?;
    let mut note = through.to_bytes().to_vec();
    note.extend(tally.entries.to_be_bytes());
    note.extend(tally.bytes.to_be_bytes());
    Some(note)
}

/// Goes on where the owner before had come.
pub(super) fn recall(note: &[u8], session: SessionId, ctx: &mut Ctx) {
    let Some(mut flush) = noted(note) else {
        return;
    };
    let after = ctx.account.cursors.offline_or_start();
    let (count, last) = ctx.reached(after, flush.through);
    if last != Some(flush.through) {
        // The page was cut short: what the client has is what counts.
        flush.through = last.unwrap_or(after);
        flush.tally = Tally {
            entries: count as u64,
            bytes: 0,
        };
    }
    if let Some(found) = ctx.account.session_mut(session) {
        found.slots.set(flush);
        // It may have the page already, or what is left of it to read.
        ctx.report_drained(session);
    }
}

fn noted(note: &[u8]) -> Option<Flush> {
    let (rest, bytes) = note.split_last_chunk::<8>()?;
    let (rest, entries) = rest.split_last_chunk::<8>()?;
    Some(Flush {
        through: Position::from_bytes(rest.try_into().ok()?),
        tally: Tally {
            entries: u64::from_be_bytes(*entries),
            bytes: u64::from_be_bytes(*bytes),
        },
    })
}

/// As much of a page as is handed over at once, and how much that is.
fn cut(page: &[Entry]) -> (&[Entry], Tally) {
    let mut tally = Tally::default();
    for (count, entry) in page.iter().enumerate() {
        let bytes = tally.bytes + entry.stanza.len() as u64;
        if count > 0 && bytes > PAGE_BYTES_MAX as u64 {
            return (&page[..count], tally);
        }
        tally.add(entry.stanza.len());
    }
    (page, tally)
}

/// The store did not answer: it is asked again, and until then what is newer
/// waits behind.
pub(super) fn try_again(ctx: &mut Ctx, session: SessionId) {
    let Some(found) = ctx.account.session_mut(session) else {
        return;
    };
    if let Some(Flush { through, .. }) = found.slots.take::<Flush>() {
        // What was handed over before has been counted.
        let tally = Tally::default();
        found.slots.set(Flush { through, tally });
        ctx.follow_up_after(READ_AGAIN_AFTER, session);
    }
}

pub(super) fn finish(ctx: &mut Ctx, session: SessionId) {
    if let Some(found) = ctx.account.session_mut(session) {
        found.slots.take::<Flush>();
    }
}

/// XEP-0203 §4: the message with the time it was taken, by the host.
fn delayed(ctx: &Ctx, entry: &Entry) -> Option<Stanza> {
    let mut message = Stanza::parse(entry.stanza.clone()).ok()?;
    let delay = Delay::new(ctx.account.jid.to_host(), entry.stored_at);
    message.push(&delay.to_element());
    Some(message)
}
