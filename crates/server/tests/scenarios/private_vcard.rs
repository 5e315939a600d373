//! XEP-0049: private XML; XEP-0054: vCards; XEP-0153: their pictures.

use starling_testkit::client::relays_nothing;
use starling_testkit::{Client, Element, World, ns, presence};

scenarios![
    private_data_is_kept_by_name_and_namespace,
    private_data_is_private,
    bad_private_requests_are_refused,
    a_vcard_is_kept_and_shown_to_anyone,
    no_vcard_looks_like_no_user,
    nobody_changes_the_vcard_of_another,
    a_picture_hash_passes_in_presence,
];

/// XEP-0049 §2.
async fn private_data_is_kept_by_name_and_namespace(world: &World) {
    let account = world.account("romeo").await;
    let mut client = world.connect(&account, "orchard").await;
    let notes = "<notes xmlns='urn:example:notes' a='1'><note>1 &lt; 2</note></notes>";
    let other = "<notes xmlns='urn:example:other'/>";
    client.set_ok("", &private(notes)).await;
    client.set_ok("", &private(other)).await;
    client.into_stream().close().await;

    let mut client = world.connect(&account, "street").await;
    let reply = client
        .get("", &private("<notes xmlns='urn:example:notes'/>"))
        .await;
    assert!(reply.raw.contains(notes), "{reply}");
    client
        .set_ok(
            "",
            &private("<notes xmlns='urn:example:notes'><note>new</note></notes>"),
        )
        .await;
    let reply = client
        .get("", &private("<notes xmlns='urn:example:notes'/>"))
        .await;
    let kept = reply
        .need(ns::PRIVATE, "query")
        .need("urn:example:notes", "notes");
    assert_eq!(kept.need("urn:example:notes", "note").text(), "new");
    // XEP-0049 §2.2: what is not there comes back empty.
    let reply = client
        .get("", &private("<none xmlns='urn:example:none'/>"))
        .await;
    let none = reply
        .need(ns::PRIVATE, "query")
        .need("urn:example:none", "none");
    assert_eq!(none.children().count(), 0);
}

/// XEP-0049 §2.3.
async fn private_data_is_private(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut tybalt = world.online("tybalt").await;
    romeo
        .set_ok(
            "",
            &private("<notes xmlns='urn:example:notes'>secret</notes>"),
        )
        .await;
    for type_ in ["get", "set"] {
        let reply = tybalt
            .request(
                type_,
                &romeo.bare(),
                &private("<notes xmlns='urn:example:notes'/>"),
            )
            .await;
        assert!(
            matches!(
                reply.error_condition(),
                Some("forbidden" | "service-unavailable")
            ),
            "{reply}"
        );
        assert!(!reply.raw.contains("secret"), "{reply}");
    }
}

/// XEP-0049 §2.1–2.3.
async fn bad_private_requests_are_refused(world: &World) {
    let mut romeo = world.online("romeo").await;
    for (type_, content) in [("get", ""), ("set", ""), ("set", "<notes/>")] {
        let reply = romeo.request(type_, "", &private(content)).await;
        assert!(
            matches!(
                reply.error_condition(),
                Some("bad-request" | "not-acceptable")
            ),
            "{reply}"
        );
    }
}

/// XEP-0054 §3.1–3.3.
async fn a_vcard_is_kept_and_shown_to_anyone(world: &World) {
    let account = world.account("juliet").await;
    let mut juliet = world.connect_available(&account, "balcony").await;
    let mut stranger = world.online("stranger").await;
    let card =
        "<FN>Juliet Capulet</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>AAECAw==</BINVAL></PHOTO>";
    juliet.set_ok("", &vcard(card)).await;
    for (client, to) in [(&mut juliet, String::new()), (&mut stranger, account.jid())] {
        let reply = client.get(&to, &vcard("")).await;
        assert!(reply.raw.contains(card), "{reply}");
    }
    // XEP-0054 §3.3: the server answers, not the client.
    juliet.gets_nothing().await;
    juliet.set_ok("", &vcard("<FN>Juliet Montague</FN>")).await;
    let reply = stranger.get(&account.jid(), &vcard("")).await;
    assert!(!reply.raw.contains("PHOTO"), "{reply}");
}

/// XEP-0054 §3.3: accounts cannot be found out by asking.
async fn no_vcard_looks_like_no_user(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let romeo = world.account("romeo").await.jid();
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    let mut replies = Vec::new();
    for to in [&romeo, &nobody] {
        let reply: Element = tybalt.get(to, &vcard("")).await;
        assert!(
            matches!(
                reply.error_condition(),
                Some("item-not-found" | "service-unavailable")
            ),
            "{reply}"
        );
        let id = reply.need_attr("id").to_owned();
        replies.push(reply.raw.replace(to.as_str(), "TO").replace(&id, "ID"));
    }
    assert_eq!(replies[0], replies[1], "the answers differ");
    // XEP-0054 §3.1: the owner without one gets an empty one, or is told so.
    let own = tybalt.get("", &vcard("")).await;
    let is_empty = own
        .child(ns::VCARD, "vCard")
        .is_some_and(|card| card.children().count() == 0);
    assert!(
        is_empty || own.error_condition() == Some("item-not-found"),
        "{own}"
    );
}

/// XEP-0054 §3.2.
async fn nobody_changes_the_vcard_of_another(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let mut romeo = world.online("romeo").await;
    romeo.set_ok("", &vcard("<FN>Romeo</FN>")).await;
    let reply = tybalt.set(&romeo.bare(), &vcard("<FN>Villain</FN>")).await;
    assert!(
        matches!(
            reply.error_condition(),
            Some("forbidden" | "not-allowed" | "service-unavailable")
        ),
        "{reply}"
    );
    let reply = tybalt.get(&romeo.bare(), &vcard("")).await;
    assert!(reply.raw.contains("<FN>Romeo</FN>"), "{reply}");
}

/// XEP-0153 §3: the server keeps clients' hands off neither way.
async fn a_picture_hash_passes_in_presence(world: &World) {
    let mut romeo: Client = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let update = "<x xmlns='vcard-temp:x:update'><photo>sha1-hash-of-image</photo></x>";
    romeo.send(format!("<presence>{update}</presence>")).await;
    let got = juliet
        .next_is(presence().from(romeo.jid()).has(ns::VCARD_UPDATE, "x"))
        .await;
    assert!(got.raw.contains(update), "{got}");
    relays_nothing(&mut romeo, &mut juliet).await;
}

fn private(content: &str) -> String {
    format!("<query xmlns='{}'>{content}</query>", ns::PRIVATE)
}

fn vcard(content: &str) -> String {
    format!("<vCard xmlns='{}'>{content}</vCard>", ns::VCARD)
}
