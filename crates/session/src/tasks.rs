//! What each kind of work does at an account. Every one of these is a function
//! from an account and a task to a context full of effects.

use std::sync::Arc;

use starling_link::{
    Close, Frame, Issue, MessageId, Receipt, Routed, SessionId, SessionInfo, is_ahead,
};
use starling_store::account::Change;
use starling_xmpp::credentials::Fingerprint;
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::oneshot;

use crate::account::Lasting;
use crate::effects::Effect;
use crate::feature::BoxFuture;
use crate::work::{Alarm, Task};
use crate::{
    Ctx, Event, Origin, bind, inbound, management, metrics, outbound, outbox, pending, pipeline,
    presence, reattach, reject, returned, sent,
};

/// How far a piece of work has come.
pub(crate) enum Handling {
    /// It is done. Nearly all work is, at once.
    Done(Box<Ctx>),
    /// Its handler waits for a read; the account waits with it.
    Waiting(BoxFuture<'static, Box<Ctx>>),
}

impl Handling {
    /// Does something more when the work is done.
    fn then(self, more: impl FnOnce(&mut Ctx) + Send + 'static) -> Self {
        match self {
            Self::Done(mut ctx) => {
                more(&mut ctx);
                Self::Done(ctx)
            }
            Self::Waiting(handler) => Self::Waiting(Box::pin(async move {
                let mut ctx = handler.await;
                more(&mut ctx);
                ctx
            })),
        }
    }
}

/// Does one piece of work at an account.
pub(crate) fn run(ctx: Box<Ctx>, task: Task) -> Handling {
    // A session that was bound is told of with what features say to it.
    match follow_up(begin(ctx, task)) {
        Handling::Done(ctx) if ctx.binding.is_none() => Handling::Done(ctx),
        handling => handling.then(bind::tell),
    }
}

fn begin(mut ctx: Box<Ctx>, task: Task) -> Handling {
    match task {
        Task::Frame(frame) => return self::frame(ctx, frame),
        Task::Bind(request, answer) => bind::bind(&mut ctx, *request, answer),
        Task::Resume(request, answer) => management::resume(&mut ctx, *request, answer),
        Task::Sessions(answer) => sessions(&ctx, answer),
        Task::Kick {
            session,
            why,
            answer,
        } => kick(&mut ctx, session, why, answer),
        Task::Change {
            changes,
            basis,
            answer,
        } => change(&mut ctx, changes, basis, answer),
        Task::Remove(answer) => remove(&mut ctx, answer),
        Task::Overflowed(session) => returned::end(&mut ctx, session, Close::ResourceConstraint),
        Task::Undelivered(outgoing) => returned::late(&mut ctx, *outgoing),
        Task::Reattach(request, answer) => reattach::reattach(&mut ctx, *request, answer),
        Task::Recover => returned::recover(&mut ctx),
        Task::Keep(keep) => outbox::keep(&mut ctx, *keep),
        Task::Alarm(alarm) => rung(&mut ctx, alarm),
    }
    Handling::Done(ctx)
}

fn frame(mut ctx: Box<Ctx>, frame: Frame) -> Handling {
    let is_current = |ctx: &Ctx, id, attach| {
        let found = ctx.account.session(id);
        found.is_some_and(|session| session.attach == attach)
    };
    match frame {
        Frame::FromClient {
            session,
            attach,
            number,
            stanza,
            trace: _,
        } if is_current(&ctx, session.id, attach) => {
            return from_client(ctx, session.id, number, stanza);
        }
        Frame::Answered {
            session,
            attach,
            number,
            answer,
        } if is_current(&ctx, session.id, attach) => {
            answered(&mut ctx, session.id, number, answer);
        }
        Frame::Acked {
            session,
            attach,
            number,
        } if is_current(&ctx, session.id, attach) => {
            management::acked(&mut ctx, session.id, number);
        }
        Frame::Detach {
            session,
            attach,
            how,
            acked,
        } if is_current(&ctx, session.id, attach) => {
            if let Some(number) = acked {
                management::acked(&mut ctx, session.id, number);
            }
            management::detach(&mut ctx, session.id, how);
        }
        Frame::Detach {
            session,
            attach,
            acked,
            ..
        } => returned::closed(&mut ctx, session.id, attach, acked),
        Frame::Enable {
            session,
            attach,
            number,
            request,
        } if is_current(&ctx, session.id, attach) => {
            management::enable(&mut ctx, session.id, number, request);
        }
        Frame::ClientState {
            session,
            attach,
            is_active,
        } if is_current(&ctx, session.id, attach) => {
            pipeline::fire(&mut ctx, session.id, &Event::ClientState { is_active });
        }
        Frame::Routed(routed) => return arrived(ctx, routed),
        // Its session ended, or has another stream now.
        Frame::FromClient { .. }
        | Frame::Answered { .. }
        | Frame::Acked { .. }
        | Frame::Enable { .. }
        | Frame::ClientState { .. } => {}
    }
    Handling::Done(ctx)
}

fn rung(ctx: &mut Ctx, alarm: Alarm) {
    match alarm {
        Alarm::Expired { id, attach } => management::expired(ctx, id, attach),
        Alarm::CaughtUp { id, attach } => management::caught_up(ctx, id, attach),
        Alarm::Overdue { id, attach } => management::overdue(ctx, id, attach),
        Alarm::Closed { id, attach } => returned::closed(ctx, id, attach, None),
        Alarm::Unanswered { id } => pending::look(ctx, id),
        Alarm::Cursor => returned::write_delivered(ctx),
        Alarm::FollowUp { feature, session } => ctx.follow_ups.push((feature, session)),
    }
}

/// Lets features that found out that they have to read do so. Rare: nearly all
/// work leaves nothing to follow.
fn follow_up(handling: Handling) -> Handling {
    match handling {
        Handling::Done(ctx) if ctx.follow_ups.is_empty() => Handling::Done(ctx),
        Handling::Done(ctx) => Handling::Waiting(Box::pin(follow_all(ctx))),
        Handling::Waiting(handler) => {
            Handling::Waiting(Box::pin(async move { follow_all(handler.await).await }))
        }
    }
}

async fn follow_all(mut ctx: Box<Ctx>) -> Box<Ctx> {
    let env = Arc::clone(&ctx.env);
    while !ctx.follow_ups.is_empty() {
        for (feature, session) in std::mem::take(&mut ctx.follow_ups) {
            ctx.feature = feature;
            env.registry
                .feature(feature)
                .follow_up(session, &mut ctx)
                .await;
        }
    }
    ctx
}

/// The number of the client's next stanza; `None` if it is not the next.
fn receipt(ctx: &mut Ctx, session: SessionId, number: u32) -> Option<Receipt> {
    match ctx.account.session(session)?.ledger.issue(number) {
        Issue::Next(receipt) => Some(receipt),
        Issue::Known => None,
        Issue::Gap => {
            tracing::error!(account = %ctx.account.jid, number, "stanzas of a client are missing");
            returned::end(ctx, session, Close::InternalServerError);
            None
        }
    }
}

fn answered(ctx: &mut Ctx, session: SessionId, number: u32, answer: Option<Stanza>) {
    let Some(receipt) = receipt(ctx, session, number) else {
        return;
    };
    if let Some(answer) = answer {
        ctx.deliver(session, answer);
    }
    ctx.effects.releases.push(Effect::Settle(receipt));
}

fn from_client(mut ctx: Box<Ctx>, session: SessionId, number: u32, stanza: Stanza) -> Handling {
    let Some(receipt) = receipt(&mut ctx, session, number) else {
        return Handling::Done(ctx);
    };
    ctx.origin = Origin::Session(session);
    ctx.number = Some(number);
    ctx.may_have_come = may_have_come(&mut ctx, session, number);
    if ctx.is_store_stuck() && reject::unstorable(&mut ctx, session, &stanza) {
        ctx.effects.at_once.push(Effect::Settle(receipt));
        return Handling::Done(ctx);
    }
    outbound::handle(ctx, stanza).then(move |ctx| {
        // Whoever it goes on to has a part in it: the client is not told that
        // it is dealt with, and gets no credit, before they have stored theirs.
        for effect in &mut ctx.effects.releases {
            if let Effect::Route { receipt: open, .. } = effect {
                *open = Some(receipt.share());
            }
        }
        ctx.effects.releases.push(Effect::Settle(receipt));
    })
}

/// Whether an earlier owner of the account may have handled a stanza: then its
/// recipient, whose memory of what came is short, looks for it.
fn may_have_come(ctx: &mut Ctx, session: SessionId, number: u32) -> bool {
    let Some(session) = ctx.account.session_mut(session) else {
        return false;
    };
    session.said_before = session.said_before.filter(|said| !is_ahead(number, *said));
    session.said_before.is_some()
}

fn arrived(mut ctx: Box<Ctx>, routed: Routed) -> Handling {
    ctx.id = routed.id;
    let is_known = routed.id.is_some_and(|id| !ctx.account.recent.note(id));
    let has_come = sent::sender(&routed.stanza, &ctx)
        .and_then(|(from, id)| ctx.account.came.note(&from, id, routed.is_repeated));
    let handling = if is_known || (routed.is_repeated && has_come == Some(true)) {
        // It came again: what it led to is on its way to the store, or there.
        metrics::repeated("memory");
        Handling::Done(ctx)
    } else if routed.is_repeated && has_come.is_none() {
        Handling::Waiting(Box::pin(repeated(ctx, routed.stanza)))
    } else {
        let from = sent::sender(&routed.stanza, &ctx);
        inbound::handle(ctx, routed.stanza).then(|ctx| forget_refused(ctx, from))
    };
    match routed.receipt {
        Some(receipt) => handling.then(move |ctx| {
            if ctx.is_refused {
                reject::wait_for_answers(ctx, &receipt);
            }
            ctx.effects.releases.push(Effect::Settle(receipt));
        }),
        None => handling,
    }
}

/// A message whose sender does not know what became of it.
async fn repeated(mut ctx: Box<Ctx>, stanza: Stanza) -> Box<Ctx> {
    let from = sent::sender(&stanza, &ctx);
    if sent::has_come(&stanza, &mut ctx).await {
        metrics::repeated("log");
        return ctx;
    }
    let mut ctx = match inbound::handle(ctx, stanza) {
        Handling::Done(ctx) => ctx,
        Handling::Waiting(handler) => handler.await,
    };
    forget_refused(&mut ctx, from);
    ctx
}

/// Its sender was told that nobody takes it, and may try again.
fn forget_refused(ctx: &mut Ctx, from: Option<(BareJid, MessageId)>) {
    if ctx.is_refused
        && let Some((from, id)) = from
    {
        ctx.account.recent.forget(id);
        ctx.account.came.forget(&from, id);
    }
}

fn sessions(ctx: &Ctx, answer: oneshot::Sender<Vec<SessionInfo>>) {
    let _ = answer.send(
        ctx.account
            .sessions
            .iter()
            .map(crate::Session::info)
            .collect(),
    );
}

fn kick(ctx: &mut Ctx, which: Option<SessionId>, why: Close, answer: oneshot::Sender<bool>) {
    let ids: Vec<SessionId> = ctx
        .account
        .sessions
        .iter()
        .map(|session| session.id)
        .filter(|id| which.is_none_or(|which| which == *id))
        .collect();
    let is_any = !ids.is_empty();
    for id in ids {
        returned::end(ctx, id, why);
    }
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        let _ = answer.send(is_any);
    })));
}

fn change(
    ctx: &mut Ctx,
    changes: Vec<Change>,
    basis: Option<Fingerprint>,
    answer: oneshot::Sender<Result<Fingerprint, starling_link::Error>>,
) {
    let done = if ctx.account.lasting != Lasting::Stored {
        Err(starling_link::Error::NoAccount)
    } else if basis.is_some_and(|basis| basis != ctx.account.fingerprint) {
        Err(starling_link::Error::Stale)
    } else {
        for change in changes {
            let name = match &change {
                Change::SetAttribute { name, .. } => Some(name.clone()),
                _ => None,
            };
            ctx.write(change);
            if let Some(name) = name {
                let event = Event::AttributeSet { name: &name };
                pipeline::fire(ctx, SessionId(0), &event);
            }
        }
        Ok(ctx.account.fingerprint)
    };
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        let _ = answer.send(done);
    })));
}

fn remove(ctx: &mut Ctx, answer: oneshot::Sender<Result<bool, starling_link::Error>>) {
    let was_there = ctx.account.lasting == Lasting::Stored;
    if was_there {
        erase(ctx);
    }
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        let _ = answer.send(Ok(was_there));
    })));
}

/// Ends every session, tells every contact, and erases all that is stored.
pub(crate) fn erase(ctx: &mut Ctx) {
    let ids: Vec<SessionId> = ctx
        .account
        .sessions
        .iter()
        .map(|session| session.id)
        .collect();
    for id in ids {
        returned::end(ctx, id, Close::NotAuthorized);
    }
    presence::account_removed(ctx);
    // What their clients do not take any more is nobody's.
    ctx.account.closing.clear();
    ctx.account.owed.clear();
    // Whatever was written before in this handling would come back to life.
    ctx.effects.writes.clear();
    ctx.write(Change::Remove);
    ctx.account.lasting = Lasting::Session;
}
