//! What every form of the link must keep: one suite, run against `LocalLink`
//! and against gRPC.
//!
//! The session node and the outlet here only write down what they are told.
//! What breaks in between is tested by whoever has something that can break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "this is test code: it panics on failure"
)]

mod frames;
mod moving;
mod node;
mod outlet;
mod questions;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use crate::{Bound, Close, Frame, Link, Management, Refused, Resumption, SessionKey};

pub use frames::{
    a_full_node_makes_senders_wait, frames_of_a_session_arrive_in_order,
    receipts_are_settled_by_number,
};
pub use moving::{a_session_is_brought_whole, an_outlet_hears_what_to_keep};
pub use node::ScriptedNode;
pub use outlet::{Event, Recorder};
pub use questions::questions_are_answered;
pub use sample::{account, answer_from_no_address, bind, from_client, message, routed};

/// How long anything may take before it counts as lost.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until it is possible.
pub async fn bound(link: &dyn Link, outlet: &Arc<Recorder>) -> (SessionKey, Bound) {
    let attempt = async {
        loop {
            if let Ok(owner) = link.owner(&account())
                && let Ok(bound) = owner.bind(bind(outlet)).await
            {
                return bound;
            }
            tokio::task::yield_now().await;
        }
    };
    let bound = tokio::time::timeout(DEADLINE, attempt).await.unwrap();
    let session = SessionKey {
        account: account(),
        id: bound.session,
    };
    (session, bound)
}

/// Pushes as an edge does: waits while there is no room.
pub async fn push(link: &dyn Link, mut frame: Frame) {
    let attempt = async {
        loop {
            match link.push(frame) {
                Ok(()) => return,
                Err(Refused::Full(back)) => {
                    frame = back;
                    if let Ok(owner) = link.owner(frame.target()) {
                        owner.room(frame.target()).await;
                    }
                }
                Err(Refused::Unavailable(back)) => frame = back,
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, attempt).await.unwrap();
}

/// What a session says to its client arrives in order.
pub async fn outlets_keep_their_order(link: &dyn Link, node: &ScriptedNode) {
    let outlet = Recorder::new();
    let (session, _) = bound(link, &outlet).await;
    let remote = node.outlet(session.id);
    let management = Management {
        received: 1,
        sent: 2,
        resumption: Some(Resumption {
            token: "secret".into(),
            timeout: Duration::from_secs(300),
        }),
    };
    remote.deliver(&message("one")).unwrap();
    remote.committed(7);
    remote.enabled(&management);
    remote.request_ack();
    remote.deliver(&answer_from_no_address()).unwrap();
    remote.deliver(&message("two")).unwrap();
    remote.close(Close::Conflict);
    outlet
        .wait_for(&[
            Event::Delivered(message("one")),
            Event::Committed(7),
            Event::Enabled(management),
            Event::RequestAck,
            Event::Delivered(answer_from_no_address()),
            Event::Delivered(message("two")),
            Event::Closed(Close::Conflict),
        ])
        .await;
}

#[cfg(test)]
mod tests;
