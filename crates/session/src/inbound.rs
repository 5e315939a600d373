//! What arrives for an account of this node, from another account, a host, a
//! component or a server: the recipient's side of every stanza.
//!
//! A name without an account (RFC 6121 §8.5.1) takes the same way with an
//! account that is empty and keeps nothing, so that a stranger cannot tell it
//! from one that does not know him. Why, is in `docs/adr/0005`.

use starling_xmpp::Stanza;
use starling_xmpp::stanza::{Kind, Type};

use crate::account::Lasting;
use crate::pipeline::{self, Verdict};
use crate::tasks::Handling;
use crate::{Ctx, Phase, Side, Targets, To, delivery, iq, presence, reject};

/// Takes a stanza through the recipient's phases and delivers it.
pub(crate) fn handle(mut ctx: Box<Ctx>, stanza: Stanza) -> Handling {
    if ctx.account.lasting == Lasting::Host {
        return to_host(ctx, stanza);
    }
    match stanza.head.kind {
        Kind::Message => message(&mut ctx, stanza),
        Kind::Presence => presence_stanza(&mut ctx, stanza),
        Kind::Iq => return request(ctx, stanza),
    }
    Handling::Done(ctx)
}

/// RFC 6121 §8.1: a host answers requests; nothing else is for it.
fn to_host(mut ctx: Box<Ctx>, stanza: Stanza) -> Handling {
    match stanza.head.kind {
        Kind::Iq if stanza.head.type_.is_request() => iq::answer(ctx, stanza, &[To::Host]),
        Kind::Message => {
            reject::unavailable(&mut ctx, &stanza);
            Handling::Done(ctx)
        }
        Kind::Iq | Kind::Presence => Handling::Done(ctx),
    }
}

/// Takes a message through the recipient's phases and delivers it.
pub(crate) fn message(ctx: &mut Ctx, mut stanza: Stanza) {
    ctx.targets = Targets::of(&ctx.account, &stanza);
    match pipeline::run(ctx, &mut stanza, Side::Recipient, Phase::ALL) {
        Verdict::Pass => delivery::deliver(ctx, stanza),
        Verdict::Done => delivery::deliver_copies(ctx),
        Verdict::Reject(error) => {
            delivery::deliver_copies(ctx);
            if !ctx.is_kept_anyway() {
                reject::reply(ctx, &stanza, &error);
            }
        }
    }
}

fn presence_stanza(ctx: &mut Ctx, mut stanza: Stanza) {
    match pipeline::run(ctx, &mut stanza, Side::Recipient, Phase::ALL) {
        Verdict::Pass => presence::inbound(ctx, stanza),
        Verdict::Done => {}
        Verdict::Reject(error) => reject::reply(ctx, &stanza, &error),
    }
}

/// RFC 6121 §8.5.2.1.3: a request to the bare JID is answered for the account
/// and never handed to a client; §8.5.3: one to a resource is.
fn request(mut ctx: Box<Ctx>, mut stanza: Stanza) -> Handling {
    match pipeline::run(
        &mut ctx,
        &mut stanza,
        Side::Recipient,
        [Phase::Admit, Phase::Guard],
    ) {
        Verdict::Pass => {}
        Verdict::Done => return Handling::Done(ctx),
        Verdict::Reject(error) => {
            reject::reply(&mut ctx, &stanza, &error);
            return Handling::Done(ctx);
        }
    }
    let is_request = stanza.head.type_.is_request();
    let session = match &stanza.head.to {
        Some(to) if to.is_full() => ctx.account.session_by_jid(to).map(|session| session.id),
        Some(_) | None if is_request => {
            let is_own = stanza
                .head
                .from
                .as_ref()
                .is_some_and(|from| ctx.account.is_self(from));
            let asked: &[To] = if is_own {
                &[To::Own, To::Account]
            } else {
                &[To::Account]
            };
            return iq::answer(ctx, stanza, asked);
        }
        Some(_) | None => {
            iq::take_told(&mut ctx, &stanza);
            return Handling::Done(ctx);
        }
    };
    match session {
        Some(session) => ctx.deliver(session, stanza),
        // RFC 6121 §8.5.3.2.3; an answer without a taker is dropped.
        None if matches!(stanza.head.type_, Type::Get | Type::Set) => {
            reject::unavailable(&mut ctx, &stanza);
        }
        None => {}
    }
    Handling::Done(ctx)
}
