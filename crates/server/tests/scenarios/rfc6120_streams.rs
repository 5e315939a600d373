//! RFC 6120 §4, §5, §7: streams, STARTTLS, resource binding; XEP-0368, XEP-0478.

use starling_testkit::login::{Mechanism, bind, sasl};
use starling_testkit::scram::Hash;
use starling_testkit::{Element, Item, Login, Stream, World, element, iq, message, ns};

scenarios![
    the_header_answers_the_header,
    an_unknown_host_gets_a_header_then_an_error,
    before_tls_nothing_but_starttls_is_offered,
    a_restart_gets_a_new_stream_id,
    direct_tls_agrees_on_xmpp_and_offers_no_starttls,
    stream_prefixes_are_free,
    a_wrong_stream_namespace_is_an_error,
    xml_that_xmpp_forbids_is_an_error,
    xml_that_is_not_well_formed_is_an_error,
    an_unbound_prefix_is_an_error,
    bytes_before_the_handshake_are_dropped,
    stanzas_before_authentication_are_refused,
    much_before_authentication_is_refused,
    stanzas_before_binding_are_refused,
    a_stream_may_come_byte_by_byte,
    whitespace_between_stanzas_means_nothing,
    an_unknown_top_level_element_is_an_error,
    stanzas_have_a_size_limit_and_it_is_told,
    a_closed_stream_is_closed_in_return,
    a_resource_is_made_up_if_none_is_asked_for,
    a_second_binding_of_a_resource_ends_the_first_or_differs,
    a_malformed_resource_is_refused,
    a_bound_stream_cannot_bind_again,
];

/// RFC 6120 §4.7.1–4.7.5.
async fn the_header_answers_the_header(world: &World) {
    let mut stream = world.stream().await;
    let header = stream.open().await;
    assert!(header.is(ns::STREAM, "stream"));
    assert_eq!(header.from(), Some(world.hosts().main));
    assert_eq!(header.attr("version"), Some("1.0"));
    assert!(header.lang().is_some());
    assert!(header.need_attr("id").len() >= 8);
}

/// RFC 6120 §4.9.1.2, §4.9.3.6.
async fn an_unknown_host_gets_a_header_then_an_error(world: &World) {
    let mut stream = Stream::connect(world.entrance(), "unknown.example").await;
    let header = stream.open().await;
    assert!(header.attr("id").is_some());
    stream.ends_with("host-unknown").await;
}

/// RFC 6120 §5.3.1: STARTTLS alone while it is mandatory.
async fn before_tls_nothing_but_starttls_is_offered(world: &World) {
    let mut stream = world.stream().await;
    let features = stream.open_to_features().await;
    assert!(
        features
            .need(ns::TLS, "starttls")
            .child(ns::TLS, "required")
            .is_some()
    );
    assert!(features.child(ns::SASL, "mechanisms").is_none());
    assert!(features.child(ns::SASL2, "authentication").is_none());
    stream
        .send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>")
        .await;
    // RFC 6120 §6.5.4 and §13.8.2: never a password in the clear.
    let reply = stream.item().await;
    let Item::Element(reply) = reply else {
        panic!("not refused: {reply:?}")
    };
    assert!(
        reply.is(ns::SASL, "failure") || reply.is(ns::STREAM, "error"),
        "not refused: {reply}"
    );
}

/// RFC 6120 §4.7.3, §5.4.3.3.
async fn a_restart_gets_a_new_stream_id(world: &World) {
    let mut stream = world.stream().await;
    let first = stream.open().await;
    stream.next_is(element(ns::STREAM, "features")).await;
    stream
        .send(format!("<starttls xmlns='{}'/>", ns::TLS))
        .await;
    stream.next_is(element(ns::TLS, "proceed")).await;
    stream.start_tls().await;
    let second = stream.open().await;
    assert_ne!(first.attr("id"), second.attr("id"));
    let features = stream.next_is(element(ns::STREAM, "features")).await;
    assert!(features.child(ns::TLS, "starttls").is_none());
}

/// XEP-0368 §3, RFC 7590.
async fn direct_tls_agrees_on_xmpp_and_offers_no_starttls(world: &World) {
    let mut stream = world.tls_stream().await;
    assert_eq!(
        stream.tls().unwrap().alpn.as_deref(),
        Some(&b"xmpp-client"[..])
    );
    let features = stream.open_to_features().await;
    assert!(features.child(ns::TLS, "starttls").is_none());
    assert!(features.child(ns::SASL, "mechanisms").is_some());
}

/// RFC 6120 §4.8.5: prefixes are a convention.
async fn stream_prefixes_are_free(world: &World) {
    let mut stream = world.stream().await;
    let host = world.hosts().main;
    stream
        .send(format!(
            "<s:stream xmlns:s='{}' xmlns='{}' to='{host}' version='1.0'>",
            ns::STREAM,
            ns::CLIENT
        ))
        .await;
    assert!(stream.next_header().await.is(ns::STREAM, "stream"));
    stream.next_is(element(ns::STREAM, "features")).await;
}

/// RFC 6120 §4.9.3.10.
async fn a_wrong_stream_namespace_is_an_error(world: &World) {
    let mut stream = world.stream().await;
    let host = world.hosts().main;
    stream
        .send(format!(
            "<s:stream xmlns:s='http://wrong.example/' xmlns='{}' to='{host}' version='1.0'>",
            ns::CLIENT
        ))
        .await;
    stream.next_header().await;
    stream.ends_with("invalid-namespace").await;
}

/// RFC 6120 §11.1, §4.9.3.18.
async fn xml_that_xmpp_forbids_is_an_error(world: &World) {
    for xml in [
        "<!-- comment -->",
        "<?target instruction?>",
        "<a xmlns='urn:x'>&custom;</a>",
    ] {
        let mut stream = world.tls_stream().await;
        stream.open_to_features().await;
        stream.send(xml).await;
        stream.ends_with("restricted-xml").await;
    }
    // Billion laughs dies at its first line.
    let mut stream = world.stream().await;
    stream
        .send(
            "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]>",
        )
        .await;
    stream.next_header().await;
    stream.ends_with("restricted-xml").await;
}

/// RFC 6120 §11.3, §4.9.3.13; §11.6 for the encoding.
async fn xml_that_is_not_well_formed_is_an_error(world: &World) {
    for xml in [
        &b"<a xmlns='urn:x'></b>"[..],
        b"<a xmlns='urn:x' b=c/>",
        b"<a xmlns='urn:x' b='1' b='2'/>",
        b"<a><<",
    ] {
        let mut stream = world.tls_stream().await;
        stream.open_to_features().await;
        stream.send(xml).await;
        stream.ends_with("not-well-formed").await;
    }
    for bytes in [
        &b"<a xmlns='urn:x'>\xff\xfe</a>"[..],
        b"<a xmlns='urn:x'>\xc0\x80</a>",
    ] {
        let mut stream = world.tls_stream().await;
        stream.open_to_features().await;
        stream.send(bytes).await;
        let is_right = |error: &Element| {
            ["not-well-formed", "bad-format", "unsupported-encoding"]
                .iter()
                .any(|condition| error.child(ns::STREAM_ERRORS, condition).is_some())
        };
        stream
            .next_is(element(ns::STREAM, "error").that("for the encoding", is_right))
            .await;
        stream.ends().await;
    }
}

/// RFC 6120 §4.9.3.2.
async fn an_unbound_prefix_is_an_error(world: &World) {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    stream.send("<unbound:a/>").await;
    stream.ends_with("bad-namespace-prefix").await;
}

/// RFC 6120 §5.3.2, §5.4.3.3: plaintext injected before TLS is not obeyed after.
async fn bytes_before_the_handshake_are_dropped(world: &World) {
    let mut stream = world.stream().await;
    stream.open_to_features().await;
    stream
        .send(format!(
            "<starttls xmlns='{}'/><auth xmlns='{}' mechanism='PLAIN'>AGEAYg==</auth>",
            ns::TLS,
            ns::SASL
        ))
        .await;
    stream.next_is(element(ns::TLS, "proceed")).await;
    stream.start_tls().await;
    let features = stream.open_to_features().await;
    assert!(features.child(ns::SASL, "mechanisms").is_some());
    stream.send("</stream:stream>").await;
    stream.ends().await;
}

/// RFC 6120 §4.9.3.12.
async fn stanzas_before_authentication_are_refused(world: &World) {
    for xml in ["<presence/>", "<a xmlns='urn:x'/>"] {
        let mut stream = world.tls_stream().await;
        stream.open_to_features().await;
        stream.send(xml).await;
        stream.ends_with("not-authorized").await;
    }
}

/// RFC 6120 §13.12: little is kept for a peer nobody knows.
async fn much_before_authentication_is_refused(world: &World) {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    stream
        .send(format!(
            "<auth xmlns='{}' mechanism='PLAIN'>{}</auth>",
            ns::SASL,
            "A".repeat(20_000)
        ))
        .await;
    stream.ends_with("policy-violation").await;
}

/// RFC 6120 §7.1.
async fn stanzas_before_binding_are_refused(world: &World) {
    let account = world.account("nurse").await;
    let mut stream = Login::new(&account).authenticate(world.entrance()).await;
    stream
        .send(format!(
            "<message to='someone@{}'><body>early</body></message>",
            world.hosts().main
        ))
        .await;
    stream.ends_with("not-authorized").await;
}

/// RFC 6120 §4.1: TCP keeps no boundaries.
async fn a_stream_may_come_byte_by_byte(world: &World) {
    let mut stream = world.stream().await;
    for byte in stream.header().into_bytes() {
        stream.send([byte]).await;
    }
    stream.next_header().await;
    stream.next_is(element(ns::STREAM, "features")).await;
    for byte in format!("<starttls xmlns='{}'/>", ns::TLS).into_bytes() {
        stream.send([byte]).await;
    }
    stream.next_is(element(ns::TLS, "proceed")).await;
}

/// RFC 6120 §4.6.1.
async fn whitespace_between_stanzas_means_nothing(world: &World) {
    let account = world.account("nurse").await;
    let mut client = world.connect(&account, "keys").await;
    client.send(" \n\t ").await;
    client.gets_nothing().await;
    client.send("\n").await;
    client.gets_nothing().await;
}

/// RFC 6120 §4.9.3.24.
async fn an_unknown_top_level_element_is_an_error(world: &World) {
    let account = world.account("nurse").await;
    let mut client = world.connect(&account, "keys").await;
    client.send("<pubsub><item/></pubsub>").await;
    client.ends_with("unsupported-stanza-type").await;
}

/// RFC 6120 §13.12: at least 10,000 bytes; XEP-0478 §3 tells how many.
async fn stanzas_have_a_size_limit_and_it_is_told(world: &World) {
    let account = world.account("nurse").await;
    let mut stream = Login::new(&account)
        .mechanism(Mechanism::Plain)
        .authenticate(world.entrance())
        .await;
    bind(&mut stream, None).await;
    stream.close().await;

    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    sasl(&mut stream, &account, Mechanism::Plain).await;
    let features = stream.open_to_features().await;
    let limit = features
        .need(ns::LIMITS, "limits")
        .need(ns::LIMITS, "max-bytes")
        .text();
    let limit: usize = limit.parse().unwrap();
    assert!(limit >= 10_000);

    let mut client = world.connect_available(&account, "keys").await;
    let (jid, body) = (client.jid().to_owned(), "x".repeat(9_000));
    client
        .send(format!("<message to='{jid}'><body>{body}</body></message>"))
        .await;
    client.next_is(message().body(&body)).await;
    client
        .send(format!(
            "<message to='{jid}'><body>{}</body></message>",
            "x".repeat(limit)
        ))
        .await;
    client.ends_with("policy-violation").await;
}

/// RFC 6120 §4.4.
async fn a_closed_stream_is_closed_in_return(world: &World) {
    let account = world.account("nurse").await;
    let mut client = world.connect(&account, "keys").await;
    client.send("</stream:stream>").await;
    client.ends().await;
}

/// RFC 6120 §7.6.
async fn a_resource_is_made_up_if_none_is_asked_for(world: &World) {
    let account = world.account("nurse").await;
    let mut stream = Login::new(&account)
        .mechanism(Mechanism::Scram(Hash::Sha256))
        .authenticate(world.entrance())
        .await;
    let first = bind(&mut stream, None).await;
    assert!(
        first.starts_with(&format!("{}/", account.jid())),
        "bound as {first}"
    );
    let mut stream = Login::new(&account).authenticate(world.entrance()).await;
    assert_ne!(bind(&mut stream, None).await, first);
}

/// RFC 6120 §7.7.2.2: one of the three ways out of a conflict.
async fn a_second_binding_of_a_resource_ends_the_first_or_differs(world: &World) {
    let account = world.account("nurse").await;
    let mut first = world.connect(&account, "keys").await;
    let second = world.connect(&account, "keys").await;
    if second.jid() == first.jid() {
        first.ends_with("conflict").await;
    } else {
        first.gets_nothing().await;
    }
}

/// RFC 6120 §7.7.2.1: 1024 bytes are one too many (RFC 7622 §3.4).
async fn a_malformed_resource_is_refused(world: &World) {
    let account = world.account("nurse").await;
    let mut stream = Login::new(&account).authenticate(world.entrance()).await;
    let resource = "r".repeat(1024);
    stream
        .send(format!(
            "<iq type='set' id='b'><bind xmlns='{}'><resource>{resource}</resource></bind></iq>",
            ns::BIND
        ))
        .await;
    stream.next_is(iq().id("b").error("bad-request")).await;
    // The stream is still good for another try.
    assert!(bind(&mut stream, Some("keys")).await.ends_with("/keys"));
}

/// RFC 6120 §7.1.
async fn a_bound_stream_cannot_bind_again(world: &World) {
    let account = world.account("nurse").await;
    let mut client = world.connect(&account, "keys").await;
    let reply = client
        .set("", &format!("<bind xmlns='{}'/>", ns::BIND))
        .await;
    assert_eq!(reply.attr("type"), Some("error"), "{reply}");
}
