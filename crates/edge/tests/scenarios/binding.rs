//! Resource binding: RFC 6120 §7; PROTOCOL B.2 24, 25.

use starling_link::{self as link, BindError};

use starling_xmpp::credentials::ScramHash;

use crate::support::World;

async fn refused(why: BindError) -> String {
    let world = World::start().await;
    world.node.faults(|faults| faults.bind = Some(why));
    let mut client = world.authenticated().await;
    let refused = client.bind("balcony").await;
    assert!(refused.starts_with("<iq type='error' id='b'"), "{refused}");
    world.node.faults(|faults| faults.bind = None);
    let bound = client.bind("balcony").await;
    assert!(
        bound.contains("<jid>juliet@localhost/balcony</jid>"),
        "the stream goes on: {bound}"
    );
    refused
}

#[tokio::test]
async fn features_after_authentication_ask_to_bind() {
    // RFC 6120 §7.3.1, §7.4; XEP-0478 §3.1.
    let world = World::start().await;
    let (mut client, before) = world.open().await;
    assert!(before.contains("<max-bytes>8192</max-bytes>"), "{before}");
    client.plain("juliet", "pencil").await;
    let after = client.open().await;
    assert!(
        after.contains("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"),
        "{after}"
    );
    assert!(after.contains("<max-bytes>262144</max-bytes>"), "{after}");
    assert!(
        after.contains("<idle-seconds>300</idle-seconds>"),
        "{after}"
    );
    assert!(!after.contains("mechanism"), "{after}");
}

#[tokio::test]
async fn a_client_may_choose_or_leave_it_to_the_server() {
    // RFC 6120 §7.6, §7.7.
    let world = World::start().await;
    let mut client = world.authenticated().await;
    let bound = client.bind("balcony").await;
    assert_eq!(
        bound,
        "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>juliet@localhost/balcony</jid></bind></iq>"
    );
    let mut client = world.authenticated().await;
    client
        .send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        .await;
    let bound = client.until("</iq>").await;
    assert!(
        bound.contains("<jid>juliet@localhost/made</jid>"),
        "{bound}"
    );
    assert_eq!(world.node.bind().resource, None);
}

#[tokio::test]
async fn each_refusal_has_its_error() {
    // RFC 6120 §7.7.2.1, §7.7.2.2, §7.6.2.1; PROTOCOL B.2 24.
    for (why, type_, condition) in [
        (BindError::BadResource, "modify", "bad-request"),
        (BindError::Conflict, "cancel", "conflict"),
        (BindError::TooManySessions, "wait", "resource-constraint"),
        (BindError::NoAccount, "cancel", "not-allowed"),
        (
            link::Error::Unavailable.into(),
            "wait",
            "resource-constraint",
        ),
        (
            link::Error::Store("x".to_owned()).into(),
            "wait",
            "internal-server-error",
        ),
    ] {
        let refused = refused(why).await;
        assert!(
            refused.contains(&format!("<error type='{type_}'><{condition} ")),
            "{refused}"
        );
        assert!(
            !refused.contains("store"),
            "what failed is not the client's: {refused}"
        );
    }
}

#[tokio::test]
async fn binding_twice_is_an_error() {
    // RFC 6120 §7.1; PROTOCOL B.2 25.
    let world = World::start().await;
    let mut client = world.bound().await;
    let refused = client.bind("orchard").await;
    assert!(
        refused.contains("<error type='cancel'><not-allowed "),
        "{refused}"
    );
    assert_eq!(world.node.frames_waiting(), 0);
}

#[tokio::test]
async fn an_old_client_gets_its_session() {
    // RFC 3921 §3.
    let world = World::start().await;
    let mut client = world.bound().await;
    client
        .send(
            "<iq type='set' id='s' to='localhost'>\
             <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        )
        .await;
    let answer = client.until("/>").await;
    assert!(answer.starts_with("<iq type='result' id='s'"), "{answer}");
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_began() {
    // Who knew the old password must not keep a session by being quick.
    let world = World::start().await;
    let mut client = world.authenticated().await;
    world
        .node
        .add("juliet@localhost", "another", &ScramHash::ALL);
    let refused = client.bind("balcony").await;
    assert!(
        refused.contains("<error type='auth'><not-authorized "),
        "{refused}"
    );
}
