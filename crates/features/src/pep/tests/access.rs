//! Who may read, and what the others are told.

use super::*;
use crate::testing::{check_from_romeo, nobody};

const ITEMS: &str = "<items node='n'/>";

fn with(access: &str) -> Scene {
    let mut scene = juliet();
    let options = [
        ("access_model", access),
        ("roster_groups_allowed", "friends"),
    ];
    check(&mut scene, &publish("n", "a", "1", &options), "result");
    scene
}

/// XEP-0060 §6.5.9, §4.5: what each model says to whoever it keeps out.
#[test]
fn each_access_model_keeps_out_whom_it_should() {
    let found = "<items node='n'><item id='a'>";
    let stranger = "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><presence-subscription-required xmlns='http://jabber.org/protocol/pubsub#errors'/></error>";
    for (access, contact, other) in [
        ("open", found, found),
        ("presence", found, stranger),
        (
            "roster",
            "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><not-in-roster-group xmlns='http://jabber.org/protocol/pubsub#errors'/></error>",
            stranger,
        ),
        (
            "whitelist",
            "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><closed-node xmlns='http://jabber.org/protocol/pubsub#errors'/></error>",
            stranger,
        ),
    ] {
        let mut scene = with(access);
        check(&mut scene, &get(ITEMS), found);
        check_from_romeo(&mut scene, &by_romeo(&get(ITEMS)), other);
        scene.contact("romeo@example.net", Subscription::To);
        check_from_romeo(&mut scene, &by_romeo(&get(ITEMS)), other);
        scene.contact("romeo@example.net", Subscription::From);
        check_from_romeo(&mut scene, &by_romeo(&get(ITEMS)), contact);
    }
}

/// A stranger cannot tell a node that is not for him from one that is not there,
/// nor the account from none.
#[test]
fn a_stranger_learns_nothing() {
    let ask = |mut scene: Scene, content: &str| only(scene.gets(&by_romeo(content)));
    for request in [
        get(ITEMS),
        set("<subscribe node='n' jid='romeo@example.net'/>"),
        set("<unsubscribe node='n' jid='romeo@example.net'/>"),
        get("<subscriptions/>"),
        publish("n", "a", "1", &[]),
        owner_set("<delete node='n'/>"),
    ] {
        let answer = ask(with("presence"), &request);
        assert!(
            answer.contains("<presence-subscription-required "),
            "{answer}"
        );
        assert_eq!(ask(juliet(), &request), answer);
        assert_eq!(ask(nobody(), &request), answer);
    }
}

/// XEP-0060 §4.5, §8.9.2: groups and members.
#[test]
fn groups_and_members_are_let_in() {
    let mut scene = with("roster");
    scene.item(starling_store::roster::Item {
        subscription: Subscription::Both,
        groups: vec!["friends".into()],
        ..starling_store::roster::Item::new("romeo@example.net".parse().unwrap())
    });
    check_from_romeo(&mut scene, &by_romeo(&get(ITEMS)), "<item id='a'>");
    let mut scene = with("whitelist");
    let affiliate = |what: &str| {
        owner_set(&format!(
            "<affiliations node='n'><affiliation jid='romeo@example.net' affiliation='{what}'/></affiliations>"
        ))
    };
    check(&mut scene, &affiliate("member"), "<iq type='result'");
    check_from_romeo(&mut scene, &by_romeo(&get(ITEMS)), "<item id='a'>");
    check(&mut scene, &affiliate("publisher"), "<not-acceptable ");
    let asked = owner_set("<affiliations node='n'/>").replace("'set'", "'get'");
    check(
        &mut scene,
        &asked,
        "<affiliation jid='juliet@example.com' affiliation='owner'/><affiliation jid='romeo@example.net' affiliation='member'/>",
    );
    let mut scene = with("open");
    check(&mut scene, &affiliate("outcast"), "<iq type='result'");
    check_from_romeo(
        &mut scene,
        &by_romeo(&get(ITEMS)),
        "<presence-subscription-required ",
    );
}

/// XEP-0060 §7.1.3.1, §8: others do not do what is the owner's.
#[test]
fn nobody_else_publishes_or_manages() {
    let mut scene = with("open");
    scene.contact("romeo@example.net", Subscription::Both);
    for request in [
        publish("n", "b", "2", &[]),
        set("<create node='x'/>"),
        set("<retract node='n'><item id='a'/></retract>"),
        owner_set("<delete node='n'/>"),
        owner_set("<purge node='n'/>"),
        owner_set("<configure node='n'/>").replace("'set'", "'get'"),
    ] {
        check_from_romeo(&mut scene, &by_romeo(&request), "<forbidden ");
    }
}

/// XEP-0163 §4.3.3, XEP-0191 §3.3: who is blocked hears nothing.
#[test]
fn the_blocked_hear_nothing() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    romeo_comes(&mut scene, NICK);
    let block = "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'/></block></iq>";
    check(&mut scene, block, "result");
    let said = scene.sends("balcony", &publish(NICK, "", "Jule", &[]));
    assert_eq!(events(said), [""; 0]);
    assert_eq!(romeo_comes(&mut scene, NICK), [""; 0]);
}

/// XEP-0060 §6.1, §6.2, §5.6; XEP-0163 §4.3.2: who subscribes in so many words
/// is told at the address he gave, as long as he may read (§7.1).
#[test]
fn who_subscribes_is_told() {
    let mut scene = with("open");
    let subscribe = |jid: &str| by_romeo(&set(&format!("<subscribe node='n' jid='{jid}'/>")));
    check_from_romeo(&mut scene, &subscribe("paris@example.net"), "<invalid-jid ");
    let said = scene.gets(&subscribe("romeo@example.net"));
    assert_eq!(events(said.clone()).len(), 1, "the last item: {said:#?}");
    assert!(
        said.iter().any(|line| line.contains(
            "<subscription node='n' jid='romeo@example.net' subscription='subscribed'/>"
        )),
        "{said:#?}"
    );
    check_from_romeo(
        &mut scene,
        &by_romeo(&get("<subscriptions/>")),
        "<subscription node='n' jid='romeo@example.net' ",
    );
    let said = events(scene.sends("balcony", &publish("n", "a", "2", &[])));
    assert!(only(said).starts_with("out: <message type='headline' to='romeo@example.net' "));
    let close = owner_set(
        "<configure node='n'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#access_model'><value>whitelist</value></field></x></configure>",
    );
    check(&mut scene, &close, "<iq type='result'");
    let said = scene.sends("balcony", &publish("n", "a", "3", &[]));
    assert_eq!(events(said), [""; 0]);
    let subscribers = owner_set("<subscriptions node='n'/>").replace("'set'", "'get'");
    check(&mut scene, &subscribers, "<subscriptions node='n'/>");
    let mut scene = with("open");
    let leave = by_romeo(&set("<unsubscribe node='n' jid='romeo@example.net'/>"));
    check_from_romeo(&mut scene, &leave, "<not-subscribed ");
    scene.gets(&subscribe("romeo@example.net"));
    check_from_romeo(&mut scene, &leave, "<iq type='result'");
    let said = scene.sends("balcony", &publish("n", "a", "2", &[]));
    assert_eq!(events(said), [""; 0]);
}
