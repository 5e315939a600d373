//! Flow control: DESIGN §4 and §6. Slow nodes stop readers, slow clients stop
//! themselves, and nothing is lost or out of order on the way.

use std::time::Duration;

use starling_link::{Detached, Full};
use starling_xmpp::{Element, Stanza, Type};

use crate::support::{Faults, STREAMS, World};

fn numbered(from: usize, to: usize) -> String {
    let one = |n| format!("<message id='{n}' to='romeo@localhost'/>");
    (from..to).map(one).collect()
}

fn large() -> Stanza {
    let body = Element::new("jabber:client", "body").text("x".repeat(10_000));
    Stanza::message(Type::Chat).child(&body)
}

#[tokio::test]
async fn without_credit_nothing_more_is_read() {
    let world = World::with(|config, _| config.limits.uncommitted_stanzas_max = 8).await;
    world.node.faults(|faults| faults.is_slow = true);
    let mut client = world.bound().await;
    client.send(numbered(0, 20)).await;
    for n in 0..8 {
        assert_eq!(
            world.node.stanza().await.head.id.as_deref(),
            Some(&*n.to_string())
        );
    }
    // What the edge would do wrong it has had time for: it answers others.
    let _other = world.bound().await;
    assert_eq!(world.node.frames_waiting(), 0, "no credit, no stanza");
}

#[tokio::test]
async fn credit_that_comes_back_lets_the_rest_in() {
    let world = World::with(|config, _| config.limits.uncommitted_stanzas_max = 8).await;
    world.node.faults(|faults| faults.is_slow = true);
    let mut client = world.bound().await;
    let outlet = world.node.outlet();
    client.send(numbered(0, 100)).await;
    for n in 0..100 {
        assert_eq!(
            world.node.stanza().await.head.id.as_deref(),
            Some(&*n.to_string())
        );
        if n % 8 == 7 {
            outlet.committed(n + 1);
        }
    }
}

#[tokio::test]
async fn a_node_without_room_is_waited_for() {
    let world = World::start().await;
    let mut client = world.bound().await;
    world.node.faults(|faults| faults.is_full = true);
    client.send(numbered(0, 50)).await;
    // The client can be written to all the while.
    world.node.outlet().deliver(&large()).unwrap();
    client.until("</message>").await;
    world.node.refused().await;
    assert_eq!(world.node.frames_waiting(), 0);
    world.node.faults(|faults| faults.is_full = false);
    for n in 0..50 {
        assert_eq!(
            world.node.stanza().await.head.id.as_deref(),
            Some(&*n.to_string())
        );
    }
}

#[tokio::test]
async fn a_held_stanza_comes_before_the_end() {
    let world = World::start().await;
    let mut client = world.bound().await;
    world.node.faults(|faults| faults.is_full = true);
    client.send(numbered(0, 1)).await;
    world.node.refused().await;
    world.node.outlet().close(starling_link::Close::Conflict);
    world.node.faults(|faults| faults.is_full = false);
    world.node.stanza().await;
    assert_eq!(world.node.detached().await, Detached::Lost);
}

#[tokio::test]
async fn a_node_that_is_gone_for_a_moment_is_only_a_pause() {
    // DESIGN §1.5.
    let world = World::start().await;
    let mut client = world.bound().await;
    world.node.faults(|faults| faults.is_gone = true);
    client.send(numbered(0, 3)).await;
    client.send("</stream:stream>").await;
    // Another client is served: the edge has had its turn with this one.
    let _other = world.bound().await;
    world.node.faults(|faults| faults.is_gone = false);
    for n in 0..3 {
        assert_eq!(
            world.node.stanza().await.head.id.as_deref(),
            Some(&*n.to_string())
        );
    }
    assert_eq!(world.node.detached().await, Detached::Closed);
    assert_eq!(client.rest().await, "</stream:stream>");
}

/// A client is held back only so long for a node with that fault.
async fn ended_by_a_node_that(is: fn(&mut Faults)) {
    let world = World::with(|config, _| {
        config.limits.unavailable_timeout = Duration::from_millis(50);
    })
    .await;
    let mut client = world.bound().await;
    world.node.faults(is);
    client.send(numbered(0, 1)).await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<internal-server-error xmlns='{STREAMS}'")),
        "{rest}"
    );
}

#[tokio::test]
async fn a_node_that_stays_away_ends_the_stream() {
    // RFC 6120 §4.9.3.6: our fault, and said so.
    ended_by_a_node_that(|faults| faults.is_gone = true).await;
}

#[tokio::test]
async fn a_node_that_never_has_room_ends_the_stream() {
    // RFC 6120 §4.9.3.6: it answers, but a client cannot be held for ever.
    ended_by_a_node_that(|faults| faults.is_full = true).await;
}

#[tokio::test]
async fn answers_to_others_reach_the_session() {
    // RFC 6121 §8.5: only what is addressed to the server, or to nobody, is
    // the edge's to answer or to swallow.
    let world = World::start().await;
    let mut client = world.bound().await;
    client
        .send(
            "<iq type='result' id='starling-edge-ping-1' to='romeo@localhost/x'/>\
             <iq type='set' id='s' to='romeo@localhost/x'>\
             <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        )
        .await;
    for id in ["starling-edge-ping-1", "s"] {
        assert_eq!(world.node.stanza().await.head.id.as_deref(), Some(id));
    }
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_read_slowly() {
    let world = World::with(|config, _| {
        config.limits.stanzas_burst = 5;
        config.limits.stanzas_per_second = 200;
    })
    .await;
    let mut client = world.bound().await;
    let start = tokio::time::Instant::now();
    client.send(numbered(0, 45)).await;
    for n in 0..45 {
        assert_eq!(
            world.node.stanza().await.head.id.as_deref(),
            Some(&*n.to_string())
        );
    }
    assert!(
        start.elapsed() >= Duration::from_millis(190),
        "40 beyond the burst, at 200/s"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    // RFC 6120 §4.9.3.17; PROTOCOL B.8 92.
    let world = World::with(|config, _| {
        config.limits.write_stall_timeout = Duration::from_millis(200);
        // Full long before, however slow the flood is.
        config.limits.outbound_stanzas_max = 16;
    })
    .await;
    let client = world.bound().await;
    let outlet = world.node.outlet();
    let stanza = large();
    let mut has_been_full = false;
    // The system's own buffers take a while to fill.
    let flood = async {
        loop {
            has_been_full |= outlet.deliver(&stanza) == Err(Full);
            tokio::task::yield_now().await;
        }
    };
    let how = tokio::select! {
        how = world.node.detached() => how,
        () = flood => panic!("a flood has no end"),
    };
    assert_eq!(how, Detached::Lost);
    assert!(has_been_full);
    // After the end it is not the client that is slow: the session has kept
    // what comes, and hears of the end.
    assert_eq!(outlet.deliver(&stanza), Ok(()));
    client.vanish();
}

#[tokio::test]
async fn what_waits_for_a_client_is_bounded() {
    let world = World::with(|config, _| config.limits.outbound_stanzas_max = 16).await;
    let mut client = world.bound().await;
    let outlet = world.node.outlet();
    let stanza = Stanza::message(Type::Chat).id("x");
    // This test is the only task that runs: the connection takes none of it.
    let taken = std::iter::repeat_with(|| outlet.deliver(&stanza))
        .take_while(Result::is_ok)
        .count();
    assert_eq!(taken, 16);
    for _ in 0..16 {
        client.until("/>").await;
    }
    outlet.deliver(&stanza).unwrap();
    client.until("/>").await;
}

#[tokio::test]
async fn the_session_learns_when_all_is_written() {
    let world = World::start().await;
    let mut client = world.bound().await;
    let outlet = world.node.outlet();
    for number in 1..4 {
        outlet.deliver(&large()).unwrap();
        outlet.request_ack();
        assert_eq!(world.node.acked().await, number);
        client.until("</message>").await;
    }
    outlet.request_ack();
    assert_eq!(world.node.acked().await, 3);
}

#[tokio::test]
async fn a_silent_client_is_asked_and_its_answer_kept_from_the_session() {
    // RFC 6120 §4.6.1; XEP-0199 §4.1.
    let world = World::with(|config, _| {
        config.keepalive.ping_after = Duration::from_millis(50);
    })
    .await;
    let mut client = world.bound().await;
    for answer in ["result", "error"] {
        let ping = client.until("</iq>").await;
        assert!(ping.contains("<ping xmlns='urn:xmpp:ping'/>"), "{ping}");
        assert!(
            ping.contains("to='juliet@localhost/balcony' from='localhost'"),
            "{ping}"
        );
        let id = crate::support::between(&ping, "id='", "'");
        client
            .send(format!("<iq type='{answer}' id='{id}' to='localhost'/>"))
            .await;
    }
    client.send("<message to='romeo@localhost'/>").await;
    assert!(
        world.node.stanza().await.head.id.is_none(),
        "no answer came before it"
    );
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_gone() {
    // RFC 6120 §4.6.2, §4.9.3.4.
    let world = World::with(|config, _| {
        config.keepalive.ping_after = Duration::from_millis(20);
        config.keepalive.ping_timeout = Duration::from_millis(50);
    })
    .await;
    let mut client = world.bound().await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<connection-timeout xmlns='{STREAMS}'")),
        "{rest}"
    );
    assert_eq!(world.node.detached().await, Detached::Lost);
}
