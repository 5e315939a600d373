//! Carries out effects once they may be seen: to a client, to another shard,
//! to a component. Stanzas for other servers leave here too, once there is a
//! way to them; until then their senders are told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use starling_link::{Frame, MessageId, Receipt, Refused, Routed, TraceContext};
use starling_xmpp::stanza::Type;
use starling_xmpp::{Condition, Jid, Stanza, StanzaError};

use crate::effects::Effect;
use crate::failpoint::{Step, reach};
use crate::hosts::Served;
use crate::outgoing::Outgoing;
use crate::ring::{Delivery, Ring};
use crate::work::{Alarm, Task, Work};
use crate::worker::Inbox;
use crate::{Component, Env, metrics};

/// How often a stanza may lead to another within components, so that two that
/// answer each other come to an end.
const COMPONENT_HOPS_MAX: u8 = 8;

/// Carries out one effect. `inbox` is the worker's own, for work that follows.
pub(crate) fn release(env: &Env, inbox: &Arc<Inbox>, effect: Effect) {
    match effect {
        Effect::Route {
            stanza,
            receipt,
            id,
            is_repeated,
            trace,
        } => route(
            env,
            inbox,
            Routing {
                stanza,
                receipt,
                id,
                is_repeated,
                trace,
            },
        ),
        Effect::Deliver {
            ring,
            outgoing,
            trace,
        } => deliver(env, inbox, &ring, outgoing, trace.as_ref()),
        Effect::Settle(receipt) => {
            reach(Step::SettleBefore);
            receipt.settle();
            reach(Step::SettleAfter);
        }
        Effect::ReportDrained { ring } => delivered(env, inbox, &ring, ring.request_ack()),
        Effect::Enable {
            ring,
            received,
            resumption,
        } => ring.enable(received, resumption),
        Effect::Hold { ring, holder } => delivered(env, inbox, &ring, ring.hold(holder)),
        Effect::Remember { ring, summary } => ring.remember(summary),
        Effect::Close { ring, why } => ring.close(why),
        Effect::WhenCaughtUp {
            key,
            ledger,
            attach,
        } => {
            let inbox = Arc::clone(inbox);
            let shard = env.placement.shard_of(&key.account);
            ledger.when_caught_up(move || {
                let id = key.id;
                inbox.work.push_owed(Work {
                    shard,
                    target: key.account,
                    task: Task::Alarm(Alarm::CaughtUp { id, attach }),
                });
            });
        }
        Effect::Tell(tell) => tell(),
    }
}

/// A stanza on its way out of an account, as in [`Effect::Route`].
pub(crate) struct Routing {
    stanza: Stanza,
    receipt: Option<Receipt>,
    id: Option<MessageId>,
    is_repeated: bool,
    trace: Option<TraceContext>,
}

impl Routing {
    /// One that nobody waits for.
    pub(crate) fn of(stanza: Stanza) -> Self {
        Self {
            stanza,
            receipt: None,
            id: None,
            is_repeated: false,
            trace: None,
        }
    }
}

/// Sends a stanza to whoever serves the domain of its `to`, and what components
/// reply after it.
fn route(env: &Env, inbox: &Inbox, routing: Routing) {
    let mut replies = send(env, inbox, routing);
    for _ in 0..COMPONENT_HOPS_MAX {
        if replies.is_empty() {
            return;
        }
        replies = replies
            .into_iter()
            .flat_map(|reply| send(env, inbox, Routing::of(reply)))
            .collect();
    }
    if !replies.is_empty() {
        tracing::warn!("components answered each other without end; the rest is dropped");
    }
}

/// Sends one stanza, and returns what a component had to say to it.
fn send(env: &Env, inbox: &Inbox, routing: Routing) -> Vec<Stanza> {
    let Routing {
        stanza,
        receipt,
        id,
        is_repeated,
        trace,
    } = routing;
    let Some(to) = stanza.head.to.clone() else {
        // Only a component can have left it out: it has nobody to send to.
        return Vec::new();
    };
    let hosts = env.hosts.load();
    match hosts.served(to.domain()) {
        Some(Served::Host(_)) => {
            let routed = Routed {
                target: to.to_bare(),
                stanza,
                receipt,
                id,
                is_repeated,
                trace,
            };
            to_shard(env, inbox, routed);
            return Vec::new();
        }
        Some(Served::Component(component)) => {
            let replies = to_component(env, component, stanza);
            settle(receipt);
            return replies;
        }
        None => to_server(env, &to, &stanza),
    }
    // A component stores nothing here, and a refusal is its sender's to store.
    settle(receipt);
    Vec::new()
}

fn to_shard(env: &Env, inbox: &Inbox, routed: Routed) {
    metrics::routed(routed.stanza.head.kind);
    let routed = match inbox.outbox.track(env, routed) {
        Ok(routed) => routed,
        Err(refused) => return refuse(env, *refused),
    };
    if let Err(refused) = env.link.push(Frame::Routed(routed)) {
        let (Refused::Full(frame) | Refused::Unavailable(frame)) = refused;
        if let Frame::Routed(routed) = frame {
            refuse(env, routed);
        }
    }
}

/// Too much waits already: the sender may try again.
fn refuse(env: &Env, routed: Routed) {
    let Routed {
        stanza, receipt, ..
    } = routed;
    bounce_with(env, &stanza, Condition::ResourceConstraint, receipt);
}

fn settle(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.settle();
    }
}

/// A component's fault stays in the component.
fn to_component(env: &Env, component: &Arc<dyn Component>, stanza: Stanza) -> Vec<Stanza> {
    let head = stanza.head.clone();
    let received = catch_unwind(AssertUnwindSafe(|| {
        let mut replies = Vec::new();
        component.receive(stanza, &mut replies);
        replies
    }));
    received.unwrap_or_else(|_| {
        let domain = head.to.as_ref().map(|to| to.domain().to_owned());
        tracing::error!(domain, "a component panicked at a stanza");
        bounce(env, &Stanza::of_head(head), Condition::InternalServerError);
        Vec::new()
    })
}

/// RFC 6120 §10.4: the domain is not ours.
fn to_server(env: &Env, to: &Jid, stanza: &Stanza) {
    tracing::debug!(domain = to.domain(), "no way to this domain");
    bounce(env, stanza, Condition::RemoteServerNotFound);
}

/// Tells the sender of a stanza that it could not be sent on.
fn bounce(env: &Env, stanza: &Stanza, condition: Condition) {
    bounce_with(env, stanza, condition, None);
}

/// The same; what waits for the stanza is told once the sender has the error,
/// and if nobody is to be told, now.
fn bounce_with(env: &Env, stanza: &Stanza, condition: Condition, receipt: Option<Receipt>) {
    let Some(receipt) = try_to_bounce(env, stanza, condition, receipt) else {
        return;
    };
    receipt.settle();
}

/// The receipt comes back if nobody is told.
fn try_to_bounce(
    env: &Env,
    stanza: &Stanza,
    condition: Condition,
    receipt: Option<Receipt>,
) -> Option<Receipt> {
    let is_silent = matches!(
        (stanza.head.kind, stanza.head.type_),
        (
            starling_xmpp::stanza::Kind::Presence,
            Type::Available | Type::Unavailable | Type::Probe
        )
    );
    let from_us = stanza
        .head
        .from
        .as_ref()
        .is_some_and(|from| env.hosts.load().served(from.domain()).is_some());
    if is_silent || !from_us {
        return receipt;
    }
    let Some(error) = stanza.error(&StanzaError::new(condition)) else {
        return receipt;
    };
    let Some(to) = error.head.to.clone() else {
        return receipt;
    };
    match env.hosts.load().served(to.domain()) {
        Some(Served::Component(component)) => {
            // What it says to an error is not sent on: it could go on for ever.
            let _ = to_component(env, component, error);
            receipt
        }
        Some(Served::Host(_)) => {
            let frame = Frame::Routed(Routed {
                target: to.to_bare(),
                stanza: error,
                receipt,
                id: None,
                is_repeated: false,
                trace: None,
            });
            // If the sender's own shard is away too, its client is closed by
            // its edge.
            match env.link.push(frame) {
                Ok(()) => None,
                Err(refused) => match refused.into_inner() {
                    Frame::Routed(routed) => routed.receipt,
                    _ => None,
                },
            }
        }
        None => receipt,
    }
}

fn deliver(
    env: &Env,
    inbox: &Inbox,
    ring: &Ring,
    outgoing: Outgoing,
    trace: Option<&TraceContext>,
) {
    let kind = outgoing.stanza.head.kind;
    reach(Step::OutletBefore);
    let delivery = ring.deliver(outgoing, trace);
    reach(Step::OutletAfter);
    if matches!(delivery, Delivery::Taken) {
        metrics::delivered(kind);
    }
    delivered(env, inbox, ring, delivery);
}

/// What follows for the session.
fn delivered(env: &Env, inbox: &Inbox, ring: &Ring, delivery: Delivery) {
    let task = match delivery {
        Delivery::Taken => return,
        Delivery::Overflowed => {
            metrics::undelivered();
            Task::Overflowed(ring.key.id)
        }
        Delivery::Over(outgoing) => Task::Undelivered(Box::new(outgoing)),
    };
    inbox.work.push_owed(Work {
        shard: env.placement.shard_of(&ring.key.account),
        target: ring.key.account.clone(),
        task,
    });
}
