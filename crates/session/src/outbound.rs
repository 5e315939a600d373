//! What a client of this node sends: the sender's side of every stanza.
//!
//! `from` is the session's full JID already; the edge saw to that.

use starling_xmpp::stanza::{Kind, Type};
use starling_xmpp::{Jid, Stanza};

use crate::pipeline::{self, Verdict};
use crate::tasks::Handling;
use crate::{Ctx, Phase, Side, To, iq, pending, presence, reject, sent};

/// Takes a client's stanza through the sender's phases and sends it on.
pub(crate) fn handle(mut ctx: Box<Ctx>, mut stanza: Stanza) -> Handling {
    if stanza.head.kind == Kind::Iq {
        return request(ctx, stanza);
    }
    if stanza.head.kind == Kind::Message {
        return message(ctx, stanza);
    }
    match pipeline::run(&mut ctx, &mut stanza, Side::Sender, Phase::ALL) {
        Verdict::Pass => presence::outbound(&mut ctx, stanza),
        Verdict::Done => {}
        Verdict::Reject(error) => reject::reply(&mut ctx, &stanza, &error),
    }
    Handling::Done(ctx)
}

fn message(mut ctx: Box<Ctx>, mut stanza: Stanza) -> Handling {
    if stanza.head.to.is_none() {
        // RFC 6120 §10.3.1: as if addressed to the sender's own bare JID.
        stanza.head.to = Some(ctx.account.jid.clone().into());
    }
    if sent::is_unread(&stanza, &mut ctx) {
        return Handling::Waiting(Box::pin(async move {
            sent::read(&mut ctx).await;
            send(&mut ctx, stanza);
            ctx
        }));
    }
    send(&mut ctx, stanza);
    Handling::Done(ctx)
}

/// Takes a message through the sender's phases. One that is said once more is
/// in the log and was copied: it only goes on, for its recipient may not have it.
fn send(ctx: &mut Ctx, mut stanza: Stanza) {
    let mark = sent::Mark::of(&stanza);
    sent::recognise(mark, ctx);
    let is_repeated = ctx.is_repeated;
    let is_due = |phase: &Phase| {
        !is_repeated || !matches!(phase, Phase::Archive | Phase::Copy | Phase::Notify)
    };
    let phases = Phase::ALL.into_iter().filter(is_due);
    match pipeline::run(ctx, &mut stanza, Side::Sender, phases) {
        Verdict::Pass => {
            sent::note(mark, ctx);
            ctx.pass_on(stanza);
        }
        Verdict::Done => {}
        Verdict::Reject(error) => reject::reply(ctx, &stanza, &error),
    }
}

/// RFC 6120 §10.3.3, §10.4, §10.5: an IQ is answered here when it is for the
/// account or the host, and is otherwise for somebody else.
fn request(mut ctx: Box<Ctx>, mut stanza: Stanza) -> Handling {
    let to = stanza.head.to.clone();
    let asked: &[To] = match to.as_ref() {
        None => &[To::Own, To::Account],
        Some(to) if to.is_bare() && ctx.account.is_self(to) => &[To::Own, To::Account],
        Some(to) if is_host(&ctx, to) => &[To::Host],
        Some(_) => return pass(ctx, stanza),
    };
    if stanza.head.type_.is_request() {
        return iq::answer(ctx, stanza, asked);
    }
    iq::take_answer(&mut ctx, &mut stanza);
    Handling::Done(ctx)
}

/// The domain of the sender's own account, without a resource.
fn is_host(ctx: &Ctx, to: &Jid) -> bool {
    to.is_bare() && to.local().is_none() && to.domain() == ctx.account.jid.domain()
}

fn pass(mut ctx: Box<Ctx>, mut stanza: Stanza) -> Handling {
    match pipeline::run(
        &mut ctx,
        &mut stanza,
        Side::Sender,
        [Phase::Admit, Phase::Guard],
    ) {
        Verdict::Pass => {
            pending::note(&mut ctx, &stanza);
            ctx.pass_on(stanza);
        }
        Verdict::Done => {}
        Verdict::Reject(error) if matches!(stanza.head.type_, Type::Get | Type::Set) => {
            reject::reply(&mut ctx, &stanza, &error);
        }
        Verdict::Reject(_) => {}
    }
    Handling::Done(ctx)
}
