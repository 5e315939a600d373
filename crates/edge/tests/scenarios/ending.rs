//! How streams end: PROTOCOL B.1 15, 16; RFC 6120 §4.4, §4.9.3.

use std::time::Duration;

use starling_link::{Close, Detached};
use starling_xmpp::{Stanza, Type};

use crate::support::{STREAMS, World};

#[tokio::test]
async fn a_closing_tag_is_answered_before_the_connection_ends() {
    // RFC 6120 §4.4; PROTOCOL B.1 15. That `rest` ends at all needs a
    // close_notify (PROTOCOL B.1 16): rustls takes a bare end for an attack.
    let world = World::start().await;
    let mut client = world.bound().await;
    client.send("</stream:stream>").await;
    assert_eq!(client.rest().await, "</stream:stream>");
    assert_eq!(world.node.detached().await, Detached::Closed);

    let (mut client, _) = world.open().await;
    client.send("</stream:stream>").await;
    assert_eq!(
        client.rest().await,
        "</stream:stream>",
        "also before authentication"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_clean_end() {
    // RFC 6120 §4.4; PROTOCOL B.1 15.
    let world = World::start().await;
    let mut client = world.bound().await;
    client.send("<message to='romeo@localhost'/>").await;
    world.node.stanza().await;
    client.vanish();
    assert_eq!(world.node.detached().await, Detached::Lost);
}

#[tokio::test]
async fn what_was_sent_before_the_closing_tag_counts() {
    let world = World::start().await;
    let mut client = world.bound().await;
    client
        .send("<message id='1' to='romeo@localhost'/></stream:stream>")
        .await;
    assert_eq!(world.node.stanza().await.head.id.as_deref(), Some("1"));
    assert_eq!(world.node.detached().await, Detached::Closed);
}

#[tokio::test]
async fn a_session_can_end_its_stream_after_what_it_has_sent() {
    // RFC 6120 §4.9.3.
    for (why, condition) in [
        (Close::Conflict, "conflict"),
        (Close::NotAuthorized, "not-authorized"),
        (Close::ResourceConstraint, "resource-constraint"),
        (Close::SystemShutdown, "system-shutdown"),
        (Close::InternalServerError, "internal-server-error"),
        (Close::HostGone, "host-gone"),
    ] {
        let world = World::start().await;
        let mut client = world.bound().await;
        let outlet = world.node.outlet();
        let last = Stanza::message(Type::Chat).id("last");
        outlet.deliver(&last).unwrap();
        outlet.close(why);
        let late = Stanza::message(Type::Chat).id("late");
        assert_eq!(outlet.deliver(&late), Ok(()), "the session has kept it");
        let rest = client.rest().await;
        assert!(!rest.contains("late"), "nothing after it: {rest}");
        let expected =
            format!("<message type='chat' id='last'/><stream:error><{condition} xmlns='{STREAMS}'");
        assert!(rest.starts_with(&expected), "{rest}");
        assert!(rest.ends_with("</stream:error></stream:stream>"), "{rest}");
        world.node.detached().await;
    }
}

#[tokio::test]
async fn a_shutdown_tells_everyone_and_waits_for_them() {
    // RFC 6120 §4.9.3.20.
    let mut world = World::start().await;
    let mut bound = world.bound().await;
    let (mut stranger, _) = world.open().await;
    let mut silent = world.tcp().await;
    silent.open().await;
    world.shutdown.cancel();
    for client in [&mut bound, &mut stranger, &mut silent] {
        let rest = client.rest().await;
        assert!(
            rest.contains(&format!("<system-shutdown xmlns='{STREAMS}'")),
            "{rest}"
        );
        assert!(rest.ends_with("</stream:stream>"), "{rest}");
    }
    drop((bound, stranger, silent));
    world.running.take().unwrap().await.unwrap();
    assert_eq!(world.handle.connections(), 0);
    assert_eq!(world.node.detached().await, Detached::Lost);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut world = World::with(|config, _| {
        config.tcp.drain_timeout = Duration::from_millis(50);
    })
    .await;
    let client = world.bound().await;
    // A client that never ends its side.
    world.shutdown.cancel();
    world.running.take().unwrap().await.unwrap();
    drop(client);
}

#[tokio::test]
async fn an_error_of_the_client_is_not_answered_with_another() {
    // RFC 6120 §4.9.1.1.
    let world = World::start().await;
    let error = "<stream:error><not-well-formed \
                 xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let mut client = world.bound().await;
    client.send(error).await;
    assert_eq!(client.rest().await, "</stream:stream>");
    assert_eq!(world.node.detached().await, Detached::Lost);
    let (mut client, _) = world.open().await;
    client.send(error).await;
    assert_eq!(client.rest().await, "</stream:stream>");
}
