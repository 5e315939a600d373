//! TLS: PROTOCOL B.1 16; XEP-0368; RFC 7590.

use rustls::ProtocolVersion;
use starling_edge::{Host, Hosts};
use starling_link::Detached;
use starling_xmpp::{BareJid, Element};

use crate::support::{Client, HEADER, STREAMS, World, between};

fn offered(features: &str) -> &str {
    between(features, "<stream:features>", "</stream:features>")
}

#[tokio::test]
async fn both_ways_into_tls_offer_the_same() {
    // XEP-0368 §2 rules 4 and 5; PROTOCOL B.1 16.
    let world = World::start().await;
    let (_, direct) = world.open().await;
    let mut client = world.tcp().await;
    client.open().await;
    let mut client = client.starttls(world.client_config(), "localhost").await;
    let after_starttls = client.open().await;
    assert_eq!(offered(&direct), offered(&after_starttls));
    assert!(!direct.contains("starttls"), "XEP-0368 §2 rule 5");
}

#[tokio::test]
async fn starttls_within_tls_is_refused() {
    // XEP-0368 §2 rule 5, RFC 6120 §5.4.2.2.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    client
        .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    let rest = client.rest().await;
    assert!(
        rest.starts_with("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        "{rest}"
    );
}

#[tokio::test]
async fn each_host_shows_its_own_certificate() {
    // RFC 7590 §3.1, XEP-0368 §2 rule 6: the client verifies the name.
    let world = World::start().await;
    for host in ["localhost", "other.example"] {
        let tcp = Client::tcp(world.handle.addresses()[1]).await;
        tcp.secure(world.client_config(), host).await;
        let mut tcp = world.tcp().await;
        tcp.send(HEADER.replace("localhost", host)).await;
        tcp.until("</stream:features>").await;
        tcp.starttls(world.client_config(), host).await;
    }
}

#[tokio::test]
async fn without_a_name_in_tls_the_stream_s_host_decides() {
    // RFC 6066 §3: an address is no name, so rustls sends none.
    let world = World::start().await;
    let mut config = world.client_config();
    config.enable_sni = false;
    let mut client = world.tcp().await;
    client
        .send(HEADER.replace("localhost", "other.example"))
        .await;
    client.until("</stream:features>").await;
    client.starttls(config, "other.example").await;
}

#[tokio::test]
async fn alpn_is_xmpp_client_or_nothing() {
    // XEP-0368 §2 rules 7 and 8.
    let world = World::start().await;
    let connect = async |protocol: &str| {
        let mut config = world.client_config();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tcp = Client::tcp(world.handle.addresses()[1]).await;
        tcp.try_secure(config, "localhost").await
    };
    let client = connect("xmpp-client").await.unwrap();
    assert_eq!(
        client.connection().alpn_protocol(),
        Some(&b"xmpp-client"[..])
    );
    assert!(connect("xmpp-server").await.is_err());
    world.open().await;
}

#[tokio::test]
async fn old_tls_is_spoken_only_where_it_is_allowed() {
    // RFC 7590 §3.
    let tls12 = |world: &World| {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(world.roots.clone())
            .with_no_client_auth()
    };
    let world = World::start().await;
    let tcp = Client::tcp(world.handle.addresses()[1]).await;
    let mut client = tcp.secure(tls12(&world), "localhost").await;
    assert_eq!(
        client.connection().protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
    let features = client.open().await;
    assert!(
        features.contains("<channel-binding type='tls-server-end-point'/>"),
        "{features}"
    );
    assert!(
        !features.contains("tls-exporter"),
        "RFC 9266 §4.2: {features}"
    );

    let strict = World::with(|config, _| {
        config.tls.version_min = starling_edge::config::TlsVersion::V13;
    })
    .await;
    let tcp = Client::tcp(strict.handle.addresses()[1]).await;
    assert!(tcp.try_secure(tls12(&strict), "localhost").await.is_err());
}

#[tokio::test]
async fn noise_instead_of_a_handshake_ends_the_connection() {
    // RFC 6120 §5.4.3.2: no stream is left to tell anything on.
    let world = World::start().await;
    let mut client = world.tcp().await;
    client.open().await;
    client
        .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    client
        .until("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    client
        .send("<stream:stream>this is not TLS</stream:stream>")
        .await;
    let rest = client.rest().await;
    assert!(!rest.contains("stream"), "{rest}");
}

#[tokio::test]
async fn a_reload_brings_new_certificates_and_hosts_to_new_streams() {
    let world = World::start().await;
    let mut bound = world.bound().await;
    let (certificate, der) = crate::support::certificate("localhost");
    let (third, third_der) = crate::support::certificate("third.example");
    let mut host = Host::new(BareJid::parse("localhost").unwrap(), certificate);
    host.features = vec![Element::new("urn:xmpp:features:rosterver", "ver")];
    let third = Host::new(BareJid::parse("third.example").unwrap(), third);
    world
        .handle
        .reload(world.config.clone(), Hosts::new([host, third]))
        .unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(der).unwrap();
    roots.add(third_der).unwrap();
    let config = crate::support::client_config(&roots.into()).with_no_client_auth();
    for name in ["localhost", "third.example"] {
        let tcp = Client::tcp(world.handle.addresses()[1]).await;
        tcp.secure(config.clone(), name).await;
    }
    let tcp = Client::tcp(world.handle.addresses()[1]).await;
    let mut client = tcp.secure(config, "localhost").await;
    client.open().await;
    client.plain("juliet", "pencil").await;
    let features = client.open().await;
    assert!(
        features.contains("<ver xmlns='urn:xmpp:features:rosterver'/>"),
        "{features}"
    );

    bound.send("<message to='romeo@localhost'/>").await;
    world.node.stanza().await;
    let mut gone = world.tcp().await;
    gone.send(HEADER.replace("localhost", "other.example"))
        .await;
    let rest = gone.rest().await;
    assert!(
        rest.contains(&format!("<host-unknown xmlns='{STREAMS}'")),
        "{rest}"
    );
}

#[tokio::test]
async fn a_reload_ends_the_streams_of_a_host_that_is_gone() {
    // RFC 6120 §4.9.3.7.
    let world = World::start().await;
    let mut bound = world.bound().await;
    let mut late = world.authenticated().await;
    let (certificate, _) = crate::support::certificate("other.example");
    let other = Host::new(BareJid::parse("other.example").unwrap(), certificate);
    world
        .handle
        .reload(world.config.clone(), Hosts::new([other]))
        .unwrap();
    let gone = format!("<stream:error><host-gone xmlns='{STREAMS}'");
    let rest = bound.rest().await;
    assert!(rest.starts_with(&gone), "{rest}");
    assert_eq!(world.node.detached().await, Detached::Closed);
    // One that was about to bind ends as soon as it has.
    late.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        .await;
    let rest = late.rest().await;
    assert!(rest.contains(&gone), "{rest}");
}

#[tokio::test]
async fn a_reload_without_hosts_changes_nothing() {
    let world = World::start().await;
    assert!(
        world
            .handle
            .reload(world.config.clone(), Hosts::default())
            .is_err()
    );
    world.open().await;
}
