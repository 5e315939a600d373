//! XEP-0115: entity capabilities.

use starling_testkit::{Element, Login, World, caps, ns, presence, relay};

scenarios![
    the_servers_capabilities_are_what_it_says,
    capabilities_of_users_pass_unchanged
];

/// XEP-0115 §5.1, §6.3: the stream feature, its node, and the hash of the answer.
async fn the_servers_capabilities_are_what_it_says(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    starling_testkit::login::sasl(
        &mut stream,
        &account,
        starling_testkit::login::Mechanism::Plain,
    )
    .await;
    let features = stream.open_to_features().await;
    let offered = features.need(ns::CAPS, "c").clone();
    assert_eq!(offered.attr("hash"), Some("sha-1"));
    drop(stream);

    let mut client = Login::new(&account).connect(world.entrance()).await;
    let host = client.host().to_owned();
    let ver = offered.need_attr("ver");
    let node = format!("{}#{ver}", offered.need_attr("node"));
    for attributes in [format!("node='{node}'"), String::new()] {
        let reply = client
            .get(
                &host,
                &format!("<query xmlns='{}' {attributes}/>", ns::DISCO_INFO),
            )
            .await;
        let query: &Element = reply.need(ns::DISCO_INFO, "query");
        assert_eq!(caps::verification_string(query), ver, "{reply}");
        if !attributes.is_empty() {
            assert_eq!(query.attr("node"), Some(node.as_str()));
        }
    }
}

/// XEP-0115 §6.1.
async fn capabilities_of_users_pass_unchanged(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://quill.example' \
                ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>";
    romeo.send(format!("<presence>{caps}</presence>")).await;
    let got = relay(&mut romeo, &mut juliet).await;
    let shown = presence().from(romeo.jid()).has(ns::CAPS, "c");
    let got = got.iter().find(|got| shown.is_match(got)).unwrap();
    assert!(got.raw.contains(caps), "{got}");
}
