//! Reading settings again while clients are connected.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::path::Path;

use starling_edge::config::Listen;
use starling_server::config::Host;
use starling_server::{Config, Node};
use starling_testkit::world::Entrance;
use starling_testkit::{Account, Login, Stream, message, presence};

/// Writes a certificate for a host and names it in the settings.
fn certify(folder: &Path, name: &str) -> Host {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (certificate, key) = (folder.join("host.crt"), folder.join("host.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Host {
        certificate: Some(certificate),
        key: Some(key),
        ..Host::default()
    }
}

fn entrance(node: &Node) -> Entrance {
    let port = |protocol| {
        let mut listeners = node.listeners().iter();
        let listener = listeners.find(|listener| listener.protocol == protocol);
        listener.unwrap().address.parse().unwrap()
    };
    Entrance {
        starttls: port("starttls"),
        tls: port("tls"),
    }
}

fn account(user: &str, host: &str) -> Account {
    Account {
        user: user.into(),
        host: host.into(),
        password: "secret".into(),
    }
}

async fn certificate_shown(entrance: &Entrance, host: &str) -> Vec<u8> {
    let stream = Stream::connect_tls(entrance, host).await;
    stream.tls().unwrap().certificate.clone()
}

/// On free ports, with one host.
fn settings(name: &str, host: Host) -> Config {
    let mut config = Config::default();
    config.edge.tcp.listen = Listen(vec!["127.0.0.1:0".parse().unwrap()]);
    config.edge.tcp.direct_tls_listen = config.edge.tcp.listen.clone();
    config.host = [(name.to_owned(), host)].into();
    config
}

/// RFC 6120 §4.9.3.7: what is left is served on, and what is gone comes back
/// with all it had.
#[tokio::test]
async fn a_host_that_is_taken_out_lets_its_sessions_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = settings("one.example", Host::default());
    config.host.insert("two.example".into(), Host::default());
    let builder = Node::builder().config(config.clone());
    let mut node = builder.data(folder.path()).start().await.unwrap();
    let entrance = entrance(&node);
    let (alice, bob) = (
        account("alice", "one.example"),
        account("bob", "two.example"),
    );
    for account in [&alice, &bob] {
        node.add_user(&account.jid(), "secret").await.unwrap();
    }
    let mut stays = Login::new(&alice).connect(&entrance).await;
    let mut goes = Login::new(&bob).connect(&entrance).await;
    for client in [&mut stays, &mut goes] {
        client.fetch_roster().await;
        client.become_available().await;
    }
    goes.befriend(&mut stays).await;

    let both = config.clone();
    config.host.remove("two.example");
    node.reload(config).unwrap();
    goes.ends_with("host-gone").await;
    let gone = presence().type_("unavailable").from(goes.jid());
    stays.find(gone).await;
    stays.chat(&bob.jid(), "are you there?").await;
    stays.find(message().type_("error").from(&bob.jid())).await;
    assert!(
        node.add_user("carol@two.example", "secret").await.is_err(),
        "it is not served"
    );

    node.reload(both).unwrap();
    let mut back = Login::new(&bob).connect(&entrance).await;
    assert_eq!(back.fetch_roster().await.len(), 1, "nothing is lost");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn certificates_and_hosts_change_and_sessions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let host = certify(folder.path(), "one.example");
    let mut config = settings("one.example", host);
    let data = folder.path().join("data");
    let builder = Node::builder().config(config.clone()).data(data);
    let mut node = builder.start().await.unwrap();
    let entrance = entrance(&node);
    node.add_user("alice@one.example", "secret").await.unwrap();
    let refused = node.add_user("bob@two.example", "secret").await;
    assert!(refused.is_err(), "two.example is not served yet");
    let alice = account("alice", "one.example");
    let mut before = Login::new(&alice).connect(&entrance).await;
    let first = certificate_shown(&entrance, "one.example").await;

    certify(folder.path(), "one.example");
    config.host.insert("two.example".into(), Host::default());
    node.reload(config.clone()).unwrap();

    assert_ne!(certificate_shown(&entrance, "one.example").await, first);
    node.add_user("bob@two.example", "secret").await.unwrap();
    let bob = account("bob", "two.example");
    Login::new(&bob)
        .connect(&entrance)
        .await
        .gets_nothing()
        .await;
    before.gets_nothing().await;

    // Nothing changes if anything is wrong.
    let shown = certificate_shown(&entrance, "one.example").await;
    std::fs::write(folder.path().join("host.key"), "no key").unwrap();
    config.host.insert("three.example".into(), Host::default());
    assert!(node.reload(config).is_err());
    assert_eq!(certificate_shown(&entrance, "one.example").await, shown);
    assert!(
        node.add_user("carol@three.example", "secret")
            .await
            .is_err()
    );
    node.stop().await.unwrap();
}
