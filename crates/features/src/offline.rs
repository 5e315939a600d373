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
//! (XEP-0313), whose retention is its own affair. A client that reads its
//! archive is not handed what it finds there. The handing over is in `flush`,
//! what a client is spared in `spared`.

mod flush;
mod spared;
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
use starling_store::Error;
use starling_store::archive::{TALLY_ENTRIES_MAX, Tally};
use starling_xmpp::{Condition, Jid, Stanza, StanzaError, Type, ns};

use crate::forged::is_our_delay;
use crate::mam::{self, Retention};
use crate::{carbons, content, metrics};
use flush::{another, begin, finish, flush, flushing};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(160),
    version: "1.0.1",
    disco: &[ns::OFFLINE_FEATURE],
    disco_account: &[],
};

const ALSO: &[Manifest] = &[Manifest {
    spec: Spec::Xep(334),
    version: "1.0.0",
    disco: &[],
    disco_account: &[],
}];

const HOOKS: &[Hook] = &[
    Hook::message(Side::Recipient, Phase::Archive),
    Hook::on(EventKind::Bound),
    Hook::on(EventKind::Reachable),
    Hook::on(EventKind::Drained),
    Hook::on(EventKind::Unavailable),
];

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
    retention: Retention,
}

/// In the slots of a session that was just bound by Bind 2: what it finds in
/// the archive does not wait any more (XEP-0386 §3.2).
struct Clears;

impl Offline {
    pub(crate) fn new(config: &crate::Config) -> Self {
        Self {
            config: config.offline.clone(),
            retention: Retention::new(config.archive.clone()),
        }
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

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
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
            // What came back from an older session of this client is not in
            // the store yet: then it is looked at when it takes messages.
            Event::Bound { inline }
                if mam::is_bind2(inline)
                    && ctx.account.offline.entries > 0
                    && !ctx.has_written() =>
            {
                if let Some(found) = ctx.account.session_mut(session) {
                    found.slots.set(Clears);
                }
                ctx.follow_up(session);
            }
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

    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        flush::note(session)
    }

    fn recall(&self, note: &[u8], session: SessionId, ctx: &mut Ctx) {
        flush::recall(note, session, ctx);
    }

    fn follow_up<'a>(&'a self, session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let found = ctx.account.session_mut(session);
            let clears = found.and_then(|found| found.slots.take::<Clears>());
            let read = match clears {
                Some(Clears) => spared::clear(session, &self.retention, ctx).await,
                None => flush::go_on(session, &self.retention, ctx).await,
            };
            if let Err(error) = read {
                // The cursor stays where it is.
                let account = &ctx.account.jid;
                tracing::error!(%account, %error, "waiting messages could not be read");
                match error {
                    // What comes meanwhile joins the line.
                    Error::Unavailable { .. } => flush::try_again(ctx, session),
                    // The next session gets them.
                    _ => finish(ctx, session),
                }
            }
        })
    }
}

impl Offline {
    /// Keeps a message that nobody takes, or that has to wait for its turn.
    fn keep(&self, message: &Stanza, ctx: &mut Ctx) -> Outcome {
        if ctx.is_kept_anyway() && spared::is_found_by_all(ctx) {
            // XEP-0386 §3.2: it came back from an older session.
            ctx.targets.is_stored = true;
            return Outcome::Pass;
        }
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
        if is_taken && is_waited_for {
            has_at_once(ctx);
        }
        if !is_waited_for && is_for_lost_resource(message) && !ctx.is_kept_anyway() {
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
            if ctx.is_kept_anyway() {
                ctx.targets.is_stored = true;
                return Outcome::Skip("too many messages wait; it is in the archive".into());
            }
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

/// Who takes a message at once that waits for others is not handed it again,
/// should it be handed what waits.
fn has_at_once(ctx: &mut Ctx) {
    let position = ctx.place().position;
    for id in ctx.targets.sessions.clone() {
        if let Some(session) = ctx.account.session_mut(id) {
            carbons::note(session, position);
        }
    }
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
