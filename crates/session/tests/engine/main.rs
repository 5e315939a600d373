//! Stanzas through a whole engine: workers, shards, commit and router, over
//! the in-memory store.
#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use starling_cluster::{Epoch, Shard};
use starling_link::{BindError, Close, CredentialChange, Error, SessionNode};
use starling_session::{BoxFuture, OwnFence};
use starling_xmpp::credentials::{ScramHash, ScramVerifier};
use starling_xmpp::{Condition, ErrorType, Stanza, Type};
use tokio::time::timeout;

use support::{Node, jid};

#[tokio::test]
async fn a_message_reaches_the_session_it_is_addressed_to() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (romeo, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (juliet, balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    node.send(&romeo, Stanza::message(Type::Chat).id("m1").to(juliet.jid));
    let received = balcony.next().await;
    assert_eq!(received.head.id.as_deref(), Some("m1"));
    assert_eq!(received.head.from, Some(romeo.jid));
}

/// A fence that is clear, in a store that can be away.
fn fence_of(is_away: &Arc<AtomicBool>) -> OwnFence {
    let is_away = Arc::clone(is_away);
    let read = move || -> BoxFuture<'static, Result<bool, starling_store::Error>> {
        let is_away = is_away.load(Ordering::Relaxed);
        let gone = || starling_store::Error::Unavailable {
            reason: "as asked".into(),
        };
        Box::pin(async move { if is_away { Err(gone()) } else { Ok(false) } })
    };
    OwnFence::read_by(read, "session-1.7")
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_senders_wait_then_hear_so_and_nothing_is_lost() {
    // DESIGN promise 2; RFC 6120 §8.3.3.18: resource-constraint, type wait.
    let is_away = Arc::new(AtomicBool::new(false));
    let node = Node::start_with(Some(fence_of(&is_away)));
    Shard::all().for_each(|shard| node.engine.take(shard, Epoch::FIRST));
    node.register("romeo@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    is_away.store(true, Ordering::Relaxed);
    let changing = tokio::spawn({
        let engine = Arc::clone(&node.engine);
        let change = CredentialChange::Disabled(false);
        let account = romeo.jid.to_bare();
        async move {
            engine
                .change_credentials(&account, None, vec![change])
                .await
        }
    });
    let mut sent = 0;
    let refused = loop {
        let note = Stanza::message(Type::Chat).id(format!("m{sent}"));
        node.send(&romeo, note.to(romeo.jid.clone()));
        sent += 1;
        if let Ok(answer) = timeout(Duration::from_secs(1), orchard.next()).await {
            break answer;
        }
    };
    let error = refused.stanza_error().unwrap();
    assert_eq!(error.condition, Condition::ResourceConstraint);
    assert_eq!(error.kind, ErrorType::Wait);
    let last = format!("m{}", sent - 1);
    assert_eq!(refused.head.id.as_deref(), Some(last.as_str()));
    assert_eq!(
        *orchard.committed.lock().unwrap(),
        0,
        "a false acknowledgement"
    );
    assert!(!changing.is_finished(), "a false answer");
    is_away.store(false, Ordering::Relaxed);
    for number in 0..sent - 1 {
        let id = format!("m{number}");
        assert_eq!(orchard.next().await.head.id.as_deref(), Some(id.as_str()));
    }
    orchard.committed_up_to(sent).await;
    assert!(changing.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_message_to_nobody_is_answered() {
    // RFC 6121 §8.5.1: as for an account that has nobody to take it.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    node.send(
        &romeo,
        Stanza::message(Type::Chat)
            .id("m1")
            .to(jid("nobody@localhost")),
    );
    let answer = orchard.next().await;
    assert_eq!(answer.head.type_, Type::Error);
    assert_eq!(
        answer.stanza_error().unwrap().condition,
        Condition::ServiceUnavailable
    );
}

#[tokio::test]
async fn a_request_nobody_knows_gets_exactly_one_answer() {
    // RFC 6120 §8.3.3.19, §8.2.3.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let payload = starling_xmpp::Element::new("urn:example:unknown", "query");
    node.send(
        &romeo,
        Stanza::iq(Type::Get, "q1")
            .to(jid("localhost"))
            .child(&payload),
    );
    node.send(
        &romeo,
        Stanza::message(Type::Chat)
            .id("after")
            .to(romeo.jid.clone()),
    );
    assert_eq!(orchard.next().await.head.id.as_deref(), Some("q1"));
    assert_eq!(orchard.next().await.head.id.as_deref(), Some("after"));
}

#[tokio::test]
async fn a_newcomer_takes_the_resource_and_the_older_session_learns_why() {
    // RFC 6120 §7.7.2.2, §4.9.3.3.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (_, older) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (newer, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    assert_eq!(*older.closed.lock().unwrap(), Some(Close::Conflict));
    let sessions = node.engine.sessions(&jid("romeo@localhost")).await.unwrap();
    assert_eq!(
        sessions.iter().map(|s| s.session).collect::<Vec<_>>(),
        [newer.session]
    );
}

#[tokio::test]
async fn an_account_that_is_not_there_gets_no_session() {
    let node = Node::start();
    let refused = node
        .bind("nobody@localhost", "x")
        .await
        .map(|(bound, _)| bound);
    assert_eq!(refused, Err(BindError::NoAccount));
}

#[tokio::test]
async fn a_removed_account_is_gone_and_its_name_is_free() {
    // XEP-0077 §3.2.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (_, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    assert!(node.engine.remove(&jid("romeo@localhost")).await.unwrap());
    assert_eq!(*orchard.closed.lock().unwrap(), Some(Close::NotAuthorized));
    assert!(!node.engine.remove(&jid("romeo@localhost")).await.unwrap());
    node.register("romeo@localhost").await;
    assert!(node.bind("romeo@localhost", "orchard").await.is_ok());
}

#[tokio::test]
async fn a_panic_ends_the_sessions_of_one_account_and_nothing_else() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (juliet, balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    let fail = starling_xmpp::Element::new("urn:example:faulty", "fail");
    for bad in [
        Stanza::message(Type::Chat)
            .to(juliet.jid.clone())
            .child(&fail),
        Stanza::iq(Type::Get, "f1").child(&fail),
    ] {
        let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
        node.send(&romeo, bad);
        orchard.closed().await;
        assert_eq!(
            *orchard.closed.lock().unwrap(),
            Some(Close::InternalServerError)
        );
    }
    let (romeo, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    node.send(
        &romeo,
        Stanza::message(Type::Chat).id("after").to(juliet.jid),
    );
    assert_eq!(balcony.next().await.head.id.as_deref(), Some("after"));
}

#[tokio::test]
async fn credit_for_every_stanza_comes_back_wherever_it_went() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (juliet, _balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    let ping = starling_xmpp::Element::new("urn:xmpp:ping", "ping");
    let fail = starling_xmpp::Element::new("urn:example:faulty", "fail");
    let message = || Stanza::message(Type::Chat);
    let stanzas = [
        message().to(juliet.jid.clone()),
        message().to(jid("juliet@localhost")),
        message().to(jid("nobody@localhost")),
        message().to(jid("localhost")),
        message().to(jid("far.example")),
        message(),
        Stanza::presence(Type::Available),
        Stanza::presence(Type::Available).to(juliet.jid.clone()),
        Stanza::iq(Type::Get, "1").child(&ping),
        Stanza::iq(Type::Get, "2").to(juliet.jid).child(&ping),
        Stanza::iq(Type::Get, "3")
            .to(jid("juliet@localhost"))
            .child(&fail),
        Stanza::iq(Type::Result, "4").to(jid("localhost")),
    ];
    let count = u32::try_from(stanzas.len()).unwrap();
    for stanza in stanzas {
        node.send(&romeo, stanza);
    }
    orchard.committed_up_to(count).await;
    assert_eq!(*orchard.committed.lock().unwrap(), count);
}

#[tokio::test]
async fn a_handler_that_panics_at_the_recipient_answers_the_sender() {
    // RFC 6120 §8.2.3: a request gets an answer whatever happens.
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let fail = starling_xmpp::Element::new("urn:example:faulty", "fail-there");
    for bad in [
        Stanza::iq(Type::Get, "f1")
            .to(jid("juliet@localhost"))
            .child(&fail),
        Stanza::message(Type::Chat)
            .id("f1")
            .to(jid("juliet@localhost"))
            .child(&fail),
    ] {
        node.send(&romeo, bad);
        let answer = orchard.next().await;
        assert_eq!(answer.head.id.as_deref(), Some("f1"));
        let error = answer.stanza_error().unwrap();
        assert_eq!(error.condition, Condition::InternalServerError);
    }
}

#[tokio::test]
async fn a_login_that_began_with_another_password_is_refused() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    let account = jid("romeo@localhost");
    let seen = node.engine.credentials(&account).await.unwrap().unwrap();
    let basis = Some(seen.fingerprint());
    let password = |octet| {
        let key = vec![octet; 20];
        CredentialChange::Password(vec![ScramVerifier {
            hash: ScramHash::Sha1,
            salt: vec![1],
            iterations: 4096,
            stored_key: key.clone(),
            server_key: key,
        }])
    };
    let now = node
        .engine
        .change_credentials(&account, None, vec![password(1)])
        .await
        .unwrap();
    let late = node
        .engine
        .change_credentials(&account, basis, vec![password(2)])
        .await;
    assert_eq!(late, Err(Error::Stale));
    let stale = node
        .bind_with("romeo@localhost", "x", basis)
        .await
        .map(|_| ());
    assert_eq!(stale, Err(BindError::Stale));
    assert!(
        node.bind_with("romeo@localhost", "x", Some(now))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_disabled_account_gets_no_session_even_if_it_had_logged_in_before() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    let disable = vec![CredentialChange::Disabled(true)];
    let account = jid("romeo@localhost");
    node.engine
        .change_credentials(&account, None, disable)
        .await
        .unwrap();
    let refused = node.bind("romeo@localhost", "x").await.map(|_| ());
    assert_eq!(refused, Err(BindError::NoAccount));
}

#[tokio::test]
async fn a_drained_engine_has_finished_what_it_accepted() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (romeo, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (juliet, balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    for _ in 0..500 {
        node.send(&romeo, Stanza::message(Type::Chat).to(juliet.jid.clone()));
    }
    assert!(node.engine.drain(Duration::from_secs(60)).await);
    assert_eq!(balcony.stanzas.lock().unwrap().len(), 500);
}
