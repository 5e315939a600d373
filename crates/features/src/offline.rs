//! XEP-0160: Best Practices for Handling Offline Messages, version 1.0.1, with
//! the stamps of XEP-0203.
//!
//! A message that no session takes waits in the account's log; the first
//! session that is reachable gets all that waits, page by page at the pace its
//! client reads, and the account's cursor follows; if it ends before, another
//! session that is reachable gets the rest. What is worth keeping is said in
//! `content`.
//!
//! A message that a session does take is in the log, too, until the session is
//! known to have it: should the node die before, it waits after all.
//!
//! What has been delivered is removed from the log, unless it is in the archive
//! (XEP-0313), whose retention is its own affair.

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_session::{
    BoxFuture, Ctx, Event, EventKind, Feature, Hook, Kept, Lasting, Manifest, Origin, Outcome,
    Phase, Session, SessionId, Side, Spec,
};
use starling_store::archive::{self, Entry, Query, TALLY_ENTRIES_MAX, Tally};
use starling_store::{Position, cursor};
use starling_xmpp::payload::delay::Delay;
use starling_xmpp::{Condition, Jid, Payload, Stanza, StanzaError, Type, ns};

use crate::{content, metrics};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(160),
    version: "1.0.1",
    disco: &[ns::OFFLINE_FEATURE],
    disco_account: &[],
};

const ALSO: &[Manifest] = &[
    Manifest {
        spec: Spec::Xep(203),
        version: "2.0",
        disco: &[],
        disco_account: &[],
    },
    Manifest {
        spec: Spec::Xep(334),
        version: "1.0.0",
        disco: &[],
        disco_account: &[],
    },
];

const HOOKS: &[Hook] = &[
    Hook::message(Side::Recipient, Phase::Stamp),
    Hook::message(Side::Recipient, Phase::Archive),
    Hook::on(EventKind::Reachable),
    Hook::on(EventKind::Drained),
    Hook::on(EventKind::Unavailable),
];

/// Messages handed to a client before it is waited for.
const PAGE_MESSAGES: usize = 50;

/// Octets of them, except that one message is always handed over. A page must
/// fit a client's queue beside what comes in meanwhile: one that does not ends
/// the session, and the next one gets the same page.
const PAGE_BYTES_MAX: usize = 256 * 1024;

/// `[session.features.offline]`: messages for absent users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Messages that may wait for one account. The sender of one more is told
    /// that it was not taken.
    #[schemars(range(max = TALLY_ENTRIES_MAX))]
    pub messages_max: u64,
    /// The same, in bytes.
    pub bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            messages_max: TALLY_ENTRIES_MAX,
            bytes_max: 100 * 1024 * 1024,
        }
    }
}

pub(crate) struct Offline {
    config: Config,
}

/// A session is being handed what waited: kept in its slots. The page that is
/// on its way still counts as waiting, because its reader may vanish.
#[derive(Clone, Copy)]
struct Flush {
    /// The last message of that page.
    through: Position,
    /// How many it has, and how many octets.
    tally: Tally,
}

impl Offline {
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Feature for Offline {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn also(&self) -> &'static [Manifest] {
        ALSO
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn message(&self, phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if phase == Phase::Stamp {
            if ctx.origin != Origin::Returned && message.has(ns::DELAY, "delay") {
                message.strip(|payload| is_our_delay(payload, ctx));
            }
            return Outcome::Pass;
        }
        if content::is_kept(message) {
            return self.keep(message, ctx);
        }
        if ctx.targets.sessions.is_empty() && is_chat_state(message) {
            // XEP-0160 §3. An error would tell a stranger whenever nobody is
            // there, and people have not asked for news of typing.
            return Outcome::Done;
        }
        Outcome::Pass
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        match event {
            Event::Reachable if flushing(ctx).next().is_none() => begin(ctx, session),
            Event::Drained if flush(ctx, session).is_some() => ctx.follow_up(session),
            // What it was not sent goes to a session that is still there. One
            // that stays connected and is alone may yet confirm its page.
            Event::Unavailable { .. } if flush(ctx, session).is_some() => {
                if let Some(other) = another(ctx, session) {
                    finish(ctx, session);
                    begin(ctx, other);
                }
            }
            _ => {}
        }
    }

    fn follow_up<'a>(&'a self, session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(written) = flush(ctx, session) else {
                return;
            };
            advance(ctx, written);
            if !is_reachable(ctx, session) {
                // RFC 6121 §8.5.2.1.1: it does not take them any more.
                finish(ctx, session);
                if let Some(other) = another(ctx, session) {
                    begin(ctx, other);
                }
                return;
            }
            let owner = ctx.account.jid.clone();
            let query = Query::after(written.through, PAGE_MESSAGES).offline_only();
            match ctx.store().await.archive_page(&owner, &query).await {
                Ok(page) if page.is_empty() => {
                    ctx.account.offline = Tally::default();
                    finish(ctx, session);
                }
                Ok(page) => hand_over(ctx, session, &page),
                Err(error) => {
                    // The cursor stays where it is: the next session gets them.
                    tracing::error!(account = %owner, %error, "waiting messages could not be read");
                    finish(ctx, session);
                }
            }
        })
    }
}

impl Offline {
    /// Keeps a message that nobody takes, or that has to wait for its turn.
    fn keep(&self, message: &Stanza, ctx: &mut Ctx) -> Outcome {
        // While older messages are still on their way to a session, a new one
        // joins the end of that line instead of overtaking them.
        let in_line: Vec<SessionId> = flushing(ctx).collect();
        let sessions = &mut ctx.targets.sessions;
        let targets = sessions.len();
        sessions.retain(|session| !in_line.contains(session));
        let (is_waited_for, is_taken) = (sessions.len() < targets, !sessions.is_empty());
        if is_taken && !is_waited_for {
            // Until the session has it. Of others than users nothing is kept.
            ctx.keep(Kept::default());
            return Outcome::Pass;
        }
        if !is_waited_for && is_for_lost_resource(message) {
            return Outcome::Pass;
        }
        if ctx.origin == Origin::Returned && message.payloads().any(|p| is_our_delay(&p, ctx)) {
            // It came out of the log, where it still waits: its reader is gone
            // and the cursor has not moved.
            ctx.targets.is_stored = true;
            return Outcome::Pass;
        }
        if !ctx.account.is_served() {
            // RFC 6121 §8.5.1: a name without an account is silent like a user
            // who is away.
            ctx.targets.is_stored = true;
            return Outcome::Pass;
        }
        if self.is_full(&ctx.account.offline, message) {
            if is_taken {
                return Outcome::Skip("too many messages wait for the session in line".into());
            }
            metrics::offline_refused();
            // §2: the sender learns that it was not taken.
            let full = StanzaError::new(Condition::ServiceUnavailable)
                .text("this user has too many messages waiting");
            return Outcome::Reject(full);
        }
        if message.head.from.is_none() {
            return Outcome::Skip("a message without a sender is not kept".into());
        }
        if ctx.account.lasting != Lasting::Stored {
            return Outcome::Skip("nothing is kept for an anonymous account".into());
        }
        let kept = Kept {
            is_offline: true,
            ..Kept::default()
        };
        ctx.keep(kept);
        ctx.targets.is_stored = true;
        metrics::offline_stored();
        Outcome::Pass
    }

    fn is_full(&self, waiting: &Tally, message: &Stanza) -> bool {
        waiting.entries >= self.config.messages_max
            || waiting.bytes + message.content().len() as u64 > self.config.bytes_max
    }
}

/// Begins to hand a session what waits, if anything does.
fn begin(ctx: &mut Ctx, session: SessionId) {
    if ctx.account.offline.entries == 0 {
        return;
    }
    let through = ctx.account.cursors.offline_or_start();
    if let Some(found) = ctx.account.session_mut(session) {
        let tally = Tally::default();
        found.slots.set(Flush { through, tally });
        ctx.follow_up(session);
    }
}

/// A session that takes messages and is not this one.
fn another(ctx: &Ctx, than: SessionId) -> Option<SessionId> {
    let mut others = ctx.account.sessions.iter();
    let other = others.find(|other| other.id != than && other.is_reachable());
    other.map(|other| other.id)
}

fn is_reachable(ctx: &Ctx, session: SessionId) -> bool {
    let found = ctx.account.session(session);
    found.is_some_and(Session::is_reachable)
}

/// What the session is being handed, if it is.
fn flush(ctx: &Ctx, session: SessionId) -> Option<Flush> {
    ctx.account.session(session)?.slots.get().copied()
}

/// The sessions that are being handed what waited.
fn flushing(ctx: &Ctx) -> impl Iterator<Item = SessionId> {
    let sessions = ctx.account.sessions.iter();
    sessions
        .filter(|session| session.slots.get::<Flush>().is_some())
        .map(|session| session.id)
}

/// What was handed over has arrived: it does not wait any more.
fn advance(ctx: &mut Ctx, Flush { through, tally }: Flush) {
    if tally.entries > 0 {
        let after = ctx.account.cursors.offline_or_start();
        ctx.account.offline.subtract(tally);
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

fn hand_over(ctx: &mut Ctx, session: SessionId, page: &[Entry]) {
    let (page, tally) = cut(page);
    let Some(last) = page.last() else {
        return;
    };
    if let Some(found) = ctx.account.session_mut(session) {
        let through = last.position;
        found.slots.set(Flush { through, tally });
    }
    for entry in page {
        if ctx.account.has_blocked(&entry.peer) {
            continue; // XEP-0191 §3.3: blocked after it was stored.
        }
        match delayed(ctx, entry) {
            Some(message) => ctx.deliver(session, message),
            None => tracing::error!(
                account = %ctx.account.jid,
                position = %entry.position,
                "a stored message cannot be read; it is left out"
            ),
        }
    }
    ctx.report_drained(session);
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

fn finish(ctx: &mut Ctx, session: SessionId) {
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

/// Whether a payload is a delay in our name. XEP-0203 §2: only we can know how
/// long a message waited here, so one that arrives with it is lying.
pub(crate) fn is_our_delay(payload: &Payload<'_>, ctx: &Ctx) -> bool {
    payload.is(ns::DELAY, "delay")
        && payload.attribute("from").is_some_and(|from| {
            Jid::parse(from.trim()).is_ok_and(|from| ctx.account.is_host(&from))
        })
}

/// RFC 6121 §8.5.3.2.1: only chat falls back to the bare JID when its resource
/// is gone.
fn is_for_lost_resource(message: &Stanza) -> bool {
    let is_full = message.head.to.as_ref().is_some_and(Jid::is_full);
    is_full && message.head.type_ != Type::Chat
}

/// XEP-0085 §5.1: nothing but news of typing, perhaps with marks around it.
fn is_chat_state(message: &Stanza) -> bool {
    matches!(message.head.type_, Type::Normal | Type::Chat)
        && message
            .payloads()
            .any(|payload| payload.ns() == ns::CHAT_STATES)
        && !content::says_something(message)
}
