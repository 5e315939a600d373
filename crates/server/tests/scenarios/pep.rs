//! XEP-0163: what an account publishes, over XEP-0060; XEP-0115 says who hears
//! of it, XEP-0084, XEP-0222 and XEP-0223 how clients use it.

mod interested;

use starling_testkit::{Element, World, ns, relay};

pub(crate) use interested::Interested;
use interested::is_event;

scenarios![
    an_event_reaches_the_clients_that_asked_for_it,
    who_comes_online_gets_the_last_item,
    a_contact_at_another_host_is_told,
    items_are_for_those_who_may_read_them,
    publish_options_guard_private_data,
    an_item_is_taken_back,
    a_node_is_configured_and_deleted,
    what_is_published_stays_when_everybody_has_left,
];

pub(crate) const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
pub(crate) const EVENT: &str = "http://jabber.org/protocol/pubsub#event";
const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
const ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
const NICK: &str = "http://jabber.org/protocol/nick";

pub(crate) fn pubsub(content: &str) -> String {
    format!("<pubsub xmlns='{PUBSUB}'>{content}</pubsub>")
}

fn owner(content: &str) -> String {
    format!("<pubsub xmlns='{OWNER}'>{content}</pubsub>")
}

pub(crate) fn publish(node: &str, id: &str, payload: &str, options: &[(&str, &str)]) -> String {
    let options: String = options
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
        .collect();
    pubsub(&format!(
        "<publish node='{node}'><item id='{id}'>{payload}</item></publish>\
         <publish-options><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#publish-options</value></field>\
         {options}</x></publish-options>"
    ))
}

fn nick(text: &str) -> String {
    format!("<nick xmlns='{NICK}'>{text}</nick>")
}

fn has_error(reply: &Element, condition: &str, more: &str) {
    assert_eq!(reply.error_condition(), Some(condition), "{reply}");
    assert!(
        more.is_empty() || reply.raw.contains(&format!("<{more} xmlns='{ERRORS}'/>")),
        "{reply}"
    );
}

/// XEP-0163 §4.3.1, §4.3.2: headlines of the account for full JIDs.
async fn an_event_reaches_the_clients_that_asked_for_it(world: &World) {
    let mut juliet = world.online("juliet").await;
    let mut romeo = world.online("romeo").await;
    juliet.befriend(&mut romeo).await;
    let other = juliet.account().clone();
    let mut chamber = world.connect(&other, "chamber").await;
    let (of_chamber, of_romeo) = (Interested::new(world, NICK), Interested::new(world, NICK));
    chamber.send(&of_chamber.presence).await;
    romeo.send(&of_romeo.presence).await;
    juliet
        .set_ok("", &publish(NICK, "current", &nick("Jule"), &[]))
        .await;
    for (client, interested) in [(&mut chamber, &of_chamber), (&mut romeo, &of_romeo)] {
        let event = interested.event(client).await;
        assert_eq!(event.attr("type"), Some("headline"), "{event}");
        assert_eq!(event.from(), Some(juliet.bare().as_str()), "{event}");
        assert_eq!(event.attr("to"), Some(client.jid()), "{event}");
        let items = event.need(EVENT, "event").need(EVENT, "items");
        assert_eq!(items.attr("node"), Some(NICK));
        let item = items.need(EVENT, "item");
        assert_eq!(item.attr("id"), Some("current"));
        assert_eq!(item.need(NICK, "nick").text(), "Jule");
    }
    // XEP-0060 §9.2: who did not ask hears nothing.
    let got = juliet.settle().await;
    assert!(!got.iter().any(is_event), "{got:?}");
}

/// XEP-0163 §4.3.3; XEP-0084 §4.
async fn who_comes_online_gets_the_last_item(world: &World) {
    const METADATA: &str = "urn:xmpp:avatar:metadata";
    let mut juliet = world.online("juliet").await;
    let mut romeo = world.online("romeo").await;
    juliet.befriend(&mut romeo).await;
    let metadata = format!(
        "<metadata xmlns='{METADATA}'><info bytes='1' id='x' height='64' width='64' type='image/png'/></metadata>"
    );
    juliet
        .set_ok("", &publish(METADATA, "x", &metadata, &[]))
        .await;
    let again = romeo.account().clone();
    let mut street = world.connect(&again, "street").await;
    let interested = Interested::new(world, METADATA);
    street.send(&interested.presence).await;
    let event = interested.event(&mut street).await;
    assert!(event.raw.contains(&metadata), "{event}");
    assert!(
        event.need(ns::DELAY, "delay").attr("stamp").is_some(),
        "{event}"
    );
    // Presence that changes nothing brings nothing.
    let away = interested
        .presence
        .replace("</presence>", "<show>away</show></presence>");
    street.send(away).await;
    relay(&mut street, &mut juliet).await;
    let got = relay(&mut juliet, &mut street).await;
    assert!(!got.iter().any(is_event), "{got:?}");
}

/// XEP-0163 §4.1: whatever the host of the contact.
async fn a_contact_at_another_host_is_told(world: &World) {
    let mut juliet = world.online("juliet").await;
    let account = world.account_at(world.hosts().other, "romeo").await;
    let mut romeo = world.connect_available(&account, "orchard").await;
    juliet.befriend(&mut romeo).await;
    let interested = Interested::new(world, NICK);
    romeo.send(&interested.presence).await;
    juliet
        .set_ok("", &publish(NICK, "current", &nick("Jule"), &[]))
        .await;
    let event = interested.event(&mut romeo).await;
    assert!(event.raw.contains("Jule"), "{event}");
}

/// XEP-0060 §4.5, §6.5.9, §8.9.
async fn items_are_for_those_who_may_read_them(world: &World) {
    let mut juliet = world.online("juliet").await;
    let mut romeo = world.online("romeo").await;
    let mut tybalt = world.online("tybalt").await;
    juliet.befriend(&mut romeo).await;
    for access in ["open", "presence", "whitelist"] {
        let options = [("access_model", access)];
        juliet
            .set_ok("", &publish(access, "a", &nick(access), &options))
            .await;
    }
    let items = |node: &str| pubsub(&format!("<items node='{node}'/>"));
    let whom = juliet.bare();
    for node in ["open", "presence", "whitelist"] {
        assert!(juliet.get("", &items(node)).await.raw.contains(&nick(node)));
    }
    for node in ["open", "presence"] {
        assert!(
            romeo
                .get(&whom, &items(node))
                .await
                .raw
                .contains(&nick(node))
        );
    }
    let reply = romeo.get(&whom, &items("whitelist")).await;
    has_error(&reply, "not-allowed", "closed-node");
    has_error(
        &romeo.get(&whom, &items("missing")).await,
        "item-not-found",
        "",
    );
    assert!(
        tybalt
            .get(&whom, &items("open"))
            .await
            .raw
            .contains(&nick("open"))
    );
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    for (to, node) in [
        (&whom, "presence"),
        (&whom, "whitelist"),
        (&whom, "missing"),
        (&nobody, "x"),
    ] {
        let reply = tybalt.get(to, &items(node)).await;
        has_error(&reply, "not-authorized", "presence-subscription-required");
    }
    let member = format!(
        "<affiliations node='whitelist'><affiliation jid='{}' affiliation='member'/></affiliations>",
        tybalt.bare()
    );
    juliet.set_ok("", &owner(&member)).await;
    let reply = tybalt.get(&whom, &items("whitelist")).await;
    assert!(reply.raw.contains(&nick("whitelist")), "{reply}");
    let reply = romeo
        .set(&whom, &publish("open", "b", &nick("x"), &[]))
        .await;
    has_error(&reply, "forbidden", "");
    // XEP-0163 §6.2.
    let query = format!("<query xmlns='{}'/>", ns::DISCO_ITEMS);
    let shown = romeo.get(&whom, &query).await;
    let nodes = shown.need(ns::DISCO_ITEMS, "query").children();
    let nodes: Vec<_> = nodes.filter_map(|item| item.attr("node")).collect();
    assert_eq!(nodes, ["open", "presence"]);
}

/// XEP-0223 §3, XEP-0402 §3.3; XEP-0060 §7.1.5.
async fn publish_options_guard_private_data(world: &World) {
    let mut juliet = world.online("juliet").await;
    let private = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ];
    for room in ["a@rooms.example", "b@rooms.example"] {
        juliet
            .set_ok(
                "",
                &publish("urn:xmpp:bookmarks:1", room, &nick(room), &private),
            )
            .await;
    }
    let all = juliet
        .get("", &pubsub("<items node='urn:xmpp:bookmarks:1'/>"))
        .await;
    let items = all.need(PUBSUB, "pubsub").need(PUBSUB, "items");
    assert_eq!(items.children().count(), 2, "{all}");
    juliet
        .set_ok("", &publish("leaky", "a", &nick("x"), &[]))
        .await;
    let reply = juliet
        .set("", &publish("leaky", "b", &nick("x"), &private))
        .await;
    has_error(&reply, "conflict", "precondition-not-met");
    let info = juliet
        .get(
            &juliet.bare(),
            &format!("<query xmlns='{}'/>", ns::DISCO_INFO),
        )
        .await;
    assert!(
        info.raw
            .contains("<identity category='pubsub' type='pep'/>"),
        "{info}"
    );
    assert!(
        info.raw
            .contains(&format!("<feature var='{PUBSUB}#publish-options'/>")),
        "{info}"
    );
}

/// XEP-0060 §7.2.
async fn an_item_is_taken_back(world: &World) {
    let account = world.account("juliet").await;
    let mut balcony = world.connect_available(&account, "balcony").await;
    let mut chamber = world.connect(&account, "chamber").await;
    let many = [("max_items", "max")];
    for id in ["a", "b"] {
        balcony
            .set_ok("", &publish("n", id, &nick(id), &many))
            .await;
    }
    let interested = Interested::new(world, "n");
    chamber.send(&interested.presence).await;
    let last = interested.event(&mut chamber).await;
    assert!(last.raw.contains("<item id='b'>"), "{last}");
    let retract = pubsub("<retract node='n' notify='true'><item id='b'/></retract>");
    balcony.set_ok("", &retract).await;
    let event = interested.event(&mut chamber).await;
    assert!(event.raw.contains("<retract id='b'/>"), "{event}");
    has_error(&balcony.set("", &retract).await, "item-not-found", "");
    let left = balcony.get("", &pubsub("<items node='n'/>")).await;
    assert!(
        left.raw.contains("id='a'") && !left.raw.contains("id='b'"),
        "{left}"
    );
}

/// XEP-0060 §8.1, §8.2, §8.4.
async fn a_node_is_configured_and_deleted(world: &World) {
    let mut juliet = world.online("juliet").await;
    juliet.set_ok("", &pubsub("<create node='n'/>")).await;
    has_error(
        &juliet.set("", &pubsub("<create node='n'/>")).await,
        "conflict",
        "",
    );
    let form = juliet.get("", &owner("<configure node='n'/>")).await;
    assert!(form.raw.contains("pubsub#access_model"), "{form}");
    let configure = |var: &str, value: &str| {
        owner(&format!(
            "<configure node='n'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{PUBSUB}#node_config</value></field>\
             <field var='pubsub#{var}'><value>{value}</value></field></x></configure>"
        ))
    };
    juliet.set_ok("", &configure("access_model", "open")).await;
    let reply = juliet
        .set("", &configure("access_model", "authorize"))
        .await;
    has_error(&reply, "not-acceptable", "");
    juliet
        .set_ok(
            "",
            &publish("n", "a", &nick("x"), &[("access_model", "open")]),
        )
        .await;
    juliet.set_ok("", &owner("<purge node='n'/>")).await;
    let items = juliet.get("", &pubsub("<items node='n'/>")).await;
    assert_eq!(
        items
            .need(PUBSUB, "pubsub")
            .need(PUBSUB, "items")
            .children()
            .count(),
        0
    );
    juliet.set_ok("", &owner("<delete node='n'/>")).await;
    has_error(
        &juliet.get("", &pubsub("<items node='n'/>")).await,
        "item-not-found",
        "",
    );
}

/// It is durable when it is answered, and nobody has to be there to show it.
async fn what_is_published_stays_when_everybody_has_left(world: &World) {
    let mut juliet = world.online("juliet").await;
    let mut romeo = world.online("romeo").await;
    juliet.befriend(&mut romeo).await;
    juliet
        .set_ok("", &publish(NICK, "current", &nick("Jule"), &[]))
        .await;
    let whom = juliet.bare();
    juliet.into_stream().close().await;
    let items = romeo
        .get(&whom, &pubsub(&format!("<items node='{NICK}'/>")))
        .await;
    assert!(items.raw.contains(&nick("Jule")), "{items}");
    let interested = Interested::new(world, NICK);
    let again = romeo.account().clone();
    let mut street = world.connect(&again, "street").await;
    street.send(&interested.presence).await;
    let event = interested.event(&mut street).await;
    assert!(event.raw.contains(&nick("Jule")), "{event}");
}
