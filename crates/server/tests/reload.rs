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
use starling_testkit::{Account, Login, Stream};

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

#[tokio::test]
async fn certificates_and_hosts_change_and_sessions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.edge.tcp.listen = Listen(vec!["127.0.0.1:0".parse().unwrap()]);
    config.edge.tcp.direct_tls_listen = config.edge.tcp.listen.clone();
    config.host = [(
        "one.example".to_owned(),
        certify(folder.path(), "one.example"),
    )]
    .into();
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
