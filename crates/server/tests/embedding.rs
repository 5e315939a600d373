//! The program of `docs/embedding.md`, run: its feature and its component
//! answer a client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

#[path = "../examples/embed.rs"]
#[allow(dead_code, reason = "its main is for those who run it by hand")]
mod embed;

use starling_edge::config::Listen;
use starling_server::{Config, Node};
use starling_testkit::{Account, Login, message, world::Entrance};

const GREETING: &str = "urn:example:greeting";

#[tokio::test]
async fn a_program_adds_a_feature_and_a_component() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.edge.tcp.listen = Listen(vec!["127.0.0.1:0".parse().unwrap()]);
    config.edge.tcp.direct_tls_listen = config.edge.tcp.listen.clone();
    let data = folder.path().to_str().unwrap();
    let node = embed::start(config, data).await.unwrap();
    node.add_user("alice@localhost", "secret").await.unwrap();
    let port = |protocol| {
        let mut listeners = node.listeners().iter();
        let listener = listeners.find(|listener| listener.protocol == protocol);
        listener.unwrap().address.parse().unwrap()
    };
    let entrance = Entrance {
        starttls: port("starttls"),
        tls: port("tls"),
    };
    let account = Account {
        user: "alice".into(),
        host: "localhost".into(),
        password: "secret".into(),
    };
    let mut alice = Login::new(&account).connect(&entrance).await;
    let request = format!("<greeting xmlns='{GREETING}'/>");
    let answer = alice.get("localhost", &request).await;
    assert_eq!(answer.need(GREETING, "greeting").text(), "Well met!");
    alice.chat("anyone@echo.localhost", "hello").await;
    alice
        .find(message().from("anyone@echo.localhost").body("hello"))
        .await;
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let features = alice.get("localhost", query).await.to_string();
    assert!(features.contains(GREETING), "{features}");
    node.stop().await.unwrap();
}

/// Otherwise every start would check the whole data file, as after a crash.
#[tokio::test]
async fn a_stopped_node_lets_go_of_its_store() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut config = Config::default();
        config.edge.tcp.listen = Listen(vec!["127.0.0.1:0".parse().unwrap()]);
        config.edge.tcp.direct_tls_listen = Listen(Vec::new());
        let node = Node::builder().config(config).data(folder.path());
        let node = node.start().await.unwrap();
        node.stop().await.unwrap();
    }
}

#[test]
fn the_documentation_shows_the_program_as_it_is() {
    let page = include_str!("../../../docs/embedding.md");
    assert!(
        page.contains(include_str!("../examples/embed.rs")),
        "docs/embedding.md and examples/embed.rs differ"
    );
}
