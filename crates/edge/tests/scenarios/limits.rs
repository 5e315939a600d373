//! What a stranger may cost: DESIGN §9; RFC 6120 §13.12.

use std::time::Duration;

use crate::support::{HEADER, STREAMS, World};

fn policy_violation() -> String {
    format!("<policy-violation xmlns='{STREAMS}'")
}

#[tokio::test]
async fn an_unauthenticated_client_has_eight_kilobytes() {
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let long = "x".repeat(9_000);
    let _ = client
        .try_send(format!("<a xmlns='urn:b'>{long}</a>"))
        .await;
    let rest = client.rest().await;
    assert!(rest.contains(&policy_violation()), "{rest}");

    let mut client = world.tls().await;
    let _ = client
        .try_send(HEADER.replace("'de'", &format!("'{long}'")))
        .await;
    let rest = client.rest().await;
    assert!(
        rest.starts_with("<?xml") && rest.contains(&policy_violation()),
        "{rest}"
    );

    // White space is no way around it.
    let (mut client, _) = world.open().await;
    let _ = client.try_send(" ".repeat(9_000)).await;
    let rest = client.rest().await;
    assert!(rest.contains(&policy_violation()), "{rest}");
}

#[tokio::test]
async fn an_unauthenticated_client_has_thirty_two_elements() {
    let world = World::with(|_, host| host.is_registration_allowed = true).await;
    let (mut client, _) = world.open().await;
    let form = "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>";
    let _ = client.try_send(form.repeat(33)).await;
    let rest = client.rest().await;
    assert_eq!(rest.matches("<instructions>").count(), 32);
    assert!(rest.contains(&policy_violation()), "{rest}");
}

#[tokio::test]
async fn an_unauthenticated_client_has_little_time() {
    // RFC 6120 §4.9.3.4.
    let within =
        async |time| World::with(move |config, _| config.limits.negotiation_timeout = time).await;
    let world = within(Duration::from_millis(300)).await;
    let mut silent = world.tcp().await;
    let rest = silent.rest().await;
    assert!(rest.starts_with("<?xml"), "{rest}");
    assert!(
        rest.contains(&format!("<connection-timeout xmlns='{STREAMS}'")),
        "{rest}"
    );
    // One that stops in the middle of a handshake has nothing to be told on. It
    // has time to get there on a busy machine.
    let world = within(Duration::from_secs(5)).await;
    let mut stuck = world.tcp().await;
    stuck.open().await;
    stuck
        .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    let rest = stuck.rest().await;
    assert_eq!(rest, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let world = World::with(|config, _| {
        config.limits.connections_per_address_max = 2;
    })
    .await;
    let first = world.bound().await;
    let _second = world.bound().await;
    let mut third = world.tcp().await;
    assert_eq!(third.rest().await, "", "closed at once");
    assert_eq!(world.handle.connections(), 2);
    first.vanish();
    world.node.detached().await;
    while world.handle.connections() > 1 {
        tokio::task::yield_now().await;
    }
    let _other = world.bound().await;
}

#[tokio::test]
async fn an_address_has_fewer_that_did_not_authenticate() {
    let world = World::with(|config, _| {
        config.limits.unauthenticated_per_address_max = 1;
    })
    .await;
    let _bound = world.bound().await;
    let _stranger = world.open().await;
    let mut another = world.tcp().await;
    assert_eq!(another.rest().await, "");
}
