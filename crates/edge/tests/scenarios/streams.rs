//! Streams and XML before and after authentication: PROTOCOL B.1 1–11.

use crate::support::{
    Binding, Client, HEADER, SASL, STREAMS, Scram, World, base64, between, challenged,
};

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// The stream error and the end that a client gets for `sent`.
async fn ended_by(mut client: Client, sent: &str) -> String {
    client.send(sent).await;
    let rest = client.rest().await;
    assert!(rest.ends_with("</stream:stream>"), "{rest}");
    assert!(rest.contains("<stream:error>"), "{rest}");
    rest
}

fn condition(name: &str) -> String {
    format!("<stream:error><{name} xmlns='{STREAMS}'")
}

#[tokio::test]
async fn an_unknown_host_gets_a_header_then_the_error() {
    // RFC 6120 §4.9.1.2, §4.9.3.6; PROTOCOL B.1 1.
    let world = World::start().await;
    let header = HEADER.replace("localhost", "elsewhere.example");
    let rest = ended_by(world.tcp().await, &header).await;
    assert!(
        rest.starts_with("<?xml version='1.0'?><stream:stream "),
        "{rest}"
    );
    assert!(rest.contains("from='localhost'"), "{rest}");
    assert!(rest.contains(&condition("host-unknown")), "{rest}");
    let nobody = HEADER.replace("to='localhost'", "");
    let rest = ended_by(world.tcp().await, &nobody).await;
    assert!(rest.contains(&condition("host-unknown")), "{rest}");
}

#[tokio::test]
async fn a_header_is_answered_with_a_fresh_id_and_swapped_addresses() {
    // RFC 6120 §4.7.1–4.7.5; PROTOCOL B.1 2.
    let world = World::start().await;
    let mut client = world.tls().await;
    let header = HEADER.replace("to=", "from='juliet@localhost' to=");
    client.send(&header).await;
    let first = client.until("</stream:features>").await;
    for part in [
        " from='localhost'",
        " to='juliet@localhost'",
        " version='1.0'",
        " xml:lang='en'",
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
    client.plain("juliet", "pencil").await;
    client.send(&header).await;
    let second = client.until("</stream:features>").await;
    let (first, second) = (
        between(&first, " id='", "'"),
        between(&second, " id='", "'"),
    );
    assert_ne!(first, second, "a restart gets a new id");
    assert_eq!(first.len(), 22, "128 bits");
}

#[tokio::test]
async fn what_was_sent_before_tls_is_dropped() {
    // RFC 6120 §5.3.2, §5.4.3.3; PROTOCOL B.1 3.
    let world = World::start().await;
    let mut client = world.tcp().await;
    client.open().await;
    let injected = crate::support::Scram::new("juliet", crate::support::Binding::None).first();
    client
        .send(format!(
            "{STARTTLS}{HEADER}<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{injected}</auth>"
        ))
        .await;
    client
        .until("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    let mut client = client.secure(world.client_config(), "localhost").await;
    let features = client.open().await;
    assert!(features.starts_with("<?xml version='1.0'?>"), "{features}");
    assert!(!features.contains("challenge"), "{features}");
}

#[tokio::test]
async fn mandatory_starttls_stands_alone() {
    // RFC 6120 §4.3.2, §5.3.1; PROTOCOL B.1 5.
    let world = World::start().await;
    let features = world.tcp().await.open().await;
    let offered = between(&features, "<stream:features>", "</stream:features>");
    assert_eq!(
        offered,
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
    );
    let auth = format!("<auth xmlns='{SASL}' mechanism='PLAIN'>AGEAYg==</auth>");
    let mut client = world.tcp().await;
    client.open().await;
    let rest = ended_by(client, &auth).await;
    assert!(rest.contains(&condition("not-authorized")), "{rest}");
}

#[tokio::test]
async fn starttls_may_be_left_to_the_client() {
    // RFC 6120 §5.3.1; §6.3.4: PLAIN is for TLS only.
    let world = World::with(|config, _| config.tls.required = false).await;
    let features = world.tcp().await.open().await;
    assert!(features.contains("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    assert!(
        features.contains("<mechanism>SCRAM-SHA-256</mechanism>"),
        "{features}"
    );
    assert!(
        !features.contains("PLAIN") && !features.contains("urn:xmpp:sasl:2"),
        "{features}"
    );
}

#[tokio::test]
async fn any_prefix_may_name_the_stream() {
    // RFC 6120 §4.8.5; PROTOCOL B.1 6.
    let world = World::start().await;
    let mut client = world.tls().await;
    client
        .send(
            "<x:stream to='localhost' version='1.0' xmlns='jabber:client' \
             xmlns:x='http://etherx.jabber.org/streams'>",
        )
        .await;
    client.until("</stream:features>").await;
    client.plain("juliet", "pencil").await;
}

#[tokio::test]
async fn a_wrong_namespace_of_streams_is_told_in_a_proper_one() {
    // RFC 6120 §4.8.1, §4.9.3.10; PROTOCOL B.1 6.
    let world = World::start().await;
    let header = HEADER.replace("http://etherx.jabber.org/streams", "urn:wrong");
    let rest = ended_by(world.tcp().await, &header).await;
    assert!(
        rest.contains("xmlns:stream='http://etherx.jabber.org/streams'"),
        "{rest}"
    );
    assert!(rest.contains(&condition("invalid-namespace")), "{rest}");
    let servers = HEADER.replace("jabber:client", "jabber:server");
    let rest = ended_by(world.tcp().await, &servers).await;
    assert!(
        rest.contains(&condition("invalid-namespace")),
        "§4.8.2: {rest}"
    );
}

#[tokio::test]
async fn an_undeclared_prefix_ends_the_stream() {
    // RFC 6120 §4.9.3.2; PROTOCOL B.1 6.
    let world = World::start().await;
    let rest = ended_by(world.bound().await, "<message><x:y/></message>").await;
    assert!(rest.contains(&condition("bad-namespace-prefix")), "{rest}");
}

#[tokio::test]
async fn an_old_version_is_refused() {
    // RFC 6120 §4.7.5, §4.9.3.25.
    let world = World::start().await;
    for old in ["", "version='0.9'"] {
        let header = HEADER.replace("version='1.0' xml", &format!("{old} xml"));
        let rest = ended_by(world.tcp().await, &header).await;
        assert!(rest.contains(&condition("unsupported-version")), "{rest}");
    }
}

#[tokio::test]
async fn xml_that_xmpp_forbids_ends_the_stream() {
    // RFC 6120 §4.9.3.18, §11.1; PROTOCOL B.1 7.
    let world = World::start().await;
    let bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;&b;'>]>";
    let rest = ended_by(world.tcp().await, &format!("{bomb}{HEADER}")).await;
    assert!(rest.contains(&condition("restricted-xml")), "{rest}");
    for sent in [
        "<!-- x -->",
        "<?x y?>",
        "<message><body>&c;</body></message>",
    ] {
        let (client, _) = world.open().await;
        let rest = ended_by(client, sent).await;
        assert!(
            rest.contains(&condition("restricted-xml")),
            "{sent}: {rest}"
        );
    }
}

#[tokio::test]
async fn what_is_no_xml_gets_a_closing_tag_all_the_same() {
    // RFC 6120 §4.9.3.13, §11.3; PROTOCOL B.1 8.
    let world = World::start().await;
    let rest = ended_by(world.tcp().await, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(rest.starts_with("<?xml"), "{rest}");
    assert!(rest.contains(&condition("not-well-formed")), "{rest}");
    let rest = ended_by(world.bound().await, "<message></presence>").await;
    assert!(rest.contains(&condition("not-well-formed")), "{rest}");
}

#[tokio::test]
async fn white_space_keeps_a_stream_alive() {
    // RFC 6120 §4.6.1; PROTOCOL B.1 9.
    let world = World::start().await;
    let mut client = world.bound().await;
    client.send(" \n \t").await;
    client.send("<message to='romeo@localhost'/>\n").await;
    assert_eq!(
        world.node.stanza().await.head.to.unwrap().as_str(),
        "romeo@localhost"
    );
}

#[tokio::test]
async fn nothing_but_sasl_may_be_sent_during_sasl2() {
    // XEP-0388 §2.4; PROTOCOL B.1 9.
    let world = World::start().await;
    let scram = Scram::new("juliet", Binding::None);
    for disturbance in [" ", "<presence/>", "<a xmlns='urn:b'/>"] {
        let (mut client, _) = world.open().await;
        challenged(&mut client, &scram, "").await;
        ended_by(client, disturbance).await;
    }
}

#[tokio::test]
async fn unknown_elements_are_told_apart() {
    // RFC 6120 §4.9.3.24, §4.9.3.12; PROTOCOL B.1 10.
    let world = World::start().await;
    let rest = ended_by(world.bound().await, "<letter/>").await;
    assert!(
        rest.contains(&condition("unsupported-stanza-type")),
        "{rest}"
    );
    let (client, _) = world.open().await;
    let rest = ended_by(client, "<a xmlns='urn:unknown'/>").await;
    assert!(rest.contains(&condition("not-authorized")), "{rest}");
}

#[tokio::test]
async fn stanzas_wait_for_binding() {
    // RFC 6120 §7.1; PROTOCOL B.1 11.
    let world = World::start().await;
    for sent in [
        "<message to='romeo@localhost'/>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='get'/>",
    ] {
        let (client, _) = world.open().await;
        let rest = ended_by(client, sent).await;
        assert!(
            rest.contains(&condition("not-authorized")),
            "{sent}: {rest}"
        );
        let rest = ended_by(world.authenticated().await, sent).await;
        assert!(
            rest.contains(&condition("not-authorized")),
            "{sent}: {rest}"
        );
    }
    assert_eq!(world.node.frames_waiting(), 0);
}

#[tokio::test]
async fn a_second_header_is_no_restart() {
    // RFC 6120 §4.3.3, §7.3.2; PROTOCOL B.1 4.
    let world = World::start().await;
    let mut client = world.bound().await;
    client.send(HEADER).await;
    let rest = client.rest().await;
    assert!(rest.contains("<stream:error>"), "{rest}");
}

#[tokio::test]
async fn who_authenticated_stays_with_its_host_and_name() {
    // RFC 6120 §4.9.3.9: the stream after SASL is the same client's.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    client.plain("juliet", "pencil").await;
    let rest = ended_by(client, &HEADER.replace("localhost", "other.example")).await;
    assert!(rest.contains(&condition("not-authorized")), "{rest}");
    let (mut client, _) = world.open().await;
    client.plain("juliet", "pencil").await;
    let header = HEADER.replace("to=", "from='romeo@localhost' to=");
    let rest = ended_by(client, &header).await;
    assert!(rest.contains(&condition("invalid-from")), "{rest}");
}

#[tokio::test]
async fn authentication_is_offered_once() {
    let world = World::start().await;
    let data = base64("\0juliet\0pencil");
    let auth = format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{data}</auth>");
    let rest = ended_by(world.authenticated().await, &auth).await;
    assert!(
        rest.contains(&condition("unsupported-stanza-type")),
        "{rest}"
    );
}

#[tokio::test]
async fn how_bytes_are_cut_or_joined_does_not_matter() {
    // RFC 6120 §4.1: a stream is bytes. Some clients send ahead (XEP-0305).
    let world = World::start().await;
    let login = format!(
        "{HEADER}{}{HEADER}<iq type='set' id='b'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>\
         <message id='1' to='romeo@localhost'/></stream:stream>",
        crate::support::plain("juliet", "pencil")
    );
    let mut answers = Vec::new();
    for size in [1, 7, login.len()] {
        let mut client = world.tls().await;
        for part in login.as_bytes().chunks(size) {
            client.send(part).await;
        }
        let rest = client.rest().await;
        assert!(rest.ends_with("</iq></stream:stream>"), "{rest}");
        answers.push(rest.len());
        world.node.stanza().await;
        world.node.detached().await;
    }
    assert!(answers.iter().all(|length| *length == answers[0]));
}
