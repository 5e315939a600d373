//! A session comes to the new owner of its account, brought by the edge that its
//! client has been connected to all the time. Nobody is told: neither the client
//! nor its contacts have seen anything.
//!
//! What the old owner had under way is in the log (`takeover`), what the session
//! was like in its `summary`. The client's stanzas that were not dealt with come
//! again from the edge, under their numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use starling_link::{
    Body, Downstream, Ledger, Reattach, ReattachError, Reattached, SessionId, Unacknowledged,
};
use starling_xmpp::{Kind, Stanza};
use tokio::sync::oneshot;

use crate::account::Lasting;
use crate::effects::Effect;
use crate::outgoing::Outgoing;
use crate::pending::{self, Pending};
use crate::presence::PresentSince;
use crate::ring::{Known, Ring};
use crate::summary::{self, Present, Summary};
use crate::takeover::{Takeover, position_of};
use crate::{Ctx, Session, Slots, Spec, ended, metrics};

/// Takes a session over, or says why not.
pub(crate) fn reattach(
    ctx: &mut Ctx,
    request: Reattach,
    answer: oneshot::Sender<Result<Reattached, ReattachError>>,
) {
    let result = attach(ctx, request);
    metrics::reattached(result.is_ok());
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        let _ = answer.send(result);
    })));
}

fn attach(ctx: &mut Ctx, request: Reattach) -> Result<Reattached, ReattachError> {
    if ctx.account.session(request.session.id).is_some() {
        return rejoin(ctx, request);
    }
    let Some(mut takeover) = ctx.account.takeover.take() else {
        // What was under way is delivered to others, or waits.
        return Err(ReattachError::Late);
    };
    let result = open(ctx, request, &mut takeover);
    ctx.account.takeover = Some(takeover);
    let (id, notes) = result?;
    ended::forget(ctx, id);
    recall(ctx, id, &notes);
    let session = ctx.account.session(id).ok_or(ReattachError::Late)?;
    Ok(Reattached {
        attach: session.attach,
        committed: session.ledger.committed(),
    })
}

/// What features noted, by the number of their XEP.
type Notes = Vec<(u16, Vec<u8>)>;

fn open(
    ctx: &mut Ctx,
    request: Reattach,
    takeover: &mut Takeover,
) -> Result<(SessionId, Notes), ReattachError> {
    let summary = Summary::read(&request.summary)
        .map_err(|why| ReattachError::Unreadable(why.0.to_owned()))?;
    let is_known = match ctx.account.lasting {
        Lasting::Stored => !summary.is_anonymous && !ctx.account.is_disabled,
        Lasting::Session => summary.is_anonymous,
        Lasting::Host => false,
    };
    if !is_known {
        return Err(ReattachError::NoAccount);
    }
    let Reattach {
        session: key,
        attach,
        jid,
        committed,
        said,
        downstream,
        outlet,
        ..
    } = request;
    let id = key.id;
    // A client that was granted management and never heard of it asks again.
    let managed = summary.managed.filter(|_| downstream.base.is_some());
    let seen = downstream.seen.iter();
    ctx.reached = seen.map(|place| position_of(*place)).collect();
    takeover.claim(id, &jid, &downstream);
    takeover.settle(id, &downstream);
    let known = known(id, downstream, takeover);
    let config = &ctx.env.config;
    let bounds = (
        config.unacknowledged_stanzas_max,
        config.unacknowledged_bytes_max,
    );
    let (presence, priority, slots) = present(summary.presence);
    ctx.account.add_session(Session {
        id,
        jid,
        client: summary.client,
        since: summary.since,
        attach: attach.next(),
        brought: Some(attach),
        ring: Ring::of_known(key, Arc::clone(&outlet), known, bounds),
        is_hibernating: false,
        returning: None,
        managed: managed.map(Box::new),
        ledger: Ledger::after(committed, outlet),
        presence,
        priority,
        is_interested: summary.is_interested,
        directed: summary.directed.into_iter().collect(),
        requests: VecDeque::new(),
        pending: Pending::default(),
        slots,
        is_touched: true,
        summary: 0,
        stored: takeover.stored(id),
        said_before: Some(said),
    });
    Ok((id, summary.notes))
}

fn present(presence: Option<Present>) -> (Option<Stanza>, i8, Slots) {
    let mut slots = Slots::default();
    let Some(present) = presence else {
        return (None, 0, slots);
    };
    if let Some(since) = present.since {
        slots.set(PresentSince(since));
    }
    (Some(present.stanza), present.priority, slots)
}

/// What the client has not acknowledged, with what is needed should it never.
fn known(id: SessionId, downstream: Downstream, takeover: &mut Takeover) -> Known {
    let (mut slots, mut gone_through) = (Vec::new(), None);
    for Unacknowledged { number, body } in downstream.unacknowledged {
        let outgoing = match body {
            Body::Logged(place) => takeover.message(id, place),
            Body::Whole(bytes) => Stanza::parse(bytes).ok().map(whole),
            Body::Gone => None,
        };
        match outgoing {
            Some(outgoing) => slots.push((number, outgoing)),
            None => gone_through = Some(number),
        }
    }
    Known {
        base: downstream.base,
        sent: downstream.sent,
        acked: downstream.acked,
        slots,
        gone_through,
    }
}

/// As `Ctx::deliver` has it: a message that is not in the log is a copy, or of
/// no use to anybody else.
fn whole(stanza: Stanza) -> Outgoing {
    match stanza.head.kind {
        Kind::Message => Outgoing::dispensable(stanza),
        Kind::Presence | Kind::Iq => Outgoing::new(stanza, None),
    }
}

/// The session is here: its edge lost its way to it, or asks once more.
fn rejoin(ctx: &mut Ctx, request: Reattach) -> Result<Reattached, ReattachError> {
    let Reattach {
        session: key,
        attach,
        downstream,
        outlet,
        ..
    } = request;
    let session = ctx
        .account
        .session_mut(key.id)
        .filter(|session| session.attach == attach || session.brought == Some(attach))
        .ok_or(ReattachError::Late)?;
    let (sent, acked) = (downstream.sent, downstream.acked);
    if !session.ring.rejoin(sent, acked, Arc::clone(&outlet)) {
        return Err(ReattachError::Late);
    }
    // Another number each time: what an attempt that nobody waits for any more
    // says of its end must not be taken for the end of this one.
    session.attach = session.attach.next();
    session.brought = Some(attach);
    session.is_hibernating = false;
    session.summary = 0;
    let reattached = Reattached {
        attach: session.attach,
        committed: session.ledger.attach(outlet),
    };
    ended::forget(ctx, key.id);
    Ok(reattached)
}

/// Features take up what they had noted.
fn recall(ctx: &mut Ctx, id: SessionId, notes: &Notes) {
    let of = |number| notes.iter().find(|(of, _)| *of == number);
    if let Some((_, note)) = of(summary::PENDING) {
        pending::recall(ctx, id, note);
    }
    let env = Arc::clone(&ctx.env);
    for (feature, place) in env.registry.features().zip(0..) {
        let Spec::Xep(number) = feature.manifest().spec else {
            continue;
        };
        if let Some((_, note)) = of(number) {
            ctx.feature = place;
            feature.recall(note, id, ctx);
        }
    }
}
