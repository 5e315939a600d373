//! RFC 6121 §2: the roster, its pushes and its versions.

use starling_testkit::client::relays_nothing;
use starling_testkit::{Element, Pattern, World, iq, ns};

scenarios![
    a_new_roster_is_empty,
    an_item_is_kept_and_pushed_to_those_who_asked,
    a_set_replaces_the_whole_item,
    an_item_can_be_removed_once,
    bad_sets_are_refused,
    a_client_cannot_set_what_the_server_decides,
    rosters_of_others_are_closed,
    a_client_that_refuses_a_push_disturbs_nobody,
    versions_spare_what_is_known,
    a_request_sees_what_those_before_it_did,
];

/// RFC 6121 §2.2.
async fn a_new_roster_is_empty(world: &World) {
    let account = world.account("romeo").await;
    let mut client = world.connect(&account, "orchard").await;
    assert!(client.fetch_roster().await.is_empty());
}

/// RFC 6121 §2.1.6, §2.3.2: every interested resource, also the one that set it.
async fn an_item_is_kept_and_pushed_to_those_who_asked(world: &World) {
    let account = world.account("romeo").await;
    let mut first = world.connect_available(&account, "orchard").await;
    let mut second = world.connect_available(&account, "street").await;
    let mut uninterested = world.connect(&account, "cell").await;
    uninterested.become_available().await;
    first.settle().await;
    second.settle().await;

    let item =
        "<item jid='nurse@verona.example' name='Nurse &amp; co'><group>Servants</group></item>";
    first.set_ok("", &query(item)).await;
    for client in [&mut first, &mut second] {
        let push = client.next_is(push()).await;
        let item = only_item(&push);
        assert_eq!(item.attr("jid"), Some("nurse@verona.example"));
        assert_eq!(item.attr("name"), Some("Nurse & co"));
        assert_eq!(item.attr("subscription"), Some("none"));
        assert_eq!(groups(&item), ["Servants"]);
        assert!(
            push.from().is_none_or(|from| from == client.bare()),
            "{push}"
        );
        client.gets_nothing().await;
    }
    relays_nothing(&mut first, &mut uninterested).await;
    let kept = uninterested.fetch_roster().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].attr("name"), Some("Nurse & co"));
}

/// RFC 6121 §2.4.1: what is left out is gone.
async fn a_set_replaces_the_whole_item(world: &World) {
    let mut romeo = world.online("romeo").await;
    let contact = "nurse@verona.example";
    let item =
        format!("<item jid='{contact}' name='Nurse'><group>A</group><group>B</group></item>");
    romeo.set_ok("", &query(&item)).await;
    romeo.next_is(push()).await;
    romeo
        .set_ok(
            "",
            &query(&format!("<item jid='{contact}'><group>C</group></item>")),
        )
        .await;
    let item = only_item(&romeo.next_is(push()).await);
    assert_eq!(
        (item.attr("name").unwrap_or_default(), groups(&item)),
        ("", vec!["C".to_owned()])
    );
    assert_eq!(groups(&romeo.fetch_roster().await[0]), ["C"]);
}

/// RFC 6121 §2.5.
async fn an_item_can_be_removed_once(world: &World) {
    let mut romeo = world.online("romeo").await;
    romeo
        .set_ok("", &query("<item jid='nurse@verona.example'/>"))
        .await;
    romeo.next_is(push()).await;
    let remove = query("<item jid='nurse@verona.example' subscription='remove'/>");
    romeo.set_ok("", &remove).await;
    let item = only_item(&romeo.next_is(push()).await);
    assert_eq!(item.attr("subscription"), Some("remove"));
    assert!(romeo.fetch_roster().await.is_empty());
    let reply = romeo.set("", &remove).await;
    assert_eq!(reply.error_condition(), Some("item-not-found"));
    romeo.gets_nothing().await;
}

/// RFC 6121 §2.3.3.
async fn bad_sets_are_refused(world: &World) {
    let mut romeo = world.online("romeo").await;
    let long = "x".repeat(1024);
    let cases = [
        (
            "<item jid='a@verona.example'/><item jid='b@verona.example'/>".to_owned(),
            "bad-request",
        ),
        (String::new(), "bad-request"),
        ("<item name='nobody'/>".to_owned(), "bad-request"),
        (
            "<item jid='a@verona.example'><group>A</group><group>A</group></item>".to_owned(),
            "bad-request",
        ),
        (
            "<item jid='a@verona.example'><group/></item>".to_owned(),
            "not-acceptable",
        ),
        (
            format!("<item jid='a@verona.example' name='{long}'/>"),
            "not-acceptable",
        ),
        (
            format!("<item jid='a@verona.example'><group>{long}</group></item>"),
            "not-acceptable",
        ),
        ("<item jid='@verona.example'/>".to_owned(), "jid-malformed"),
    ];
    for (content, condition) in cases {
        let reply = romeo.set("", &query(&content)).await;
        let got = reply.error_condition();
        assert!(
            got == Some(condition) || got == Some("bad-request"),
            "{content:.80}: {reply}"
        );
    }
    romeo.gets_nothing().await;
    assert!(romeo.fetch_roster().await.is_empty());
}

/// RFC 6121 §2.1.2: `ask`, `approved` and `subscription` are the server's.
async fn a_client_cannot_set_what_the_server_decides(world: &World) {
    let mut romeo = world.online("romeo").await;
    let item =
        "<item jid='nurse@verona.example' subscription='both' ask='subscribe' approved='true'/>";
    romeo.set_ok("", &query(item)).await;
    let item = only_item(&romeo.next_is(push()).await);
    assert_eq!(item.attr("subscription"), Some("none"));
    assert_eq!((item.attr("ask"), item.attr("approved")), (None, None));
}

/// RFC 6121 §2.3.3.
async fn rosters_of_others_are_closed(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let mut romeo = world.online("romeo").await;
    let his = romeo.bare();
    for (type_, content) in [("get", ""), ("set", "<item jid='nurse@verona.example'/>")] {
        let reply = tybalt.request(type_, &his, &query(content)).await;
        assert!(
            matches!(
                reply.error_condition(),
                Some("forbidden" | "service-unavailable")
            ),
            "{reply}"
        );
    }
    romeo.gets_nothing().await;
    assert!(romeo.fetch_roster().await.is_empty());
}

/// RFC 6121 §2.1.6.
async fn a_client_that_refuses_a_push_disturbs_nobody(world: &World) {
    let account = world.account("romeo").await;
    let mut first = world.connect_available(&account, "orchard").await;
    let mut second = world.connect_available(&account, "street").await;
    first.settle().await;
    for name in ["one", "two"] {
        first
            .set_ok(
                "",
                &query(&format!("<item jid='nurse@verona.example' name='{name}'/>")),
            )
            .await;
        let refused = first.next_is(push()).await;
        let id = refused.need_attr("id");
        first
            .send(format!(
                "<iq type='error' id='{id}'><error type='cancel'><service-unavailable xmlns='{}'/></error></iq>",
                ns::STANZAS
            ))
            .await;
        assert_eq!(
            only_item(&second.next_is(push()).await).attr("name"),
            Some(name)
        );
    }
    first.gets_nothing().await;
}

/// RFC 6121 §2.6.
async fn versions_spare_what_is_known(world: &World) {
    let account = world.account("romeo").await;
    let mut client = world.connect(&account, "orchard").await;
    let first = client.get("", &versioned("")).await;
    assert!(
        first.need(ns::ROSTER, "query").attr("ver").is_some(),
        "{first}"
    );
    let mut versions = Vec::new();
    for name in ["one", "two", "three"] {
        client
            .set_ok("", &query(&format!("<item jid='{name}@verona.example'/>")))
            .await;
        let push = client.next_is(push()).await;
        versions.push(push.need(ns::ROSTER, "query").need_attr("ver").to_owned());
    }
    assert!(
        versions[0] != versions[1] && versions[1] != versions[2],
        "{versions:?}"
    );

    // Nothing new: an empty result, no pushes.
    let mut again = world.connect(&account, "street").await;
    let reply = again.get("", &versioned(&versions[2])).await;
    assert!(reply.child(ns::ROSTER, "query").is_none(), "{reply}");
    again.gets_nothing().await;

    // Something new: the whole roster, or an empty result and then pushes.
    let mut late = world.connect(&account, "cell").await;
    let reply = late.get("", &versioned(&versions[0])).await;
    if let Some(whole) = reply.child(ns::ROSTER, "query") {
        assert_eq!(whole.children().count(), 3);
        assert_eq!(whole.attr("ver"), Some(versions[2].as_str()));
    } else {
        for (name, version) in [("two", &versions[1]), ("three", &versions[2])] {
            let push = late.next_is(push()).await;
            assert_eq!(
                only_item(&push).attr("jid"),
                Some(format!("{name}@verona.example").as_str())
            );
            assert_eq!(
                push.need(ns::ROSTER, "query").attr("ver"),
                Some(version.as_str())
            );
        }
    }
    late.gets_nothing().await;

    // A version nobody ever gave out: the whole roster.
    let mut strange = world.connect(&account, "crypt").await;
    let reply = strange.get("", &versioned("never given out")).await;
    assert_eq!(reply.need(ns::ROSTER, "query").children().count(), 3);
}

/// RFC 6120 §10.1; PROTOCOL B.4 46: also when both come at once.
async fn a_request_sees_what_those_before_it_did(world: &World) {
    let mut client = world.online("romeo").await;
    for number in 0..20 {
        let contact = format!("c{number}@verona.example");
        let set = query(&format!("<item jid='{contact}'/>"));
        let get = query("");
        client
            .send(format!(
                "<iq type='set' id='s{number}'>{set}</iq><iq type='get' id='g{number}'>{get}</iq>"
            ))
            .await;
        let reply = client
            .find(iq().type_("result").id(&format!("g{number}")))
            .await;
        assert!(reply.raw.contains(&contact), "{reply}");
    }
}

fn query(content: &str) -> String {
    format!("<query xmlns='{}'>{content}</query>", ns::ROSTER)
}

fn versioned(version: &str) -> String {
    format!("<query xmlns='{}' ver='{version}'/>", ns::ROSTER)
}

fn push() -> Pattern {
    iq().type_("set").has(ns::ROSTER, "query")
}

fn only_item(push: &Element) -> Element {
    let items: Vec<_> = push.need(ns::ROSTER, "query").children().cloned().collect();
    assert_eq!(items.len(), 1, "RFC 6121 §2.1.6 wants one item: {push}");
    items.into_iter().next().unwrap()
}

fn groups(item: &Element) -> Vec<String> {
    let mut groups: Vec<_> = item.all(ns::ROSTER, "group").map(Element::text).collect();
    groups.sort();
    groups
}
