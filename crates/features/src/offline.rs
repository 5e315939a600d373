//! XEP-0160: Best Practices for Handling Offline Messages, version 1.0.1, with
//! the stamps of XEP-0203.
//!
//! A message that no session takes waits in the account's log; the first
//! session that is reachable gets all that waits, page by page at the pace its
//! client reads, and the account's cursor follows. Nothing is deleted here:
//! the log has its own retention.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_session::{
    BoxFuture, Ctx, Event, EventKind, Feature, Hook, Manifest, Outcome, Phase, SessionId, Side,
    Spec,
};
use starling_store::archive::{Direction, Entry, Query, Tally};
use starling_store::{Position, cursor};
use starling_xmpp::payload::delay::Delay;
use starling_xmpp::payload::hints::Hints;
use starling_xmpp::{Condition, Stanza, StanzaError, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(160),
    version: "1.0.1",
    disco: &[ns::OFFLINE_FEATURE],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[
    Hook::message(Side::Recipient, Phase::Archive),
    Hook::on(EventKind::Reachable),
    Hook::on(EventKind::Drained),
];

/// Messages handed to a client before it is waited for.
const PAGE_MESSAGES: usize = 50;

/// `[session.features.offline]`: messages for absent users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Messages that may wait for one account. The sender of one more is told
    /// that it was not taken.
    pub messages_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            messages_max: 10_000,
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
    /// How many it has.
    messages: u64,
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

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if !is_storable(message) {
            return Outcome::Pass;
        }
        // RFC 6121 §8.5.3.2.1: a resource that is gone leaves no normal message.
        let is_for_resource = message.head.to.as_ref().is_some_and(|to| to.is_full());
        let is_normal = message.head.type_ == Type::Normal;
        if is_normal && is_for_resource && ctx.targets.sessions.is_empty() {
            return Outcome::Pass;
        }
        // While older messages are still on their way to a session, a new one
        // joins the end of that line instead of overtaking them.
        let in_line: Vec<SessionId> = flushing(ctx).collect();
        ctx.targets
            .sessions
            .retain(|session| !in_line.contains(session));
        if !ctx.targets.sessions.is_empty() && in_line.is_empty() {
            return Outcome::Pass;
        }
        if ctx.account.offline.entries >= self.config.messages_max {
            // XEP-0160 §2: the sender learns that it was not taken.
            let full = StanzaError::new(Condition::ServiceUnavailable)
                .text("this user has too many messages waiting");
            return Outcome::Reject(full);
        }
        let Some(from) = message.head.from.clone() else {
            return Outcome::Skip("a message without a sender is not kept".into());
        };
        ctx.append(message, from, Direction::In, true);
        ctx.targets.is_stored = true;
        Outcome::Pass
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        match event {
            Event::Reachable if ctx.account.offline.entries > 0 && flushing(ctx).count() == 0 => {
                let through = ctx.account.cursors.offline_or_start();
                if let Some(found) = ctx.account.session_mut(session) {
                    found.slots.set(Flush {
                        through,
                        messages: 0,
                    });
                    ctx.follow_up(session);
                }
            }
            Event::Drained if flush(ctx, session).is_some() => ctx.follow_up(session),
            _ => {}
        }
    }

    fn follow_up<'a>(&'a self, session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(written) = flush(ctx, session) else {
                return;
            };
            advance(ctx, written);
            let owner = ctx.account.jid.clone();
            let query = Query::after(written.through, PAGE_MESSAGES).offline_only();
            match ctx.store().await.archive_page(&owner, &query).await {
                Ok(page) if page.is_empty() => {
                    ctx.account.offline = Tally::default();
                    finish(ctx, session);
                }
                Ok(page) => hand_over(ctx, session, page),
                Err(error) => {
                    // The cursor stays where it is: the next session gets them.
                    tracing::error!(account = %owner, %error, "waiting messages could not be read");
                    finish(ctx, session);
                }
            }
        })
    }
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

/// What was handed over is written to the client: it does not wait any more.
fn advance(ctx: &mut Ctx, written: Flush) {
    if written.messages > 0 {
        let waiting = &mut ctx.account.offline;
        waiting.entries = waiting.entries.saturating_sub(written.messages);
        let change = cursor::Change::SetOffline(written.through);
        ctx.account.cursors.apply(&change);
        ctx.write(change);
    }
}

fn hand_over(ctx: &mut Ctx, session: SessionId, page: Vec<Entry>) {
    let Some(last) = page.last() else {
        return;
    };
    let on_its_way = Flush {
        through: last.position,
        messages: page.len() as u64,
    };
    if let Some(found) = ctx.account.session_mut(session) {
        found.slots.set(on_its_way);
    }
    for entry in &page {
        match delayed(ctx, entry) {
            Some(message) => ctx.deliver(session, message),
            None => tracing::error!(
                account = %ctx.account.jid,
                position = %entry.position,
                "a stored message cannot be read; it stays in the log and is left out"
            ),
        }
    }
    ctx.report_drained(session);
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

/// XEP-0160 §3: what is worth keeping until somebody is there.
fn is_storable(message: &Stanza) -> bool {
    if !matches!(message.head.type_, Type::Normal | Type::Chat) {
        return false;
    }
    let hints = Hints::of(message);
    if hints.is_no_store {
        return false; // XEP-0334 §4.2.
    }
    hints.is_store
        || message
            .payloads()
            .any(|payload| is_content(payload.ns(), payload.name()))
}

/// Whether a payload says anything that still matters later: typing
/// notifications (XEP-0085 §5.1) and the marks around a message do not.
fn is_content(namespace: &str, name: &str) -> bool {
    match namespace {
        ns::CHAT_STATES | ns::HINTS | ns::SID | ns::DELAY => false,
        ns::CLIENT => name != "thread",
        _ => true,
    }
}
