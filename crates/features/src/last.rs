//! XEP-0012: Last Activity, version 2.0, for hosts and accounts.
//!
//! When an account was last here is noted by the engine as its last session
//! leaves; how long a client has been idle is for the client to answer.

use starling_session::{BoxFuture, Ctx, Feature, Hook, LastSeen, Manifest, Outcome, Spec, To};
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, UnixMillis, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(12),
    version: "2.0",
    disco: &[ns::LAST],
    disco_account: &[ns::LAST],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::LAST, "query"),
    Hook::iq_get(To::Host, ns::LAST, "query"),
];

const SECOND_MILLIS: i64 = 1_000;

pub(crate) struct Last {
    /// When this node started, for §5.
    started_at: UnixMillis,
}

impl Last {
    pub(crate) fn new(started_at: UnixMillis) -> Self {
        Self { started_at }
    }
}

impl Feature for Last {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, query: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let is_host = query
            .head
            .to
            .as_ref()
            .is_some_and(|to| to.local().is_none());
        let answer = if is_host {
            Ok(seconds(self.started_at, ctx.now())) // §5: how long it has been up.
        } else {
            of_account(ctx, query.head.from.as_ref())
        };
        let outcome = match answer {
            Ok(answer) => {
                ctx.send(query.result_with(&answer));
                Outcome::Done
            }
            Err(condition) => Outcome::Reject(StanzaError::new(condition)),
        };
        Box::pin(std::future::ready(outcome))
    }
}

fn of_account(ctx: &Ctx, asker: Option<&Jid>) -> Result<Element, Condition> {
    if !asker.is_none_or(|asker| may_know(ctx, asker)) {
        return Err(Condition::Forbidden); // §3.
    }
    let now = ctx.now();
    if ctx.account.available().next().is_some() {
        return Ok(seconds(now, now)); // §3: somebody is there.
    }
    match &ctx.account.last_seen {
        Some(LastSeen { at, status }) => {
            Ok(seconds(*at, now).text(status.as_deref().unwrap_or_default()))
        }
        // It has never been here: nothing to tell, and no way to say so.
        None => Err(Condition::ServiceUnavailable),
    }
}

/// §8: only who sees the account's presence may learn this.
fn may_know(ctx: &Ctx, asker: &Jid) -> bool {
    let contact = Jid::from(asker.to_bare());
    let item = ctx.account.roster.items.get(&contact);
    ctx.account.is_self(asker) || item.is_some_and(|item| item.subscription.has_from())
}

fn seconds(since: UnixMillis, now: UnixMillis) -> Element {
    let seconds = (now.0 - since.0).max(0) / SECOND_MILLIS;
    Element::new(ns::LAST, "query").attr("seconds", seconds.to_string())
}
