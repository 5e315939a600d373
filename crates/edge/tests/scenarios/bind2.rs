//! Bind 2, within SASL2: XEP-0386; PROTOCOL B.2 28, 29.

use starling_link as link;

use crate::support::{AGENT, PASSWORD, STREAMS, World, between, plain2, prove, refused};

#[tokio::test]
async fn bind_2_binds_within_success() {
    // XEP-0386 §3.2; XEP-0388 §2.6.1; PROTOCOL B.2 28, 29.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let bind = "<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag></bind>";
    client
        .send(plain2("juliet", PASSWORD, &format!("{AGENT}{bind}")))
        .await;
    let answer = client.until("</stream:features>").await;
    let jid = between(&answer, "<authorization-identifier>", "</");
    assert_eq!(jid, "juliet@localhost/AwesomeXMPP/made");
    assert!(
        answer.contains("<bound xmlns='urn:xmpp:bind:0'/>"),
        "{answer}"
    );
    assert!(
        !answer.contains("xmpp-bind"),
        "it is bound already: {answer}"
    );
    let request = world.node.bind();
    assert_eq!(request.tag.as_deref(), Some("AwesomeXMPP"));
    assert_eq!(request.resource, None);
    client.send("<message to='romeo@localhost'/>").await;
    assert_eq!(world.node.stanza().await.head.from.unwrap().as_str(), jid);
}

#[tokio::test]
async fn white_space_is_a_keepalive_again_once_bound() {
    // XEP-0388 §2.4, RFC 6120 §4.6.1.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    prove(&mut client, "juliet", "<bind xmlns='urn:xmpp:bind:0'/>").await;
    client.until("</stream:features>").await;
    client.send(" ").await;
    client.send("<message to='romeo@localhost'/>").await;
    world.node.stanza().await;
}

#[tokio::test]
async fn bind_2_fails_with_the_login() {
    let world = World::start().await;
    let bind = "<bind xmlns='urn:xmpp:bind:0'/>";
    world
        .node
        .faults(|f| f.bind = Some(link::Error::Unavailable.into()));
    let (mut client, _) = world.open().await;
    client.send(plain2("juliet", PASSWORD, bind)).await;
    refused(&mut client, "temporary-auth-failure").await;
    world
        .node
        .faults(|f| f.bind = Some(link::BindError::TooManySessions));
    client.send(plain2("juliet", PASSWORD, bind)).await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<resource-constraint xmlns='{STREAMS}'")),
        "{rest}"
    );
}
