//! XEP-0280: message carbons; XEP-0352: client state; XEP-0424: retraction, as
//! the recipient finds it.

use starling_testkit::{Client, World, message, ns};

scenarios![
    both_sides_of_a_conversation_are_copied,
    the_server_says_what_it_copies,
    copies_are_turned_on_with_the_binding,
    an_unwatched_client_is_spared_and_loses_nothing,
    what_is_retracted_is_not_delivered,
];

pub(crate) const CARBONS: &str = "urn:xmpp:carbons:2";
const CSI: &str = "urn:xmpp:csi:0";

pub(crate) async fn enable(client: &mut Client) {
    let own = client.bare();
    client
        .set_ok(&own, &format!("<enable xmlns='{CARBONS}'/>"))
        .await;
}

/// §7, §8.
async fn both_sides_of_a_conversation_are_copied(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut balcony = world.connect_available(&account, "balcony").await;
    let mut chamber = world.connect_available(&account, "chamber").await;
    enable(&mut chamber).await;
    let (own, full) = (account.jid(), balcony.jid().to_owned());
    romeo.chat(&full, "hark").await;
    balcony.find(message().body("hark").from(romeo.jid())).await;
    let copy = chamber.find(message().has(CARBONS, "received")).await;
    assert_eq!(copy.attr("from"), Some(own.as_str()));
    assert!(copy.raw.contains("<body>hark</body>"), "{copy}");
    balcony.chat(romeo.jid(), "speak").await;
    romeo.find(message().body("speak")).await;
    let copy = chamber.find(message().has(CARBONS, "sent")).await;
    assert_eq!(copy.attr("from"), Some(own.as_str()));
    assert!(copy.raw.contains("<body>speak</body>"), "{copy}");
    let got = balcony.settle().await;
    assert!(!got.iter().any(|got| got.name == "message"), "{got:?}");
}

/// §3.
async fn the_server_says_what_it_copies(world: &World) {
    let mut client = world.online("juliet").await;
    for of in [world.hosts().main.to_owned(), client.bare()] {
        let query = format!("<query xmlns='{}'/>", ns::DISCO_INFO);
        let info = client.get(&of, &query).await;
        for feature in [
            CARBONS,
            "urn:xmpp:carbons:rules:0",
            "urn:xmpp:message-retract:1",
        ] {
            assert!(
                info.raw.contains(&format!("'{feature}'")),
                "{feature}: {info}"
            );
        }
    }
}

/// XEP-0386 §3.1; XEP-0352 §4.1.
async fn copies_are_turned_on_with_the_binding(world: &World) {
    let mut stream = world.tls_stream().await;
    let features = stream.open_to_features().await;
    for offered in [CARBONS, CSI] {
        let feature = format!("var='{offered}'");
        assert!(features.raw.contains(&feature), "{features}");
    }
}

/// XEP-0352 §5.1: in order, and before the answer to the next request.
async fn an_unwatched_client_is_spared_and_loses_nothing(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    juliet.send(format!("<inactive xmlns='{CSI}'/>")).await;
    juliet.settle().await;
    let typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    let to = juliet.jid().to_owned();
    romeo
        .send(format!(
            "<message type='chat' id='first' to='{to}'>{typing}</message>"
        ))
        .await;
    romeo.chat(&to, "second").await;
    let first = juliet.find(message()).await;
    assert_eq!(first.attr("id"), Some("first"), "{first}");
    juliet.find(message().body("second")).await;
    romeo
        .send(format!(
            "<message type='chat' id='third' to='{to}'>{typing}</message>"
        ))
        .await;
    romeo.settle().await;
    juliet.send(format!("<active xmlns='{CSI}'/>")).await;
    juliet.find(message().id("third")).await;
}

/// XEP-0424 §4.
async fn what_is_retracted_is_not_delivered(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let to = account.jid();
    romeo
        .send(format!(
            "<message type='chat' id='m' to='{to}'><body>secret</body></message>"
        ))
        .await;
    romeo
        .send(format!(
            "<message type='chat' id='r' to='{to}'><retract xmlns='urn:xmpp:message-retract:1' id='m'/><body>gone</body></message>"
        ))
        .await;
    // Answered once the account has handled what came before.
    let unheard = "<unheard xmlns='urn:example:unheard'/>";
    romeo.get(&to, unheard).await;
    let mut juliet = world.connect(&account, "balcony").await;
    juliet.send("<presence/>").await;
    let tombstone = juliet.find(message().id("m")).await;
    assert!(
        tombstone
            .child("urn:xmpp:message-retract:1", "retracted")
            .is_some()
    );
    assert!(!tombstone.raw.contains("secret"), "{tombstone}");
    juliet.find(message().body("gone")).await;
}
