//! XEP-0030: service discovery; XEP-0157: contact addresses.

use starling_testkit::{Element, World, iq, ns};

scenarios![
    the_server_says_what_it_is,
    the_server_says_whom_to_write_to,
    an_unknown_node_is_not_found,
    an_account_is_shown_to_its_owner_and_subscribers,
    an_account_is_hidden_from_strangers,
    the_items_of_a_host_are_listed,
    a_client_answers_for_itself,
];

/// XEP-0030 §3.1, and every XEP here that asks to be advertised.
async fn the_server_says_what_it_is(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client.get(&host, &info("")).await;
    assert_eq!(reply.from(), Some(host.as_str()));
    let query = reply.need(ns::DISCO_INFO, "query");
    let mut identities = query.all(ns::DISCO_INFO, "identity");
    assert!(
        identities
            .any(|one| one.attr("category") == Some("server") && one.attr("type") == Some("im")),
        "{reply}"
    );
    let features = features(query);
    for wanted in [
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        ns::PING,
        ns::VERSION,
        ns::TIME,
        ns::LAST,
        ns::BLOCKING,
        ns::VCARD,
        "msgoffline",
    ] {
        assert!(
            features.iter().any(|feature| feature == wanted),
            "no {wanted} in {features:?}"
        );
    }
    let mut once = features.clone();
    once.sort();
    once.dedup();
    assert_eq!(
        once.len(),
        features.len(),
        "XEP-0030 §3.1: no feature twice"
    );
}

/// XEP-0157 §2.
async fn the_server_says_whom_to_write_to(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client.get(&host, &info("")).await;
    let query = reply.need(ns::DISCO_INFO, "query");
    let value = |form: &Element, name: &str| {
        let field = form
            .all(ns::FORMS, "field")
            .find(|field| field.attr("var") == Some(name))?
            .clone();
        Some(field.need(ns::FORMS, "value").text())
    };
    let form = query.all(ns::FORMS, "x").find(|form| {
        value(form, "FORM_TYPE").as_deref() == Some("http://jabber.org/network/serverinfo")
    });
    let form = form.unwrap_or_else(|| panic!("no contact addresses in {reply}"));
    assert_eq!(
        value(form, "abuse-addresses").as_deref(),
        Some("mailto:abuse@localhost")
    );
}

/// XEP-0030 §3.1, §7.
async fn an_unknown_node_is_not_found(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client
        .get(&host, &info("node='urn:example:no-such-node'"))
        .await;
    assert_eq!(reply.error_condition(), Some("item-not-found"), "{reply}");
}

/// XEP-0030 §8: the owner, and those with a presence subscription.
async fn an_account_is_shown_to_its_owner_and_subscribers(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let his = romeo.bare();
    for client in [&mut romeo, &mut juliet] {
        let reply = client.get(&his, &info("")).await;
        let query = reply.need(ns::DISCO_INFO, "query");
        let mut identities = query.all(ns::DISCO_INFO, "identity");
        let is_account = |one: &Element| {
            one.attr("category") == Some("account") && one.attr("type") == Some("registered")
        };
        assert!(identities.any(is_account), "{reply}");
    }
    // Without an address the account is meant (RFC 6120 §10.3.3).
    let reply = romeo.get("", &info("")).await;
    assert!(reply.child(ns::DISCO_INFO, "query").is_some(), "{reply}");
}

/// XEP-0030 §8: like an account that does not exist.
async fn an_account_is_hidden_from_strangers(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let romeo = world.account("romeo").await.jid();
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    for ask in [info(""), format!("<query xmlns='{}'/>", ns::DISCO_ITEMS)] {
        let mut replies = Vec::new();
        for to in [&romeo, &nobody] {
            let reply = tybalt.get(to, &ask).await;
            assert_eq!(
                reply.error_condition(),
                Some("service-unavailable"),
                "{reply}"
            );
            let id = reply.need_attr("id").to_owned();
            replies.push(reply.raw.replace(to.as_str(), "TO").replace(&id, "ID"));
        }
        assert_eq!(replies[0], replies[1], "the answers differ");
    }
}

/// XEP-0030 §4.1.
async fn the_items_of_a_host_are_listed(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client
        .get(&host, &format!("<query xmlns='{}'/>", ns::DISCO_ITEMS))
        .await;
    assert_eq!(reply.attr("type"), Some("result"), "{reply}");
    let query = reply.need(ns::DISCO_ITEMS, "query");
    assert!(
        query.children().all(|item| item.attr("jid").is_some()),
        "{reply}"
    );
}

/// XEP-0030 §3.1: a full JID is the client's own.
async fn a_client_answers_for_itself(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let (hers, his) = (juliet.jid().to_owned(), romeo.jid().to_owned());
    romeo
        .send(format!(
            "<iq type='get' id='d' to='{hers}'>{}</iq>",
            info("")
        ))
        .await;
    juliet
        .next_is(
            iq().type_("get")
                .id("d")
                .from(&his)
                .has(ns::DISCO_INFO, "query"),
        )
        .await;
    let answer = "<identity category='client' type='phone'/>";
    let query = format!("<query xmlns='{}'>{answer}</query>", ns::DISCO_INFO);
    juliet
        .send(format!("<iq type='result' id='d' to='{his}'>{query}</iq>"))
        .await;
    let got = romeo
        .next_is(iq().type_("result").id("d").from(&hers))
        .await;
    assert!(got.raw.contains(answer));
}

fn info(attributes: &str) -> String {
    format!("<query xmlns='{}' {attributes}/>", ns::DISCO_INFO)
}

fn features(query: &Element) -> Vec<String> {
    query
        .all(ns::DISCO_INFO, "feature")
        .map(|feature| feature.need_attr("var").to_owned())
        .collect()
}
