//! XEP-0191: Blocking Command, version 1.3, with reports by XEP-0377: Spam
//! Reporting, version 0.4.1.
//!
//! The list is part of the loaded account, and whether it covers an address is
//! the account's to say, since presence broadcasts ask the same. Reports go to
//! the log, where an operator's tools find them.

use starling_session::{
    BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Phase, SessionId, Side, Spec, To,
};
use starling_store::blocklist::Change;
use starling_xmpp::stanza::Kind;
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(191),
    version: "1.3",
    disco: &[ns::BLOCKING, ns::REPORTING],
    disco_account: &[ns::BLOCKING],
};

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

/// §3.3: nothing passes between the account and whom it has blocked. Which
/// side this is follows from where the stanza comes from.
fn guard(stanza: &Stanza, ctx: &Ctx) -> Outcome {
    if ctx.account.blocklist.is_empty() {
        return Outcome::Pass;
    }
    let is_ours = ctx.session().is_some();
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
    if ctx.account.blocklist.len() + jids.len() > BLOCKED_MAX {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("the block list is full; unblock someone or block a whole domain"));
    }
    report(request, ctx);
    let seen_before = watchers(ctx);
    for jid in &jids {
        apply(ctx, Change::Block(jid.clone()));
    }
    // Those who are shut out by this see the account leave.
    for contact in seen_before {
        if ctx.account.has_blocked(&contact) {
            tell_presence(ctx, &contact, false);
        }
    }
    ctx.send(iq.result());
    push(ctx, "block", &jids);
    Ok(())
}

/// §3.4, and §3.5 when it names nobody: everyone.
fn unblock(iq: &Stanza, request: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    let jids = addresses(request)?;
    let shut_out: Vec<Jid> = contacts(ctx)
        .into_iter()
        .filter(|jid| ctx.account.has_blocked(jid))
        .collect();
    if jids.is_empty() {
        apply(ctx, Change::Clear);
    }
    for jid in &jids {
        apply(ctx, Change::Unblock(jid.clone()));
    }
    for contact in shut_out {
        if !ctx.account.has_blocked(&contact) {
            tell_presence(ctx, &contact, true);
        }
    }
    ctx.send(iq.result());
    push(ctx, "unblock", &jids);
    Ok(())
}

fn addresses(request: &Element) -> Result<Vec<Jid>, StanzaError> {
    let items = request
        .children()
        .filter(|child| child.is(ns::BLOCKING, "item"));
    let jids = items.map(|item| {
        let jid = item.attribute("jid").ok_or(Condition::BadRequest)?;
        Jid::parse(jid).map_err(|_| Condition::JidMalformed)
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

/// Contacts who see the account's presence, and those it was shown to
/// directly.
fn watchers(ctx: &Ctx) -> Vec<Jid> {
    let roster = ctx.account.roster.items.values();
    let contacts = roster
        .filter(|item| item.subscription.has_from())
        .map(|item| item.jid.clone());
    let directed = ctx
        .account
        .sessions
        .iter()
        .flat_map(|session| session.directed.iter().cloned());
    contacts.chain(directed).collect()
}

/// Only contacts are told again: directed presence is the client's to repeat.
fn contacts(ctx: &Ctx) -> Vec<Jid> {
    let roster = ctx.account.roster.items.values();
    roster
        .filter(|item| item.subscription.has_from())
        .map(|item| item.jid.clone())
        .collect()
}

/// Shows a contact each available session as it is, or as gone.
fn tell_presence(ctx: &mut Ctx, contact: &Jid, is_shown: bool) {
    let told: Vec<Stanza> = ctx
        .account
        .available()
        .filter_map(|session| {
            let shown = session.presence.clone()?;
            let gone = Stanza::presence(Type::Unavailable);
            let presence = if is_shown { shown } else { gone };
            Some(presence.from(session.jid.clone()).to(contact.clone()))
        })
        .collect();
    for presence in told {
        ctx.send(presence);
    }
}

/// XEP-0377 §4: a report is for the operator; it changes nothing by itself.
fn report(request: &Element, ctx: &Ctx) {
    for item in request.children() {
        let Some(report) = item.get(ns::REPORTING, "report") else {
            continue;
        };
        tracing::warn!(
            account = %ctx.account.jid,
            reported = item.attribute("jid").unwrap_or_default(),
            reason = report.attribute("reason").unwrap_or("none"),
            text = report.child_text(ns::REPORTING, "text").as_deref().unwrap_or_default(),
            "a user reported abuse"
        );
    }
}
