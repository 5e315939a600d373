//! Frames on their way to a session node, and what comes back for them.

use std::sync::Arc;

use super::{
    Event, Recorder, ScriptedNode, account, answer_from_no_address, bound, from_client, message,
    push, routed,
};
use crate::{Attach, Detached, Enable, Frame, Issue, Ledger, Link, MessageId};

/// Frames of a test that sends many.
const MANY: u32 = 2_000;

/// Everything an edge says of a session arrives as it was said, in order.
pub async fn frames_of_a_session_arrive_in_order(link: &dyn Link, node: &ScriptedNode) {
    let outlet = Recorder::new();
    let (session, _) = bound(link, &outlet).await;
    let attach = Attach::default();
    let frames = || {
        let session = session.clone();
        vec![
            from_client(&session, 1),
            Frame::Answered {
                session: session.clone(),
                attach,
                number: 2,
                answer: Some(message("answer")),
            },
            Frame::Answered {
                session: session.clone(),
                attach,
                number: 3,
                answer: None,
            },
            Frame::Answered {
                session: session.clone(),
                attach,
                number: 4,
                answer: Some(answer_from_no_address()),
            },
            Frame::Acked {
                session: session.clone(),
                attach,
                number: u32::MAX,
            },
            Frame::Enable {
                session: session.clone(),
                attach,
                number: 3,
                request: Enable {
                    wants_resume: true,
                    max: None,
                },
            },
            Frame::ClientState {
                session: session.clone(),
                attach,
                is_active: false,
            },
            Frame::Detach {
                session,
                attach,
                how: Detached::Closed,
                acked: Some(0),
            },
        ]
    };
    for frame in frames() {
        push(link, frame).await;
    }
    let found = node.wait_for(frames().len()).await;
    let shown = |frames: &[Frame]| -> Vec<String> {
        frames.iter().map(|frame| format!("{frame:?}")).collect()
    };
    assert_eq!(shown(&found), shown(&frames()));
    let Some(Frame::FromClient { stanza, .. }) = found.first() else {
        panic!("the first one is a stanza");
    };
    assert_eq!(
        stanza.child_text("jabber:client", "body").as_deref(),
        Some("1")
    );
    assert!(stanza.has("http://jabber.org/protocol/chatstates", "active"));
}

/// A node that has no room makes senders wait, and loses nothing.
pub async fn a_full_node_makes_senders_wait(link: &dyn Link, node: &ScriptedNode) {
    let outlet = Recorder::new();
    let (session, _) = bound(link, &outlet).await;
    node.take_no_more_than(10);
    let sending = async {
        for number in 1..=MANY {
            push(link, from_client(&session, number)).await;
        }
    };
    let taking = async {
        let mut found = Vec::new();
        while found.len() < MANY as usize {
            found.extend(node.wait_for(1).await);
        }
        found
    };
    let ((), found) = tokio::join!(sending, taking);
    for (number, frame) in (1..).zip(&found) {
        assert!(
            matches!(frame, Frame::FromClient { number: n, .. } if *n == number),
            "{number}: {frame:?}"
        );
    }
}

/// A sender learns that each account is done, one by one, in any order.
pub async fn receipts_are_settled_by_number(link: &dyn Link, node: &ScriptedNode) {
    let told = Recorder::new();
    let ledger = Ledger::new(Arc::clone(&told) as _);
    for number in 1..=3 {
        let Issue::Next(receipt) = ledger.issue(number) else {
            panic!("{number} is the next one");
        };
        push(link, routed(&number.to_string(), Some(receipt))).await;
    }
    let mut found = node.wait_for(3).await;
    let receipt = |frame: Frame| match frame {
        Frame::Routed(routed) => {
            assert_eq!((routed.target, routed.id), (account(), Some(MessageId(7))));
            routed.receipt.unwrap()
        }
        other => panic!("{other:?}"),
    };
    let last = receipt(found.remove(2));
    let first = receipt(found.remove(0));
    last.settle();
    first.settle();
    told.wait_for(&[Event::Committed(1)]).await;
    receipt(found.remove(0)).settle();
    told.wait_for(&[Event::Committed(1), Event::Committed(3)])
        .await;
}
