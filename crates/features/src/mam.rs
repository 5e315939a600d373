//! XEP-0313: Message Archive Management, version 1.1.3, for user archives, with
//! the preferences of XEP-0441 and the pages of XEP-0059.
//!
//! The archive is the account's log: here is said which entries belong to it,
//! and they are shown to their owner. Reading a request is the business of
//! `query`, answering it of `page`, one after the other of `reader`; `prefs`
//! knows what the user wants kept, and `retention` for how long the operator
//! does. Rooms have archives of their own.

mod page;
mod prefs;
mod query;
mod reader;
mod retention;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_session::{
    BoxFuture, Ctx, Event, EventKind, Feature, Hook, Kept, Manifest, Origin, Outcome, Phase,
    Session, SessionId, Side, Spec, To,
};
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, Type, ns};

pub(crate) use prefs::Scope;
pub(crate) use reader::{finds_until, is_bind2};
pub(crate) use retention::{Limits, Retention};

use crate::{content, forged};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(313),
    version: "1.1.3",
    disco: &[],
    disco_account: &[ns::MAM, ns::MAM_EXTENDED, ns::MAM_GROUPCHAT_FIELD],
};

const ALSO: &[Manifest] = &[
    Manifest {
        spec: Spec::Xep(59),
        version: "1.0",
        disco: &[],
        disco_account: &[ns::RSM],
    },
    Manifest {
        spec: Spec::Xep(441),
        version: "0.2.0",
        disco: &[],
        disco_account: &[],
    },
];

// Of every account, so that a stranger is told the same of one that does not
// exist.
const HOOKS: &[Hook] = &[
    Hook::message(Side::Both, Phase::Archive),
    Hook::iq_get(To::Account, ns::MAM, "query"),
    Hook::iq_set(To::Account, ns::MAM, "query"),
    Hook::iq_get(To::Account, ns::MAM, "metadata"),
    Hook::iq_get(To::Account, ns::MAM, "prefs"),
    Hook::iq_set(To::Account, ns::MAM, "prefs"),
    Hook::on(EventKind::Bound),
    Hook::on(EventKind::Drained),
    Hook::on(EventKind::Available),
    Hook::on(EventKind::AttributeSet),
];

/// `[session.features.archive]`: what users have said and were told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is archived for users who have set nothing else (XEP-0441):
    /// `"always"`, `"never"`, or `"roster"` for what they exchange with
    /// contacts.
    pub default: Scope,
    /// Days after which messages are removed from archives; 0 keeps them for
    /// ever. Older ones are not shown from then on, and removed when the user
    /// comes online, or gets or sends a message; what still waits for its
    /// reader stays. For single hosts: `host_keep_days = { "example.org" = 30 }`;
    /// for single users: `starling user archive`.
    pub keep_days: u32,
    /// The same for single hosts, by their names.
    pub host_keep_days: BTreeMap<String, u32>,
}

/// Follows up on what is the account's, and of no session.
const OF_ACCOUNT: SessionId = SessionId(0);

pub(crate) struct Archive {
    default: Scope,
    retention: Retention,
}

impl Archive {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            default: config.default,
            retention: Retention::new(config),
        }
    }
}

impl Feature for Archive {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn also(&self) -> &'static [Manifest] {
        ALSO
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        reader::note(session)
    }

    fn recall(&self, note: &[u8], session: SessionId, ctx: &mut Ctx) {
        reader::recall(note, session, ctx);
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if self.is_archived(message, ctx) {
            ctx.keep(Kept {
                is_archived: true,
                ..Kept::default()
            });
            if self.retention.is_due(ctx) {
                ctx.follow_up(OF_ACCOUNT);
            }
        }
        Outcome::Pass
    }

    fn event(&self, event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
        match event {
            Event::Bound { inline } if is_bind2(inline) => {
                reader::begin(session, ctx);
                ctx.follow_up(session);
            }
            Event::Drained if reader::is_free_now(session, ctx) => ctx.follow_up(session),
            Event::Available { .. } if self.retention.is_due(ctx) => ctx.follow_up(OF_ACCOUNT),
            Event::AttributeSet { name } if retention::note(name, ctx) => {
                ctx.follow_up(OF_ACCOUNT);
            }
            _ => {}
        }
    }

    fn follow_up<'a>(&'a self, session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if session == OF_ACCOUNT {
                self.retention.apply(ctx).await;
            } else if !reader::tell_metadata(session, &self.retention, ctx).await {
                reader::go_on(session, &self.retention, ctx).await;
            }
        })
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.answer(iq, ctx).await {
                Ok(Some(answer)) => {
                    ctx.send(iq.result_with(&answer));
                    Outcome::Done
                }
                Ok(None) => Outcome::Done,
                Err(error) => Outcome::Reject(error),
            }
        })
    }
}

impl Archive {
    /// `None` for what is answered later, or was.
    async fn answer(&self, iq: &Stanza, ctx: &mut Ctx) -> Result<Option<Element>, StanzaError> {
        let asker = iq.head.from.as_ref();
        if !asker.is_some_and(|asker| ctx.account.is_self(asker)) {
            // §8.1.
            return Err(StanzaError::new(Condition::Forbidden));
        }
        let Some(asked) = iq.first_payload().map(|payload| payload.element()) else {
            return Err(StanzaError::new(Condition::BadRequest));
        };
        Ok(Some(match (asked.name(), iq.head.type_) {
            ("query", Type::Set) => {
                reader::ask(iq, &asked, &self.retention, ctx).await?;
                return Ok(None);
            }
            ("query", _) => query::form(),
            ("metadata", _) => page::metadata(&self.retention, ctx).await?,
            ("prefs", Type::Set) => prefs::set(&asked, ctx)?,
            _ => prefs::get(self.default, ctx),
        }))
    }

    /// §6.1.1: what the user said and was told, once.
    fn is_archived(&self, message: &Stanza, ctx: &mut Ctx) -> bool {
        if !content::is_archived(message) {
            return false;
        }
        let peer = match ctx.side() {
            Side::Sender => message.head.to.as_ref(),
            Side::Recipient | Side::Both => message.head.from.as_ref(),
        };
        let Some(peer) = peer else {
            return false;
        };
        if ctx.side() == Side::Sender {
            // What is said to oneself is archived as it arrives.
            return !ctx.account.is_self(peer) && prefs::admits(self.default, peer, ctx);
        }
        !is_bounced(message, ctx)
            && !is_in_log(message, ctx)
            && prefs::admits(self.default, peer, ctx)
    }
}

/// RFC 6121 §8.5.3.2.1: for a resource that is gone all but chat goes back to
/// its sender. §6.1: so it is not in the archive.
fn is_bounced(message: &Stanza, ctx: &Ctx) -> bool {
    let is_full = message.head.to.as_ref().is_some_and(Jid::is_full);
    let is_nobodys = ctx.targets.sessions.is_empty() && !ctx.targets.is_stored;
    is_nobodys && is_full && message.head.type_ != Type::Chat
}

/// Whether the message came out of the log, where it still is: it waited, and
/// its reader was gone before it had it.
fn is_in_log(message: &Stanza, ctx: &Ctx) -> bool {
    ctx.origin == Origin::Returned
        && message
            .payloads()
            .any(|payload| forged::is_our_delay(&payload, ctx))
}
