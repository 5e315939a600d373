//! XEP-0490: how far a user has read, for all of the user's clients; with server
//! assist, and without as XEP-0223 has it.

use starling_testkit::{World, message, ns};

use crate::pep::{EVENT, Interested, PUBSUB, publish, pubsub};

scenarios![
    a_marker_tells_the_other_clients_how_far_the_user_has_read,
    without_server_assist_it_is_published,
];

const NODE: &str = "urn:xmpp:mds:displayed:0";
const MARKERS: &str = "urn:xmpp:chat-markers:0";

fn displayed(id: &str, by: &str) -> String {
    format!(
        "<displayed xmlns='{NODE}'><stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='{id}'/></displayed>"
    )
}

/// XEP-0490 §4.5.
async fn a_marker_tells_the_other_clients_how_far_the_user_has_read(world: &World) {
    let mut juliet = world.online("juliet").await;
    let mut romeo = world.online("romeo").await;
    juliet.befriend(&mut romeo).await;
    let info = format!("<query xmlns='{}'/>", ns::DISCO_INFO);
    let info = juliet.get(&juliet.bare(), &info).await;
    assert!(
        info.raw
            .contains("<feature var='urn:xmpp:mds:server-assist:0'/>"),
        "{info}"
    );

    let account = juliet.account().clone();
    let mut chamber = world.connect(&account, "chamber").await;
    let interested = Interested::new(world, NODE);
    interested.arrive(&mut chamber).await;
    romeo.chat(juliet.jid(), "Hi. How are you?").await;
    let got = juliet.find(message().body("Hi. How are you?")).await;
    let id = got
        .need("urn:xmpp:sid:0", "stanza-id")
        .need_attr("id")
        .to_owned();
    let displayed = displayed(&id, &juliet.bare());
    let whom = romeo.bare();
    juliet
        .send(format!(
            "<message to='{whom}' type='chat'><displayed xmlns='{MARKERS}' id='m'/>{displayed}</message>"
        ))
        .await;
    // §4.5.3: the marker goes on without it.
    let marker = romeo.find(message().has(MARKERS, "displayed")).await;
    assert!(marker.child(NODE, "displayed").is_none(), "{marker}");
    let event = interested.event(&mut chamber).await;
    let items = event.need(EVENT, "event").need(EVENT, "items");
    assert_eq!(items.attr("node"), Some(NODE), "{event}");
    let item = items.need(EVENT, "item");
    assert_eq!(item.attr("id"), Some(whom.as_str()), "{event}");
    assert!(event.raw.contains(&displayed), "{event}");
    let read = pubsub(&format!("<items node='{NODE}'/>"));
    let all = juliet.get("", &read).await;
    assert!(all.raw.contains(&displayed), "{all}");

    // Others may not read it.
    let whose = juliet.bare();
    let reply = romeo.get(&whose, &read).await;
    assert_eq!(reply.error_condition(), Some("not-allowed"), "{reply}");
}

/// XEP-0490 §4.2, §4.4.
async fn without_server_assist_it_is_published(world: &World) {
    let mut juliet = world.online("juliet").await;
    let options = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ];
    for chat in ["romeo@montague.example", "room@muc.montague.example"] {
        let payload = displayed("x", chat);
        juliet
            .set_ok("", &publish(NODE, chat, &payload, &options))
            .await;
    }
    let all = juliet
        .get("", &pubsub(&format!("<items node='{NODE}'/>")))
        .await;
    let chats = all.need(PUBSUB, "pubsub").need(PUBSUB, "items");
    let chats: Vec<_> = chats
        .all(PUBSUB, "item")
        .filter_map(|item| item.attr("id"))
        .collect();
    assert_eq!(
        chats,
        ["romeo@montague.example", "room@muc.montague.example"]
    );
}
