//! RFC 6121 §2, request by request.

use starling_session::Config;
use starling_session::testing::{Scene, parse};
use starling_store::roster::{Item, Subscription};

use super::*;

const GET: &str = "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>";

fn scene() -> Scene {
    Scene::with(
        "juliet@example.com",
        vec![Box::new(Roster)],
        Config::default(),
    )
}

/// A scene with one interested client, balcony.
fn interested() -> Scene {
    let mut scene = scene();
    scene.bind("balcony");
    scene.sends("balcony", GET);
    scene
}

fn set(item: &str) -> String {
    format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
}

fn get(ver: &str) -> String {
    format!("<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='{ver}'/></iq>")
}

/// A result for balcony, without its id.
fn result(id: &str) -> String {
    format!("balcony: <iq type='result' id='{id}' to='juliet@example.com/balcony'/>")
}

fn push(to: &str, item: &str, ver: u64) -> String {
    format!(
        "{to}: <iq type='set' id='push' to='juliet@example.com/{to}'><query xmlns='jabber:iq:roster' ver='{ver}'>{item}</query></iq>"
    )
}

fn version(scene: &Scene) -> u64 {
    scene.account().roster.version
}

fn check_refused(item: &str, condition: &str) {
    let mut scene = interested();
    let said = scene.sends("balcony", &set(item));
    assert_eq!(said.len(), 1, "{item}: {said:?}");
    assert!(
        said[0].starts_with("balcony: <iq type='error' id='s'"),
        "{said:?}"
    );
    assert!(
        said[0].contains(&format!("<{condition} ")),
        "{item}: {said:?}"
    );
    assert!(scene.account().roster.items.is_empty(), "nothing is kept");
}

/// RFC 6121 §2.1.4, §2.2.
#[test]
fn a_get_answers_with_every_listed_item() {
    let mut scene = scene();
    scene.item(Item {
        name: Some("Romeo & Co".into()),
        groups: vec!["Friends".into(), "<3".into()],
        subscription: Subscription::Both,
        ..Item::new(Jid::parse("romeo@example.net").unwrap())
    });
    scene.item(Item {
        is_asking: true,
        is_approved: true,
        ..Item::new(Jid::parse("nurse@example.com").unwrap())
    });
    // §3.1.3: a request alone is no item.
    scene.item(Item {
        is_listed: false,
        pending_in: Some(parse("<presence type='subscribe'/>").to_bytes()),
        ..Item::new(Jid::parse("paris@example.org").unwrap())
    });
    scene.bind("balcony");
    assert_eq!(
        scene.sends("balcony", GET),
        [
            "balcony: <iq type='result' id='1' to='juliet@example.com/balcony'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' subscription='none' ask='subscribe' approved='true'/><item jid='romeo@example.net' name='Romeo &amp; Co' subscription='both'><group>Friends</group><group>&lt;3</group></item></query></iq>"
        ]
    );
}

/// RFC 6121 §2.3.2, §2.1.6: the result, then a push to every interested
/// resource, the one that asked included, and to no other.
#[test]
fn a_new_item_is_pushed_to_interested_resources() {
    let mut scene = interested();
    scene.bind("chamber");
    scene.sends("chamber", GET);
    scene.online("uninterested");
    scene.account_mut().sessions[2].is_interested = false;
    let item = "<item jid='nurse@example.com' name='Nurse'><group>Servants</group></item>";
    let said = scene.sends("balcony", &set(item));
    let pushed = "<item jid='nurse@example.com' name='Nurse' subscription='none'><group>Servants</group></item>";
    let ver = version(&scene);
    assert_eq!(
        said,
        [
            result("s"),
            push("balcony", pushed, ver),
            push("chamber", pushed, ver)
        ]
    );
}

/// RFC 6121 §2.1.6: nobody waits for the answer to a push, be it an error.
#[test]
fn answers_to_pushes_are_swallowed() {
    let mut scene = interested();
    scene.sends("balcony", &set("<item jid='nurse@example.com'/>"));
    assert_eq!(
        scene.sends("balcony", "<iq type='result' id='push'/>"),
        [""; 0]
    );
    let error = "<iq type='error' id='push'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
    assert_eq!(scene.sends("balcony", error), [""; 0]);
}

/// RFC 6121 §2.4.1: what is left out is gone; what is not the client's to set
/// stays (§2.1.2).
#[test]
fn an_item_is_replaced_as_a_whole_but_for_its_subscription() {
    let mut scene = interested();
    scene.item(Item {
        name: Some("Romeo".into()),
        groups: vec!["Friends".into(), "Lovers".into()],
        subscription: Subscription::To,
        ..Item::new(Jid::parse("romeo@example.net").unwrap())
    });
    let item = "<item jid='romeo@example.net' subscription='both' ask='subscribe' approved='true'><group>Lovers</group></item>";
    let said = scene.sends("balcony", &set(item));
    let pushed = "<item jid='romeo@example.net' subscription='to'><group>Lovers</group></item>";
    let ver = version(&scene);
    assert_eq!(said, [result("s"), push("balcony", pushed, ver)]);
}

/// RFC 6121 §2.3.3.
#[test]
fn wrong_items_are_refused() {
    let long = "x".repeat(1024);
    let item = |rest: &str| format!("<item jid='nurse@example.com'{rest}");
    check_refused("", "bad-request");
    check_refused(&item("/>").repeat(2), "bad-request");
    check_refused("<thing/>", "bad-request");
    check_refused("<item name='Nobody'/>", "bad-request");
    check_refused("<item jid='@'/>", "jid-malformed");
    check_refused(
        &item("><group>A</group><group>A</group></item>"),
        "bad-request",
    );
    check_refused(&item("><group/></item>"), "not-acceptable");
    check_refused(
        &item(&format!("><group>{long}</group></item>")),
        "not-acceptable",
    );
    check_refused(&item(&format!(" name='{long}'/>")), "not-acceptable");
    check_refused("<item jid='juliet@example.com'/>", "not-allowed");
    // §2.5.3.
    check_refused(&item(" subscription='remove'/>"), "item-not-found");
}

/// RFC 6121 §2.3.3: 1023 octets are still a name.
#[test]
fn a_long_name_is_allowed_up_to_its_limit() {
    let mut scene = interested();
    let item = format!(
        "<item jid='nurse@example.com' name='{}'/>",
        "x".repeat(1023)
    );
    assert_eq!(scene.sends("balcony", &set(&item))[0], result("s"));
}

/// RFC 6121 §2.3.3: someone else's roster is forbidden.
#[test]
fn nobody_reaches_into_a_foreign_roster() {
    let mut scene = interested();
    for type_ in ["get", "set"] {
        let said = scene.gets(&format!(
            "<iq type='{type_}' id='f' to='juliet@example.com' from='paris@example.org/r'><query xmlns='jabber:iq:roster'><item jid='paris@example.org'/></query></iq>"
        ));
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("out: <iq type='error' id='f'"),
            "{said:?}"
        );
        assert!(said[0].contains("<forbidden "), "{said:?}");
    }
    assert!(scene.account().roster.items.is_empty());
}

/// RFC 6121 §2.5.2: the contact learns by its state, then the clients do.
#[test]
fn a_removed_contact_is_told_by_its_state() {
    for (subscription, told) in [
        (Subscription::None, &[][..]),
        (Subscription::To, &["unsubscribe"]),
        (Subscription::From, &["unavailable", "unsubscribed"]),
        (
            Subscription::Both,
            &["unavailable", "unsubscribe", "unsubscribed"],
        ),
    ] {
        let mut scene = interested();
        scene.contact("romeo@example.net", subscription);
        scene.sends("balcony", "<presence/>");
        let said = scene.sends(
            "balcony",
            &set("<item jid='romeo@example.net' subscription='remove'/>"),
        );
        let mut expected = vec![result("s")];
        expected.extend(told.iter().map(|type_| {
            let from = if *type_ == "unavailable" { "/balcony" } else { "" };
            format!(
                "out: <presence type='{type_}' to='romeo@example.net' from='juliet@example.com{from}'/>"
            )
        }));
        let item = "<item jid='romeo@example.net' subscription='remove'/>";
        expected.push(push("balcony", item, version(&scene)));
        assert_eq!(said, expected, "{subscription:?}");
        assert!(scene.account().roster.items.is_empty());
    }
}

/// RFC 6121 §2.6.2: no version known, all of it; the current one, nothing.
#[test]
fn a_version_is_given_to_those_who_ask_for_it() {
    let mut scene = interested();
    scene.contact("romeo@example.net", Subscription::None);
    let ver = version(&scene);
    let whole = format!(
        "balcony: <iq type='result' id='1' to='juliet@example.com/balcony'><query xmlns='jabber:iq:roster' ver='{ver}'><item jid='romeo@example.net' subscription='none'/></query></iq>"
    );
    for unknown in ["", "0", "not-ours", "99999999999999"] {
        assert_eq!(
            scene.sends("balcony", &get(unknown)),
            [whole.as_str()],
            "{unknown}"
        );
    }
    assert_eq!(
        scene.sends("balcony", &get(&ver.to_string())),
        [result("1")]
    );
}

/// RFC 6121 §2.6.3: an old version is brought up to date by pushes, in order.
#[test]
fn an_old_version_gets_what_has_changed_since() {
    let mut scene = interested();
    scene.contact("nurse@example.com", Subscription::None);
    scene.contact("romeo@example.net", Subscription::None);
    let old = version(&scene);
    scene.sends("balcony", &set("<item jid='tybalt@example.com'/>"));
    scene.sends("balcony", &set("<item jid='romeo@example.net' name='R'/>"));
    scene.sends(
        "balcony",
        &set("<item jid='nurse@example.com' subscription='remove'/>"),
    );
    assert_eq!(
        scene.sends("balcony", &get(&old.to_string())),
        [
            result("1"),
            push(
                "balcony",
                "<item jid='tybalt@example.com' subscription='none'/>",
                old + 1
            ),
            push(
                "balcony",
                "<item jid='romeo@example.net' name='R' subscription='none'/>",
                old + 2
            ),
            push(
                "balcony",
                "<item jid='nurse@example.com' subscription='remove'/>",
                old + 3
            ),
        ]
    );
}

/// RFC 6121 §2.6.3: with very much to tell, the whole is the shorter answer.
#[test]
fn a_very_old_version_gets_the_whole_roster() {
    let mut scene = interested();
    let old = version(&scene);
    for n in 0..=PUSHES_MAX {
        scene.contact(&format!("c{n}@example.com"), Subscription::None);
    }
    let said = scene.sends("balcony", &get(&old.to_string()));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains(&format!("ver='{}'", version(&scene))));
}

/// A roster has a bound; what is in it can still be changed.
#[test]
fn a_full_roster_is_resource_constraint() {
    let config = Config {
        roster_items_max: 1,
        ..Config::default()
    };
    let mut scene = Scene::with("juliet@example.com", vec![Box::new(Roster)], config);
    scene.bind("balcony");
    scene.sends("balcony", &set("<item jid='a@example.com'/>"));
    let said = scene.sends("balcony", &set("<item jid='b@example.com'/>"));
    assert!(said[0].contains("<resource-constraint "), "{said:?}");
    let said = scene.sends("balcony", &set("<item jid='a@example.com' name='A'/>"));
    assert_eq!(said, [result("s")]);
}

/// RFC 6121 §3.1.3: a contact that waits for an answer can be listed, and
/// still waits.
#[test]
fn listing_a_stranger_keeps_his_request() {
    let mut scene = interested();
    scene.gets("<presence type='subscribe' to='juliet@example.com' from='paris@example.org'/>");
    let said = scene.sends("balcony", &set("<item jid='paris@example.org'/>"));
    assert_eq!(said.len(), 2);
    let items = &scene.account().roster.items;
    assert!(
        items
            .values()
            .all(|item| item.is_listed && item.pending_in.is_some())
    );
}
