//! Carries out effects once they may be seen: to a client, to another shard,
//! to a component. Stanzas for other servers leave here too, once there is a
//! way to them; until then their senders are told.

use std::sync::Arc;

use starling_link::{Frame, Receipt, Refused, Routed, SessionKey};
use starling_xmpp::stanza::Type;
use starling_xmpp::{BareJid, Condition, Jid, Stanza, StanzaError};

use crate::effects::Effect;
use crate::hosts::Served;
use crate::work::{Task, Work};
use crate::worker::Inbox;
use crate::{Component, Env, metrics};

/// Carries out one effect. `inbox` is the worker's own, for work that follows.
pub(crate) fn release(env: &Env, inbox: &Inbox, effect: Effect) {
    match effect {
        Effect::Route { stanza, receipt } => route(env, stanza, receipt),
        Effect::Deliver {
            session,
            outlet,
            stanza,
        } => {
            if outlet.deliver(&stanza).is_err() {
                undelivered(env, inbox, session, stanza);
            } else {
                metrics::delivered(stanza.head.kind);
            }
        }
        Effect::Settle(receipt) => receipt.settle(),
        Effect::ReportDrained { outlet } => outlet.report_drained(),
        Effect::Close { outlet, why } => outlet.close(why),
        Effect::Tell(tell) => tell(),
    }
}

/// Sends a stanza to whoever serves the domain of its `to`.
pub(crate) fn route(env: &Env, stanza: Stanza, receipt: Option<Receipt>) {
    let Some(to) = stanza.head.to.clone() else {
        debug_assert!(false, "whoever routes a stanza has given it a `to`");
        return;
    };
    let hosts = env.hosts.load();
    match hosts.served(to.domain()) {
        Some(Served::Host(_)) => return to_shard(env, to.to_bare(), stanza, receipt),
        Some(Served::Component(component)) => to_component(env, component, stanza),
        None => to_server(env, &to, &stanza),
    }
    // A component stores nothing here, and a refusal is its sender's to store.
    settle(receipt);
}

fn to_shard(env: &Env, target: BareJid, stanza: Stanza, receipt: Option<Receipt>) {
    metrics::routed(stanza.head.kind);
    let frame = Frame::Routed(Routed {
        target,
        stanza,
        receipt,
    });
    if let Err(refused) = env.link.push(frame) {
        let (Refused::Full(frame) | Refused::Unavailable(frame)) = refused;
        if let Frame::Routed(routed) = frame {
            // The sender may try again: nothing is kept for a shard that
            // nobody serves.
            bounce(env, &routed.stanza, Condition::ResourceConstraint);
            settle(routed.receipt);
        }
    }
}

fn settle(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.settle();
    }
}

fn to_component(env: &Env, component: &Arc<dyn Component>, stanza: Stanza) {
    let mut replies = Vec::new();
    component.receive(stanza, &mut replies);
    for reply in replies {
        route(env, reply, None);
    }
}

/// RFC 6120 §10.4: the domain is not ours.
fn to_server(env: &Env, to: &Jid, stanza: &Stanza) {
    tracing::debug!(domain = to.domain(), "no way to this domain");
    bounce(env, stanza, Condition::RemoteServerNotFound);
}

/// Tells the sender of a stanza that it could not be sent on.
fn bounce(env: &Env, stanza: &Stanza, condition: Condition) {
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
        .is_some_and(|from| env.hosts.load().host(from.domain()).is_some());
    if is_silent || !from_us {
        return;
    }
    if let Some(error) = stanza.error(&StanzaError::new(condition))
        && let Some(to) = &error.head.to
    {
        let target = to.to_bare();
        let frame = Frame::Routed(Routed {
            target,
            stanza: error,
            receipt: None,
        });
        // If the sender's own shard is away too, its client is closed by its edge.
        let _ = env.link.push(frame);
    }
}

fn undelivered(env: &Env, inbox: &Inbox, session: SessionKey, stanza: Stanza) {
    metrics::undelivered();
    let SessionKey {
        account,
        id: session,
    } = session;
    let shard = env.placement.shard_of(&account);
    let task = Task::Undelivered { session, stanza };
    inbox.work.push_owed(Work {
        shard,
        target: account,
        task,
    });
}
