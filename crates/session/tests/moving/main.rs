//! Shards that go from one engine to another over one store, with clients that
//! stay connected: the engines are real, the edge is written down here.
#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

mod early;
mod planned;
mod repeated;
mod stopping;
mod stream;
mod support;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starling_cluster::Shard;
use starling_link::{
    Attach, Detached, Downstream, Frame, Link, Reattach, ReattachError, Resume, SessionNode,
};
use starling_session::Config;
use starling_xmpp::{Element, Stanza, Type};
use tokio::time::sleep;

use stream::*;
use support::*;

/// What reached the edge is not sent again, what did not is, and what comes
/// meanwhile comes after.
#[tokio::test(start_paused = true)]
async fn a_session_goes_on_at_another_node_once_and_in_order() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for (number, id) in (2..).zip(["acked", "seen", "on-its-way"]) {
        world.say(&romeo, number, Attach::default(), message(&juliet, id));
    }
    let all = ["p", "acked", "seen", "on-its-way"];
    at_juliet.has(&all).await;
    at_romeo
        .until("all are dealt with", |state| state.committed == 4)
        .await;
    // The last one did not reach the edge before the node died.
    at_juliet.change(|state| {
        state.stanzas.pop();
        state.acked = 2;
    });
    world.turn();
    // The table is ahead of what the node is told.
    world.send(&romeo, &juliet, "early");
    world.take();
    let attach = world.bring(&juliet, &at_juliet).await.unwrap();
    assert_eq!(attach, Attach(1));
    world.bring(&romeo, &at_romeo).await.unwrap();
    assert_eq!(
        at_juliet.ids(),
        ["p", "acked", "seen"],
        "nothing before all are there"
    );
    world.attended();
    at_juliet
        .has(&["p", "acked", "seen", "on-its-way", "early"])
        .await;
    // It goes on, in both directions, under the new number of its stream.
    world.say(
        &juliet,
        2,
        Attach::default(),
        message(&romeo, "of the old stream"),
    );
    world.say(&juliet, 2, Attach(1), message(&romeo, "after"));
    at_juliet
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    at_romeo.has(&["p", "after"]).await;
    let sessions = world.second.sessions(&juliet.jid.to_bare()).await.unwrap();
    assert_eq!(
        sessions[0].priority,
        Some(0),
        "it is as available as before"
    );
    assert_eq!(at_juliet.state.lock().unwrap().closed, None);
}

/// A stanza whose entry is in its sender's log is sent on again, and neither
/// stored nor delivered twice.
#[tokio::test(start_paused = true)]
async fn what_a_client_said_comes_again_and_counts_once() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "one"));
    at_juliet.has(&["p", "one"]).await;
    at_romeo
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    // The edge was not told so before the node died.
    at_romeo.change(|state| state.committed = 1);
    let both = [(&romeo, &at_romeo), (&juliet, &at_juliet)];
    let attach = world.move_both(both).await;
    world.say(&romeo, 2, attach, message(&juliet, "one"));
    world.say(&romeo, 3, attach, message(&juliet, "two"));
    at_romeo
        .until("both are dealt with", |state| state.committed == 3)
        .await;
    at_juliet.has(&["p", "one", "two"]).await;
    for of in [&romeo, &juliet] {
        assert_eq!(log(&world, of).await, ["one", "two"]);
    }
}

/// A stanza that was handled long ago, and whose sender was not told so, because
/// somebody else it went to could not be reached: its recipient has forgotten its
/// number and finds it in the log, though that cannot be read at first.
#[tokio::test(start_paused = true)]
async fn what_was_said_long_ago_is_looked_for() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "old"));
    at_juliet.has(&["p", "old"]).await;
    // More than an account remembers.
    for number in 2..200 {
        let text = format!("own {number}");
        world.say(&juliet, number, Attach::default(), message(&juliet, &text));
    }
    at_juliet
        .until("all are dealt with", |state| state.committed == 199)
        .await;
    at_juliet
        .until("all came", |state| state.stanzas.len() == 200)
        .await;
    at_romeo.change(|state| state.committed = 1);
    let both = [(&romeo, &at_romeo), (&juliet, &at_juliet)];
    let attach = world.move_both(both).await;
    world.store.set_silent(true);
    world.say(&romeo, 2, attach, message(&juliet, "old"));
    world.say(&romeo, 3, attach, message(&juliet, "new"));
    sleep(Duration::from_secs(5)).await;
    world.store.set_silent(false);
    at_romeo
        .until("both are dealt with", |state| state.committed == 3)
        .await;
    at_juliet
        .until("the new one", |state| state.stanzas.len() >= 201)
        .await;
    assert_eq!(at_juliet.ids()[200..], ["new"]);
}

/// A client had a message, said so when it resumed, and its node died at once:
/// its edge knows only what came since.
#[tokio::test(start_paused = true)]
async fn what_a_client_had_when_it_resumed_does_not_come_again() {
    let world = World::start(&Config::default());
    let (romeo, _) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "had"));
    at_juliet.has(&["p", "had"]).await;
    let again = Arc::new(Stream::default());
    let resumption = juliet.management.clone().unwrap().resumption.unwrap();
    let resume = Resume {
        account: juliet.jid.to_bare(),
        token: resumption.token,
        h: 2,
        basis: None,
        client: client(),
        outlet: Arc::clone(&again) as _,
    };
    let resumed = world.first.resume(resume).await.unwrap();
    again
        .until("what it is like", |state| state.summary.is_some())
        .await;
    world.turn();
    world.take();
    let summary = again.state.lock().unwrap().summary.clone().unwrap();
    let downstream = Downstream {
        base: Some(0),
        sent: 2,
        acked: 2,
        ..Downstream::default()
    };
    let request = Reattach {
        attach: resumed.attach,
        ..request(&juliet, &again, summary, downstream)
    };
    world.second.reattach(request).await.unwrap();
    world.attended();
    let after = message(&juliet, "after").from(romeo.jid.clone());
    let routed = starling_link::Routed {
        target: juliet.jid.to_bare(),
        stanza: after,
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    };
    world.way.push(Frame::Routed(routed)).unwrap();
    again.has(&["after"]).await;
}

/// Edges may be quicker than the table, and are believed in any case.
#[tokio::test(start_paused = true)]
async fn an_edge_that_says_that_all_are_there_is_believed() {
    let world = World::start(&Config::default());
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.turn();
    world.attended();
    world.take();
    let refused = world.bring(&juliet, &at_juliet).await;
    assert_eq!(refused, Err(ReattachError::Late));
}
/// An edge that is gone is not waited for without end, and one that comes after
/// that is told so.
#[tokio::test(start_paused = true)]
async fn who_comes_too_late_is_refused() {
    let config = Config {
        reattach_timeout: Duration::from_millis(1),
        ..Config::default()
    };
    let world = World::start(&config);
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    world.turn();
    world.take();
    // Answered only when the shard is served.
    let sessions = world.second.sessions(&romeo.jid.to_bare()).await.unwrap();
    assert!(sessions.is_empty());
    let refused = world.bring(&romeo, &at_romeo).await;
    assert_eq!(refused, Err(ReattachError::Late));
}

/// A summary of another version ends the session, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_summary_that_cannot_be_read_is_refused() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    world.turn();
    world.take();
    let (_, downstream) = at_romeo.known();
    let other = Bytes::from_static(&[255, 1, 2]);
    let refused = world.bring_as(&romeo, &at_romeo, other, downstream).await;
    assert!(
        matches!(refused, Err(ReattachError::Unreadable(_))),
        "{refused:?}"
    );
    world.attended();
    let sessions = world.second.sessions(&romeo.jid.to_bare()).await.unwrap();
    assert!(sessions.is_empty());
}

/// The answer was lost on the way, or came too late: the session is there once, and
/// what the first attempt says of its end is not taken for the end of the second.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_brought_twice_is_there_once() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    world.turn();
    world.take();
    for number in 1..=2 {
        let attach = world.bring(&romeo, &at_romeo).await.unwrap();
        assert_eq!(attach, Attach(number));
    }
    let given_up = Frame::Detach {
        session: key(&romeo),
        attach: Attach(1),
        how: Detached::Lost,
        acked: None,
    };
    world.second.push(given_up).unwrap();
    world.attended();
    let sessions = world.second.sessions(&romeo.jid.to_bare()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert!(!sessions[0].is_hibernating, "its client is there");
}

/// RFC 6120 §8.2.3: what a dead node had of requests is gone; who asked is told
/// so after a while, and is not told of those that were answered.
#[tokio::test(start_paused = true)]
async fn a_request_that_a_dead_node_had_is_answered_with_an_error() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let ping = Element::new("urn:xmpp:ping", "ping");
    for (number, id) in [(2, "answered"), (3, "lost")] {
        let ask = Stanza::iq(Type::Get, id)
            .to(juliet.jid.clone())
            .child(&ping);
        world.say(&romeo, number, Attach::default(), ask);
    }
    at_juliet.has(&["p", "answered", "lost"]).await;
    let answer = Stanza::iq(Type::Result, "answered").to(romeo.jid.clone());
    world.say(&juliet, 2, Attach::default(), answer);
    at_romeo.has(&["p", "answered"]).await;
    at_romeo
        .until("both are sent on", |state| state.committed == 3)
        .await;
    // It did not reach the edge of the one asked before the node died.
    at_juliet.change(|state| {
        state.stanzas.pop();
        state.acked = 2;
    });
    world.turn();
    // It is dead: it says nothing more.
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    at_romeo.has(&["p", "answered", "lost"]).await;
    let error = at_romeo.state.lock().unwrap().stanzas[2].0.clone();
    assert_eq!(error.head.type_, Type::Error);
    assert_eq!(error.head.from, Some(juliet.jid.clone()));
}
