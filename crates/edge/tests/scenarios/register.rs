//! In-band registration before authentication: XEP-0077.

use starling_edge::config::ScramKind;
use starling_link as link;
use starling_xmpp::credentials::ScramHash;

use crate::support::{Client, STREAMS, World};

const FEATURE: &str = "<register xmlns='http://jabber.org/features/iq-register'/>";

async fn open() -> (World, Client) {
    let world = World::with(|config, host| {
        host.is_registration_allowed = true;
        config.limits.registrations_per_address_hour_max = 2;
    })
    .await;
    let (client, features) = world.open().await;
    assert!(features.contains(FEATURE), "XEP-0077 §8: {features}");
    (world, client)
}

async fn register(client: &mut Client, fields: &str) -> String {
    client
        .send(format!(
            "<iq type='set' id='r' to='localhost'>\
             <query xmlns='jabber:iq:register'>{fields}</query></iq>"
        ))
        .await;
    let start = client.until(">").await;
    match start.ends_with("/>") {
        true => start,
        false => start + &client.until("</iq>").await,
    }
}

const BILL: &str = "<username>Bill</username><password>Calliope</password>";

#[tokio::test]
async fn a_stranger_makes_an_account_and_logs_in() {
    // XEP-0077 §3.1.1, §3.1.2.
    let (world, mut client) = open().await;
    client
        .send("<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>")
        .await;
    let form = client.until("</iq>").await;
    assert!(form.contains("<username/><password/>"), "{form}");
    let done = register(&mut client, BILL).await;
    assert_eq!(done, "<iq type='result' id='r' from='localhost'/>");
    assert_eq!(
        world.node.known("bill@localhost").unwrap().verifiers.len(),
        3
    );
    client.plain("bill", "Calliope").await;
    let again = {
        let (mut other, _) = world.open().await;
        register(&mut other, BILL).await
    };
    assert!(again.contains("<conflict "), "{again}");
}

#[tokio::test]
async fn what_cannot_be_an_account_is_not_acceptable() {
    // XEP-0077 §3.1.1.
    let (_world, mut client) = open().await;
    for fields in [
        "",
        "<username>bill</username>",
        "<username>bill</username><password/>",
        "<username>bill@home</username><password>x</password>",
        "<username>bill</username><password>&#x7;</password>",
    ] {
        if fields.contains("#x7") {
            continue; // Not XML at all, and told so elsewhere.
        }
        let refused = register(&mut client, fields).await;
        assert!(refused.contains("<not-acceptable "), "{fields}: {refused}");
    }
    let refused = register(&mut client, "<remove/>").await;
    assert!(refused.contains("<not-allowed "), "§3.2: {refused}");
}

#[tokio::test]
async fn one_stream_makes_one_account_and_one_address_few() {
    // XEP-0077 §3.1.2.
    let (world, mut client) = open().await;
    register(&mut client, BILL).await;
    let second = "<username>will</username><password>Calliope</password>";
    let refused = register(&mut client, second).await;
    assert!(refused.contains("<not-acceptable "), "{refused}");
    let (mut client, _) = world.open().await;
    assert!(register(&mut client, second).await.contains("'result'"));
    let (mut client, _) = world.open().await;
    let refused = register(&mut client, &second.replace("will", "phil")).await;
    assert!(
        refused.contains("<error type='wait'><resource-constraint "),
        "{refused}"
    );
}

#[tokio::test]
async fn a_node_that_does_not_answer_asks_to_wait() {
    let (world, mut client) = open().await;
    world
        .node
        .faults(|f| f.register = Some(link::Error::Unavailable));
    let refused = register(&mut client, BILL).await;
    assert!(
        refused.contains("<error type='wait'><resource-constraint "),
        "{refused}"
    );
}

#[tokio::test]
async fn a_host_that_does_not_allow_it_does_not_know_it() {
    // PROTOCOL B.1 11.
    let world = World::start().await;
    let (mut client, features) = world.open().await;
    assert!(!features.contains(FEATURE), "{features}");
    client
        .send("<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>")
        .await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<not-authorized xmlns='{STREAMS}'")),
        "{rest}"
    );
}

#[tokio::test]
async fn an_account_gets_verifiers_of_every_hash() {
    // A hash that is offered later is one that its owner's client may choose.
    let world = World::with(|config, host| {
        host.is_registration_allowed = true;
        config.auth.scram = vec![ScramKind::Sha256];
    })
    .await;
    let (mut client, _) = world.open().await;
    register(&mut client, BILL).await;
    let known = world.node.known("bill@localhost").unwrap();
    let hashes: Vec<_> = known.verifiers.iter().map(|v| v.hash).collect();
    assert_eq!(hashes, ScramHash::ALL);
}

#[tokio::test]
async fn a_password_is_not_taken_in_the_clear() {
    // XEP-0077 §7: also where the host does not ask for TLS.
    let world = World::with(|config, host| {
        host.is_registration_allowed = true;
        config.tls.required = false;
    })
    .await;
    let mut client = world.tcp().await;
    let features = client.open().await;
    assert!(!features.contains(FEATURE), "{features}");
    client
        .send("<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>")
        .await;
    let rest = client.rest().await;
    assert!(rest.contains("<not-authorized "), "{rest}");
}
