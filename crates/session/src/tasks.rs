//! What each kind of work does at an account. Every one of these is a function
//! from an account and a task to a context full of effects.

use std::sync::Arc;

use starling_link::{
    Close, Detached, Frame, Issue, Receipt, ResumeError, Routed, SessionId, SessionInfo,
};
use starling_store::account::Change;
use starling_xmpp::Stanza;
use starling_xmpp::credentials::Fingerprint;
use starling_xmpp::stanza::{Kind, Type};
use tokio::sync::oneshot;

use crate::account::Lasting;
use crate::effects::Effect;
use crate::feature::BoxFuture;
use crate::work::Task;
use crate::{Ctx, Event, Origin, bind, inbound, outbound, pipeline, presence, reject};

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
        Task::Resume(_, answer) => {
            let _ = answer.send(Err(ResumeError::Unknown { h: None }));
        }
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
        Task::Undelivered {
            session,
            stanza,
            targets,
        } => return undelivered(ctx, session, stanza, targets.as_deref()),
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
        } if is_current(&ctx, session.id, attach) => acked(&mut ctx, session.id, number),
        Frame::Detach {
            session,
            attach,
            how,
            acked,
        } if is_current(&ctx, session.id, attach) => {
            if let Some(number) = acked {
                self::acked(&mut ctx, session.id, number);
            }
            detach(&mut ctx, session.id, how);
        }
        Frame::Enable {
            session,
            attach,
            number,
            request: _,
        } if is_current(&ctx, session.id, attach) => enable(&mut ctx, session.id, number),
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
        | Frame::ClientState { .. }
        | Frame::Detach { .. } => {}
    }
    Handling::Done(ctx)
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

fn enable(ctx: &mut Ctx, session: SessionId, received: u32) {
    if let Some(found) = ctx.account.session(session) {
        let ring = Arc::clone(&found.ring);
        ctx.effects.releases.push(Effect::Enable { ring, received });
    }
}

fn acked(ctx: &mut Ctx, session: SessionId, number: u32) {
    let found = ctx.account.session(session);
    if found.is_some_and(|found| found.ring.acked(number)) {
        pipeline::fire(ctx, session, &Event::Drained);
    }
}

/// The number of the client's next stanza; `None` if it is not the next.
fn receipt(ctx: &mut Ctx, session: SessionId, number: u32) -> Option<Receipt> {
    match ctx.account.session(session)?.ledger.issue(number) {
        Issue::Next(receipt) => Some(receipt),
        Issue::Known => None,
        Issue::Gap => {
            tracing::error!(account = %ctx.account.jid, number, "stanzas of a client are missing");
            end(ctx, session, Close::InternalServerError);
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

fn arrived(mut ctx: Box<Ctx>, routed: Routed) -> Handling {
    ctx.id = routed.id;
    let handling = inbound::handle(ctx, routed.stanza);
    match routed.receipt {
        Some(receipt) => {
            handling.then(move |ctx| ctx.effects.releases.push(Effect::Settle(receipt)))
        }
        None => handling,
    }
}

fn detach(ctx: &mut Ctx, session: SessionId, how: Detached) {
    ctx.origin = Origin::Session(session);
    presence::ended(ctx, session, how);
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
        end(ctx, id, why);
    }
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        let _ = answer.send(is_any);
    })));
}

/// Ends a session from this side: its client is told, its contacts too.
pub(crate) fn end(ctx: &mut Ctx, session: SessionId, why: Close) {
    ctx.close(session, why);
    ctx.origin = Origin::Session(session);
    presence::ended(ctx, session, Detached::Lost);
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
            ctx.write(change);
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
        end(ctx, id, Close::NotAuthorized);
    }
    presence::account_removed(ctx);
    // Whatever was written before in this handling would come back to life.
    ctx.effects.writes.clear();
    ctx.write(Change::Remove);
    ctx.account.lasting = Lasting::Session;
}

/// A session's queue was full: the session is over. What it did not take goes
/// to the account again if it is a message, and is answered if it is a request.
fn undelivered(
    mut ctx: Box<Ctx>,
    session: SessionId,
    stanza: Stanza,
    targets: Option<&[SessionId]>,
) -> Handling {
    if ctx.account.session(session).is_some() {
        end(&mut ctx, session, Close::ResourceConstraint);
    }
    ctx.origin = Origin::Returned;
    match (stanza.head.kind, stanza.head.type_) {
        (Kind::Message, _) if is_with_others(&ctx, targets) => Handling::Done(ctx),
        (Kind::Message, _) => inbound::handle(ctx, stanza),
        (Kind::Iq, Type::Get | Type::Set) => {
            reject::unavailable(&mut ctx, &stanza);
            Handling::Done(ctx)
        }
        (Kind::Iq | Kind::Presence, _) => Handling::Done(ctx),
    }
}

/// Whether another session that was to get the message is still there. One
/// whose queue was full, too, has ended by the time it sends it back itself,
/// so the last of them finds none.
fn is_with_others(ctx: &Ctx, targets: Option<&[SessionId]>) -> bool {
    let mut targets = targets.unwrap_or_default().iter();
    targets.any(|target| ctx.account.session(*target).is_some())
}
