//! Stream management between a connection and its session: who is asked, who is
//! answered, and when (XEP-0198 §4).

use starling_link::{Frame, Management};
use starling_xmpp::{Element, Stanza, Type, ns};

use crate::support::{Client, World};

/// A client that has stream management.
async fn managed(world: &World) -> Client {
    let mut client = world.bound().await;
    client.send(format!("<enable xmlns='{}'/>", ns::SM)).await;
    let frame = world.node.frame().await;
    assert!(matches!(frame, Frame::Enable { .. }), "{frame:?}");
    world.node.outlet().enabled(&Management {
        received: 0,
        sent: 0,
        resumption: None,
    });
    client.until("/>").await;
    client
}

fn asks() -> String {
    format!("<r xmlns='{}'/>", ns::SM)
}

fn answers(h: u32) -> String {
    format!("<a xmlns='{}' h='{h}'/>", ns::SM)
}

/// It must not be withheld "for any condition other than a timeout": a store
/// that stands still is no reason.
#[tokio::test]
async fn who_asks_is_answered_though_nothing_is_dealt_with() {
    let world = World::start().await;
    world.node.faults(|faults| faults.is_slow = true);
    let mut client = managed(&world).await;
    client
        .send(format!("<message to='romeo@localhost'/>{}", asks()))
        .await;
    assert_eq!(client.until("/>").await, answers(0));
    world.node.outlet().committed(1);
    assert_eq!(client.until("/>").await, answers(1), "it waited for that");
    client.send(asks()).await;
    assert_eq!(client.until("/>").await, answers(1), "with nothing new");
}

/// Of what is dealt with meanwhile, there is one answer.
#[tokio::test]
async fn who_asks_about_what_is_dealt_with_soon_is_answered_with_that() {
    let world = World::start().await;
    let mut client = managed(&world).await;
    let asking = format!("<message to='romeo@localhost'/>{}", asks());
    for h in 1..=3 {
        client.send(&asking).await;
        assert_eq!(client.until("/>").await, answers(h));
    }
}

#[tokio::test]
async fn who_ends_the_stream_is_answered_before() {
    let world = World::start().await;
    world.node.faults(|faults| faults.is_slow = true);
    let mut client = managed(&world).await;
    let message = "<message to='romeo@localhost'/>";
    client
        .send(format!("{message}{}</stream:stream>", asks()))
        .await;
    let rest = client.rest().await;
    assert!(rest.starts_with(&answers(0)), "{rest}");
}

/// Each question costs a read and a word to the session: many stanzas share
/// one. The last of them is asked about, too.
#[tokio::test]
async fn a_client_is_asked_about_many_stanzas_at_once_and_about_the_last() {
    const STANZAS: u32 = 40;
    let world = World::start().await;
    let mut client = managed(&world).await;
    let outlet = world.node.outlet();
    let body = Element::new("jabber:client", "body").text("hello");
    let message = Stanza::message(Type::Chat).child(&body);
    let mut questions = 1;
    for number in 0..STANZAS {
        outlet.deliver(&message).unwrap();
        let read = client.until("</message>").await;
        if read.contains(&asks()) {
            questions += 1;
            client.send(answers(number)).await;
        }
    }
    client.until(&asks()).await;
    client.send(answers(STANZAS)).await;
    while world.node.acked().await != STANZAS {}
    assert!((2..STANZAS / 4).contains(&questions), "{questions} of them");
}
