//! What a client of this node sends: the sender's side of every stanza.
//!
//! `from` is the session's full JID already; the edge saw to that.

use starling_xmpp::stanza::{Kind, Type};
use starling_xmpp::{Jid, Stanza};

use crate::pipeline::{self, Verdict};
use crate::tasks::Handling;
use crate::{Ctx, Phase, Side, To, iq, presence, reject};

/// Takes a client's stanza through the sender's phases and sends it on.
pub(crate) fn handle(mut ctx: Box<Ctx>, mut stanza: Stanza) -> Handling {
    if stanza.head.kind == Kind::Iq {
        return request(ctx, stanza);
    }
    if stanza.head.kind == Kind::Message && stanza.head.to.is_none() {
        // RFC 6120 §10.3.1: as if addressed to the sender's own bare JID.
        stanza.head.to = Some(ctx.account.jid.clone().into());
    }
    match pipeline::run(&mut ctx, &mut stanza, Side::Sender, Phase::ALL) {
        Verdict::Pass if stanza.head.kind == Kind::Message => ctx.pass_on(stanza),
        Verdict::Pass => presence::outbound(&mut ctx, stanza),
        Verdict::Done => {}
        Verdict::Reject(error) => reject::reply(&mut ctx, &stanza, &error),
    }
    Handling::Done(ctx)
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
        Verdict::Pass => ctx.pass_on(stanza),
        Verdict::Done => {}
        Verdict::Reject(error) if matches!(stanza.head.type_, Type::Get | Type::Set) => {
            reject::reply(&mut ctx, &stanza, &error);
        }
        Verdict::Reject(_) => {}
    }
    Handling::Done(ctx)
}
