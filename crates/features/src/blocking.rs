//! XEP-0191: Blocking Command, version 1.3, with reports by XEP-0377: Blocking
//! Command Reports, version 0.4.1.
//!
//! The list is part of the loaded account, and whether it covers an address is
//! the account's to say, since presence broadcasts ask the same. Blocking is
//! polite (§4): subscriptions stay as they are. Who is told of a change is
//! found in `blocking/shown.rs`, reports are read in `blocking/report.rs`.

mod report;
mod shown;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use starling_session::{
    BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Phase, Session, SessionId, Side, Spec, To,
};
use starling_store::blocklist::Change;
use starling_xmpp::stanza::Kind;
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(191),
    version: "1.3",
    disco: &[ns::BLOCKING],
    disco_account: &[ns::BLOCKING],
};

const ALSO: &[Manifest] = &[Manifest {
    spec: Spec::Xep(377),
    version: "0.4.1",
    disco: &[ns::REPORTING],
    disco_account: &[],
}];

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Own, ns::BLOCKING, "blocklist"),
    Hook::iq_set(To::Own, ns::BLOCKING, "block"),
    Hook::iq_set(To::Own, ns::BLOCKING, "unblock"),
    Hook::message(Side::Both, Phase::Guard),
    Hook::presence(Side::Both, Phase::Guard),
    Hook::passing_iq(Side::Both, Phase::Guard),
];

/// Addresses that one account may block.
const BLOCKED_MAX: usize = 10_000;

pub(crate) struct Blocking;

/// §3.3: in the slots of a session that asked for the list.
struct WantsPushes;

impl Feature for Blocking {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn also(&self) -> &'static [Manifest] {
        ALSO
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let Some(request) = iq.first_payload().map(|payload| payload.element()) else {
            return ready(Outcome::Reject(StanzaError::new(Condition::BadRequest)));
        };
        let done = match request.name() {
            "block" => block(iq, &request, ctx),
            "unblock" => unblock(iq, &request, ctx),
            _ => {
                list(iq, ctx);
                Ok(())
            }
        };
        ready(done.map_or_else(Outcome::Reject, |()| Outcome::Done))
    }

    fn note(&self, session: &Session) -> Option<Vec<u8>> {
        session.slots.get::<WantsPushes>().map(|_| Vec::new())
    }

    fn recall(&self, _note: &[u8], session: SessionId, ctx: &mut Ctx) {
        if let Some(session) = ctx.account.session_mut(session) {
            session.slots.set(WantsPushes);
        }
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        guard(message, ctx)
    }

    fn presence(&self, _phase: Phase, presence: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        guard(presence, ctx)
    }

    fn passing_iq(&self, _phase: Phase, iq: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        guard(iq, ctx)
    }
}

fn ready<'a>(outcome: Outcome) -> BoxFuture<'a, Outcome> {
    Box::pin(std::future::ready(outcome))
}

/// §3.3: nothing passes between the account and whom it has blocked.
fn guard(stanza: &Stanza, ctx: &Ctx) -> Outcome {
    if ctx.account.blocklist.is_empty() {
        return Outcome::Pass;
    }
    let is_ours = ctx.side() == Side::Sender;
    let other = if is_ours {
        &stanza.head.to
    } else {
        &stanza.head.from
    };
    if !other
        .as_ref()
        .is_some_and(|other| ctx.account.has_blocked(other))
    {
        return Outcome::Pass;
    }
    if is_ours {
        let blocked = Element::new(ns::BLOCKING_ERRORS, "blocked");
        return Outcome::Reject(StanzaError::new(Condition::NotAcceptable).app(blocked));
    }
    match stanza.head.kind {
        Kind::Presence => Outcome::Done,
        // An error or a result is not answered by whoever answers.
        Kind::Message | Kind::Iq => {
            Outcome::Reject(StanzaError::new(Condition::ServiceUnavailable))
        }
    }
}

/// §3.2: the list, and from now on its changes.
fn list(iq: &Stanza, ctx: &mut Ctx) {
    let items = ctx.account.blocklist.iter().map(item);
    let list = Element::new(ns::BLOCKING, "blocklist").with_children(items);
    if let Some(session) = ctx.session_mut() {
        session.slots.set(WantsPushes);
    }
    ctx.send(iq.result_with(&list));
}

/// §3.3.
fn block(iq: &Stanza, request: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    let jids = addresses(request)?;
    if jids.is_empty() {
        return Err(StanzaError::new(Condition::BadRequest).text("whom to block is missing"));
    }
    let is_new = |jid: &&Jid| !ctx.account.blocklist.contains(*jid);
    if ctx.account.blocklist.len() + jids.iter().filter(is_new).count() > BLOCKED_MAX {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("the block list is full; unblock someone or block a whole domain"));
    }
    let seen = shown::to_whom(ctx, &jids);
    for jid in &jids {
        apply(ctx, Change::Block(jid.clone()));
    }
    ctx.send(iq.result());
    push(ctx, "block", &jids);
    shown::leave(ctx, seen);
    // XEP-0377 §6: the block comes first and does not depend on the report.
    report::take(request, ctx);
    Ok(())
}

/// §3.4, and §3.5 when it names nobody: everyone.
fn unblock(iq: &Stanza, request: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    let jids = addresses(request)?;
    let named = match jids.is_empty() {
        true => ctx.account.blocklist.iter().cloned().collect(),
        false => jids.clone(),
    };
    let shut_out = shown::shut_out(ctx, &named);
    if jids.is_empty() {
        apply(ctx, Change::Clear);
    }
    for jid in &jids {
        apply(ctx, Change::Unblock(jid.clone()));
    }
    ctx.send(iq.result());
    push(ctx, "unblock", &jids);
    shown::come_back(ctx, shut_out);
    Ok(())
}

/// The `<item/>`s of a request. An empty `<unblock/>` is a request of its own,
/// so one with anything else in it must not pass for empty.
fn addresses(request: &Element) -> Result<Vec<Jid>, StanzaError> {
    let jids = request.children().map(|item| {
        let jid = item
            .attribute("jid")
            .filter(|_| item.is(ns::BLOCKING, "item"));
        Jid::parse(jid.ok_or(Condition::BadRequest)?).map_err(|_| Condition::JidMalformed)
    });
    jids.collect::<Result<_, _>>().map_err(StanzaError::new)
}

fn apply(ctx: &mut Ctx, change: Change) {
    change.apply_to(&mut ctx.account.blocklist);
    ctx.write(change);
}

fn item(jid: &Jid) -> Element {
    Element::new(ns::BLOCKING, "item").attr("jid", jid.as_str())
}

/// §3.3: every session that asked for the list learns of the change.
fn push(ctx: &mut Ctx, name: &str, jids: &[Jid]) {
    let change = Element::new(ns::BLOCKING, name).with_children(jids.iter().map(item));
    let wanting: Vec<SessionId> = ctx
        .account
        .sessions
        .iter()
        .filter(|session| session.slots.get::<WantsPushes>().is_some())
        .map(|session| session.id)
        .collect();
    for session in wanting {
        ctx.request(session, true, &change);
    }
}
