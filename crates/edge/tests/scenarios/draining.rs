//! An edge that lets its clients go because it is asked to, and serves again.
//! How fast, and in which waves, is tested where it is computed.

use starling_edge::Config;
use starling_link::{Detached, Frame};

use crate::support::{STREAMS, World};

/// One of several edges, which lets so many clients go in a second.
async fn one_of_several(places: &[&str], per_second: u32) -> World {
    let places = places.iter().map(|place| (*place).into()).collect();
    let slow = move |config: &mut Config, _: &mut _| {
        config.tcp.drain_clients_per_second = per_second;
    };
    World::among(Some(places), slow).await
}

#[tokio::test]
async fn a_drained_edge_sends_clients_elsewhere_and_keeps_what_they_resume() {
    // RFC 6120 §4.9.3.19; the session is lost, not closed: XEP-0198 §5.
    let world = one_of_several(&["edge-2.example:5222"], 1_000).await;
    let mut bound = world.bound().await;
    world.handle.set_draining(true);
    let rest = bound.rest().await;
    let expected = format!(
        "<stream:error><see-other-host xmlns='{STREAMS}'>edge-2.example:5222</see-other-host>"
    );
    assert!(rest.starts_with(&expected), "{rest}");
    assert!(rest.ends_with("</stream:error></stream:stream>"), "{rest}");
    assert_eq!(world.node.detached().await, Detached::Lost);
}

#[tokio::test]
async fn without_a_place_to_name_clients_find_another_by_themselves() {
    // RFC 6120 §4.9.3.20.
    let world = one_of_several(&[], 1_000).await;
    let mut bound = world.bound().await;
    world.handle.set_draining(true);
    let rest = bound.rest().await;
    let expected = format!("<stream:error><system-shutdown xmlns='{STREAMS}'");
    assert!(rest.starts_with(&expected), "{rest}");
}

#[tokio::test]
async fn who_comes_while_it_drains_is_turned_away_and_later_let_in() {
    let world = one_of_several(&[], 1_000).await;
    world.handle.set_draining(true);
    let mut early = world.tcp().await;
    let rest = early.rest().await;
    assert!(rest.contains("<stream:stream"), "RFC 6120 §4.9.1.2: {rest}");
    assert!(rest.contains("<system-shutdown"), "{rest}");
    world.handle.set_draining(false);
    world.bound().await;
}

#[tokio::test]
async fn a_drain_that_is_taken_back_leaves_clients_where_they_are() {
    // One a second: some of them are there for a while.
    let world = one_of_several(&[], 1).await;
    let mut clients = Vec::new();
    for _ in 0..24 {
        clients.push(world.bound().await);
    }
    world.handle.set_draining(true);
    world.node.detached().await;
    world.handle.set_draining(false);
    for client in &mut clients {
        // To those that were let go nothing can be sent.
        let _ = client
            .try_send("<message id='on' to='romeo@localhost'/>")
            .await;
    }
    // More than one may have gone by then.
    let stanza = loop {
        match world.node.frame().await {
            Frame::Detach { .. } => {}
            Frame::FromClient { stanza, .. } => break stanza,
            other => panic!("expected a stanza, got {other:?}"),
        }
    };
    assert_eq!(stanza.head.id.as_deref(), Some("on"));
}

#[tokio::test]
async fn a_shutdown_is_as_fast_as_its_deadline_asks() {
    // One a second would take far longer than half of `drain_timeout`.
    let mut world = one_of_several(&[], 1).await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(world.bound().await);
    }
    world.shutdown.cancel();
    for mut client in clients {
        let rest = client.rest().await;
        assert!(rest.contains("<system-shutdown"), "{rest}");
    }
    world.running.take().unwrap().await.unwrap();
    assert_eq!(world.handle.connections(), 0);
}
