//! Stanzas of a bound client: PROTOCOL B.1 12, 14; B.3 31, 36; B.4.

use starling_xmpp::{Stanza, Type};

use crate::support::{STREAMS, World};

#[tokio::test]
async fn from_is_stamped_and_the_rest_left_alone() {
    // RFC 6120 §8.1.2.1; PROTOCOL B.3 31.
    let world = World::start().await;
    let mut client = world.bound().await;
    let body = "<body>a &lt; b</body><x xmlns='urn:x' a=\"1\"/>";
    for from in [
        "",
        " from='juliet@localhost'",
        " from='juliet@localhost/balcony'",
    ] {
        client
            .send(format!(
                "<message id='1'{from} to='romeo@localhost' type='chat'>{body}</message>"
            ))
            .await;
        let stanza = world.node.stanza().await;
        assert_eq!(
            stanza.head.from.as_ref().unwrap().as_str(),
            "juliet@localhost/balcony"
        );
        assert_eq!(stanza.content(), body);
    }
}

#[tokio::test]
async fn nobody_sends_as_another() {
    // RFC 6120 §4.9.3.9; PROTOCOL B.3 31.
    let world = World::start().await;
    for from in ["romeo@localhost", "juliet@localhost/garden", "localhost"] {
        let mut client = world.bound().await;
        client
            .send(format!("<message from='{from}' to='romeo@localhost'/>"))
            .await;
        let rest = client.rest().await;
        assert!(
            rest.contains(&format!("<invalid-from xmlns='{STREAMS}'")),
            "{rest}"
        );
        world.node.detached().await;
    }
}

#[tokio::test]
async fn the_stream_s_language_goes_along() {
    // RFC 6120 §4.7.4, §8.1.5; PROTOCOL B.1 14.
    let world = World::start().await;
    let mut client = world.bound().await;
    client.send("<message to='romeo@localhost'/>").await;
    assert_eq!(world.node.stanza().await.head.lang.as_deref(), Some("de"));
    client
        .send("<message to='romeo@localhost' xml:lang='fr'/>")
        .await;
    assert_eq!(world.node.stanza().await.head.lang.as_deref(), Some("fr"));
}

#[tokio::test]
async fn ten_thousand_bytes_are_always_taken_and_too_many_never_in_silence() {
    // RFC 6120 §13.12; PROTOCOL B.1 12.
    let world = World::with(|config, _| config.limits.stanza_bytes_max = 10_000).await;
    let mut client = world.bound().await;
    let message = |bytes: usize| {
        let around = "<message to='romeo@localhost'><body></body></message>";
        let body = "x".repeat(bytes - around.len());
        around.replace("<body>", &format!("<body>{body}"))
    };
    client.send(message(10_000)).await;
    assert!(world.node.stanza().await.content().len() > 9_900);
    let _ = client.try_send(message(10_001)).await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<policy-violation xmlns='{STREAMS}'")),
        "{rest}"
    );
    assert!(
        rest.contains("stanza-too-big"),
        "it names the limit: {rest}"
    );
}

#[tokio::test]
async fn a_wrong_stanza_is_an_error_and_not_the_end() {
    // RFC 6120 §8.2.3, §8.3.3.1, §8.3.3.8; PROTOCOL B.3 36.
    let world = World::start().await;
    let mut client = world.bound().await;
    client
        .send("<message id='7' to='@@wrong'><body>x</body></message>")
        .await;
    let answer = client.until("</message>").await;
    assert!(answer.contains("<jid-malformed "), "{answer}");
    assert!(
        answer.contains("from='@@wrong'"),
        "the original string: {answer}"
    );
    assert!(answer.contains("to='juliet@localhost/balcony'"), "{answer}");
    client.send("<iq id='8' type='get' to='localhost'/>").await;
    let answer = client.until("</iq>").await;
    assert!(answer.contains("<bad-request "), "{answer}");
    client.send("<message to='romeo@localhost'/>").await;
    world.node.stanza().await;
}

#[tokio::test]
async fn stanzas_keep_their_order_both_ways() {
    // RFC 6120 §10.1.
    let world = World::start().await;
    let mut client = world.bound().await;
    let many: String = (0..200)
        .map(|n| format!("<message id='{n}' to='romeo@localhost'/>"))
        .collect();
    client.send(many).await;
    let outlet = world.node.outlet();
    for n in 0..200 {
        let stanza = world.node.stanza().await;
        assert_eq!(stanza.head.id.as_deref(), Some(&*n.to_string()));
        outlet.deliver(&stanza).unwrap();
    }
    for n in 0..200 {
        let got = client.until("/>").await;
        assert!(got.contains(&format!("id='{n}'")), "{got}");
    }
}

#[tokio::test]
async fn what_is_delivered_before_the_answer_to_bind_comes_after_it() {
    // RFC 6120 §7.1: the first thing a client learns is its resource.
    let world = World::start().await;
    let mut client = world.bound().await;
    let greeting = Stanza::message(Type::Headline).id("hello");
    world.node.outlet().deliver(&greeting).unwrap();
    assert_eq!(
        client.until("/>").await,
        "<message type='headline' id='hello'/>"
    );
}
