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

mod node;
mod outlet;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starling_xmpp::{BareJid, ParseError, Stanza};

use crate::{
    Attach, Bind, BindError, Bound, Client, Close, ConflictPolicy, CredentialChange, Detached,
    Enable, Error, Frame, Issue, Ledger, Link, Management, MessageId, Receipt, Refused,
    Registration, Resume, ResumeError, Resumption, Routed, SessionKey,
};

pub use node::ScriptedNode;
pub use outlet::{Event, Recorder};

/// How long anything may take before it counts as lost.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Frames of a test that sends many.
const MANY: u32 = 2_000;

/// The account that everything is about.
#[must_use]
pub fn account() -> BareJid {
    BareJid::parse("juliet@example.org").unwrap()
}

/// A message of the account to another.
#[must_use]
pub fn message(body: &str) -> Stanza {
    let xml = format!(
        "<message xmlns='jabber:client' type='chat' id='{body}' from='{}/x' to='romeo@example.org'>\
         <body>{body}</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        account()
    );
    Stanza::parse(Bytes::from(xml)).unwrap()
}

/// The answer to a message for what is no address (RFC 6120 §8.3.3.8): it comes
/// from just that.
#[must_use]
pub fn answer_from_no_address() -> Stanza {
    let sent = Bytes::from_static(b"<message xmlns='jabber:client' to='a@b@c' id='1'/>");
    let Err(ParseError::Rejected(rejected)) = Stanza::parse(sent) else {
        panic!("it is no address");
    };
    let user = account().with_resource("x").unwrap();
    rejected.reply(&user).unwrap()
}

/// A stanza that came from elsewhere for the account.
#[must_use]
pub fn routed(body: &str, receipt: Option<Receipt>) -> Frame {
    let mut stanza = message(body);
    std::mem::swap(&mut stanza.head.from, &mut stanza.head.to);
    Frame::Routed(Routed {
        target: account(),
        stanza,
        receipt,
        id: Some(MessageId(7)),
        is_repeated: false,
        trace: None,
    })
}

/// A request for a session of the account.
#[must_use]
pub fn bind(outlet: &Arc<Recorder>) -> Bind {
    Bind {
        account: account(),
        resource: Some("x".into()),
        tag: None,
        basis: None,
        is_anonymous: false,
        conflict: ConflictPolicy::Replace,
        client: client(),
        management: Some(Enable {
            wants_resume: true,
            max: Some(Duration::from_secs(60)),
        }),
        inline: vec![starling_xmpp::Element::new("urn:x", "enable")],
        outlet: Arc::clone(outlet) as _,
    }
}

fn client() -> Client {
    Client {
        address: "127.0.0.1:9".parse().unwrap(),
        is_encrypted: true,
        mechanism: "SCRAM-SHA-256".into(),
        user_agent_id: Some("d4565fa7".into()),
        software: None,
    }
}

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

/// A stanza of the client of a session.
#[must_use]
pub fn from_client(session: &SessionKey, number: u32) -> Frame {
    Frame::FromClient {
        session: session.clone(),
        attach: Attach::default(),
        number,
        stanza: message(&number.to_string()),
        trace: None,
    }
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

/// Questions and their answers cross whole, refusals too.
pub async fn questions_are_answered(link: &dyn Link, node: &ScriptedNode) {
    let outlet = Recorder::new();
    let (session, answer) = bound(link, &outlet).await;
    assert_eq!(answer.jid.as_str(), "juliet@example.org/x");
    assert_eq!(answer.management, Some(ScriptedNode::management()));
    assert_eq!(
        answer.inline,
        [starling_xmpp::Element::new("urn:x", "enable")]
    );
    let owner = link.owner(&account()).unwrap();
    assert_eq!(
        owner.credentials(&account()).await,
        Ok(Some(ScriptedNode::credentials()))
    );
    let basis = Some(ScriptedNode::credentials().fingerprint());
    let verifiers = ScriptedNode::credentials().verifiers;
    let changes = vec![
        CredentialChange::Password(verifiers.clone()),
        CredentialChange::PutToken(ScriptedNode::credentials().tokens.remove(0)),
        CredentialChange::Disabled(false),
        CredentialChange::Attribute {
            name: "a".into(),
            value: Some("b".into()),
        },
    ];
    let changed = owner.change_credentials(&account(), basis, changes).await;
    assert_eq!(changed.ok(), basis);
    let stale = owner.change_credentials(&account(), None, Vec::new()).await;
    assert_eq!(stale, Err(Error::Stale));
    let registration = Registration {
        account: account(),
        verifiers,
    };
    assert_eq!(owner.register(registration).await, Ok(true));
    assert_eq!(owner.remove(&account()).await, Ok(true));
    assert_eq!(owner.kick(&session).await, Ok(true));
    let sessions = owner.sessions(&account()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].client, client());
    assert_eq!(sessions[0].priority, Some(-1));
    assert_eq!(owner.all_sessions(10).await.map(|all| all.len()), Ok(1));
    let refused = Bind {
        resource: Some("taken".into()),
        ..bind(&outlet)
    };
    let refused = owner.bind(refused).await;
    assert_eq!(refused, Err(BindError::Conflict));
    let resume = |token: &str| Resume {
        account: account(),
        token: token.into(),
        h: 3,
        basis,
        client: client(),
        outlet: Arc::clone(&outlet) as _,
    };
    let resumed = owner.resume(resume("secret")).await.unwrap();
    assert_eq!((resumed.attach, resumed.committed), (Attach(1), 5));
    let unknown = owner.resume(resume("other")).await;
    assert_eq!(unknown, Err(ResumeError::Unknown { h: Some(3) }));
    node.outlet(session.id).committed(9);
    outlet.wait_for(&[Event::Committed(9)]).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalLink;

    fn local() -> (Arc<LocalLink>, Arc<ScriptedNode>) {
        let link = LocalLink::new();
        let node = ScriptedNode::new();
        link.join(&node);
        (link, node)
    }

    #[tokio::test]
    async fn local_frames_of_a_session_arrive_in_order() {
        let (link, node) = local();
        frames_of_a_session_arrive_in_order(&*link, &node).await;
    }

    #[tokio::test]
    async fn local_full_node_makes_senders_wait() {
        let (link, node) = local();
        a_full_node_makes_senders_wait(&*link, &node).await;
    }

    #[tokio::test]
    async fn local_receipts_are_settled_by_number() {
        let (link, node) = local();
        receipts_are_settled_by_number(&*link, &node).await;
    }

    #[tokio::test]
    async fn local_outlets_keep_their_order() {
        let (link, node) = local();
        outlets_keep_their_order(&*link, &node).await;
    }

    #[tokio::test]
    async fn local_questions_are_answered() {
        let (link, node) = local();
        questions_are_answered(&*link, &node).await;
    }
}
