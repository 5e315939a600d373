//! The border where what went wrong becomes a stanza error. Everything that
//! refuses a stanza does it here, so RFC 6120 §8.3.1 is kept in one place: an
//! error or a result is never answered.

use starling_link::{BindError, Error, Frame, ReattachError, Receipt, ResumeError, SessionId};
use starling_xmpp::stanza::{Kind, Type};
use starling_xmpp::{Condition, Head, Stanza, StanzaError};

use crate::effects::Effect;
use crate::work::Task;
use crate::{Ctx, metrics};

/// Answers a stanza with an error, if it may be answered.
pub(crate) fn reply(ctx: &mut Ctx, stanza: &Stanza, error: &StanzaError) {
    ctx.is_refused = true;
    if let Some(mut answer) = stanza.error(error) {
        if answer.head.from.is_none() {
            answer.head.from = Some(ctx.account.jid.clone().into());
        }
        if answer.head.to.is_some() {
            ctx.send(answer);
        }
    }
}

/// A stanza that was refused is dealt with once its sender has the error: one
/// that is lost on the way must not leave it acknowledged and nowhere.
pub(crate) fn wait_for_answers(ctx: &mut Ctx, receipt: &Receipt) {
    for effect in &mut ctx.effects.releases {
        if let Effect::Route {
            stanza,
            receipt: open @ None,
            ..
        } = effect
            && stanza.head.type_ == Type::Error
        {
            *open = Some(receipt.share());
        }
    }
}

/// Answers that nobody takes it: also for an account that does not exist, so
/// that nobody can find out which do (RFC 6120 §8.3.3.19, RFC 6121 §8.5.1).
pub(crate) fn unavailable(ctx: &mut Ctx, stanza: &Stanza) {
    reply(
        ctx,
        stanza,
        &StanzaError::new(Condition::ServiceUnavailable),
    );
}

/// What is said when too much waits for an account.
pub(crate) fn overloaded(task: Task) -> Vec<Effect> {
    let error = StanzaError::new(Condition::ResourceConstraint)
        .text("too many stanzas wait for this account; send again later");
    refuse(task, &error, &Error::Unavailable)
}

/// What is said when an account cannot be read.
pub(crate) fn unreadable(task: Task, cause: &starling_store::Error) -> Vec<Effect> {
    let error = StanzaError::new(Condition::InternalServerError)
        .text("the account cannot be read at the moment; send again later");
    refuse(task, &error, &Error::Store(cause.to_string()))
}

/// What is said when this node does not own the account's shard.
pub(crate) fn unowned(task: Task) -> Vec<Effect> {
    let error = StanzaError::new(Condition::ResourceConstraint)
        .text("this account is being moved; send again later");
    refuse(task, &error, &Error::Unavailable)
}

/// Refuses what a client sends while nothing can be stored, and says whether it
/// did. What needs no store goes on: presence, answers, and questions of those
/// who have nothing on its way.
pub(crate) fn unstorable(ctx: &mut Ctx, session: SessionId, stanza: &Stanza) -> bool {
    let is_refused = match (stanza.head.kind, stanza.head.type_) {
        (Kind::Message, Type::Error) | (Kind::Presence, _) => false,
        (Kind::Message, _) | (Kind::Iq, Type::Set) => true,
        (Kind::Iq, Type::Get) => ctx.is_behind(),
        (Kind::Iq, _) => false,
    };
    if is_refused {
        let error = StanzaError::new(Condition::ResourceConstraint)
            .text("nothing can be stored at the moment; send again later");
        if let Some(answer) = stanza.error(&error) {
            // Right to the session: its account may have to wait for the store.
            ctx.deliver_at_once(session, answer);
        }
        metrics::unstorable();
    }
    is_refused
}

/// What is said when a handler did not live to say anything.
pub(crate) fn failed(head: Head) -> Vec<Effect> {
    let error =
        StanzaError::new(Condition::InternalServerError).text("the server failed at this stanza");
    answer(&Stanza::of_head(head), &error)
}

fn refuse(task: Task, error: &StanzaError, cause: &Error) -> Vec<Effect> {
    match task {
        Task::Frame(Frame::FromClient { stanza, .. }) => answer(&stanza, error),
        Task::Frame(Frame::Routed(routed)) => {
            let mut effects = answer(&routed.stanza, error);
            // As in `wait_for_answers`.
            match (effects.first_mut(), routed.receipt) {
                (Some(Effect::Route { receipt, .. }), told) => *receipt = told,
                (_, told) => effects.extend(told.map(Effect::Settle)),
            }
            effects
        }
        // Its sender is told; what is in the log is found there again.
        Task::Undelivered(outgoing) if outgoing.logged.is_none() => answer(&outgoing.stanza, error),
        // What is to be kept is asked for again.
        Task::Undelivered(_)
        | Task::Overflowed(_)
        | Task::Recover
        | Task::Keep(_)
        | Task::Alarm(_) => Vec::new(),
        // Only an account in memory has sessions, and this one is not there.
        Task::Frame(
            Frame::Answered { .. }
            | Frame::Acked { .. }
            | Frame::Enable { .. }
            | Frame::ClientState { .. }
            | Frame::Detach { .. },
        ) => Vec::new(),
        Task::Resume(_, told) => {
            let _ = told.send(Err(ResumeError::Link(cause.clone())));
            Vec::new()
        }
        Task::Reattach(_, told) => {
            let _ = told.send(Err(ReattachError::Link(cause.clone())));
            Vec::new()
        }
        Task::Bind(_, told) => {
            let _ = told.send(Err(BindError::Link(cause.clone())));
            Vec::new()
        }
        Task::Sessions(told) => {
            let _ = told.send(Vec::new());
            Vec::new()
        }
        Task::Kick { answer: told, .. } => {
            let _ = told.send(false);
            Vec::new()
        }
        Task::Change { answer: told, .. } => {
            let _ = told.send(Err(cause.clone()));
            Vec::new()
        }
        Task::Remove(told) => {
            let _ = told.send(Err(cause.clone()));
            Vec::new()
        }
    }
}

/// Presence is not answered: it is soft, and the next one replaces it.
fn answer(stanza: &Stanza, error: &StanzaError) -> Vec<Effect> {
    if stanza.head.kind == Kind::Presence {
        return Vec::new();
    }
    let answer = stanza
        .error(error)
        .filter(|answer| answer.head.to.is_some());
    let route = |stanza| Effect::Route {
        stanza,
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    };
    answer.map(route).into_iter().collect()
}
