//! Items: their ids, how many there are, reading and taking back.

use super::*;
use crate::Config;
use crate::testing::juliet_with;

/// XEP-0060 §7.1.3.3 to §7.1.3.6.
#[test]
fn what_is_no_item_is_refused() {
    let mut scene = juliet();
    for (publish, error) in [
        ("<publish node='n'/>", "<item-required "),
        ("<publish node='n'><item/></publish>", "<payload-required "),
        (
            "<publish><item><a xmlns='b'/></item></publish>",
            "<nodeid-required ",
        ),
        (
            "<publish node='n'><item><a xmlns='b'/><a xmlns='b'/></item></publish>",
            "<invalid-payload ",
        ),
        (
            "<publish node='n'><item><a xmlns='b'/></item><item><a xmlns='b'/></item></publish>",
            "<bad-request ",
        ),
    ] {
        check(&mut scene, &set(publish), error);
    }
}

/// XEP-0060 §7.1.2: the same id replaces, the oldest makes room, and what has
/// no id gets one.
#[test]
fn items_are_replaced_and_the_oldest_goes() {
    let mut scene = juliet();
    let two = &[("max_items", "2")];
    for (id, text) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
        check(&mut scene, &publish("n", id, text, two), "result");
    }
    let nick = |text: &str| format!("<nick xmlns='{NICK}'>{text}</nick>");
    check(
        &mut scene,
        &get("<items node='n'/>"),
        &format!(
            "<items node='n'><item id='a'>{}</item><item id='c'>{}</item></items>",
            nick("3"),
            nick("4")
        ),
    );
    check(
        &mut scene,
        &publish("n", "", "5", two),
        "<publish node='n'><item id='",
    );
    check(
        &mut scene,
        &get("<items node='n'/>"),
        "<items node='n'><item id='c'>",
    );
    check(
        &mut scene,
        &get("<items node='n' max_items='1'/>"),
        &nick("5"),
    );
    check(
        &mut scene,
        &get("<items node='n'><item id='c'/></items>"),
        &nick("4"),
    );
    check(
        &mut scene,
        &get("<items node='n'><item id='a'/></items>"),
        "<item-not-found ",
    );
    check(&mut scene, &get("<items node='m'/>"), "<item-not-found ");
    // One at a time, under whatever id.
    for id in ["x", "y"] {
        check(&mut scene, &publish("one", id, id, &[]), "result");
    }
    let only_y = format!(
        "<items node='one'><item id='y'>{}</item></items>",
        nick("y")
    );
    check(&mut scene, &get("<items node='one'/>"), &only_y);
}

/// XEP-0059 §2.2 to §2.7 over XEP-0060 §6.5.4.
#[test]
fn items_are_read_in_pages() {
    let mut scene = juliet();
    for n in 1..=5 {
        check(
            &mut scene,
            &publish("n", &format!("i{n}"), "x", MANY),
            "result",
        );
    }
    let ids = |scene: &mut Scene, set: &str| {
        let set =
            format!("<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'>{set}</set>");
        let answer = only(scene.sends("balcony", &get(&set)));
        let ids = answer.split("<item id='").skip(1);
        let ids: Vec<String> = ids.map(|rest| rest[..2].to_owned()).collect();
        assert!(answer.contains("<count>5</count>"), "{answer}");
        ids.join(" ")
    };
    assert_eq!(ids(&mut scene, "<max>2</max>"), "i1 i2");
    assert_eq!(ids(&mut scene, "<max>2</max><after>i2</after>"), "i3 i4");
    assert_eq!(ids(&mut scene, "<max>2</max><before>i4</before>"), "i2 i3");
    assert_eq!(ids(&mut scene, "<max>2</max><before/>"), "i4 i5");
    assert_eq!(ids(&mut scene, "<max>2</max><index>1</index>"), "i2 i3");
    assert_eq!(ids(&mut scene, "<max>0</max>"), "");
    let unknown =
        "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><after>x</after></set>";
    check(&mut scene, &get(unknown), "<item-not-found ");
}

/// XEP-0060 §7.2.
#[test]
fn items_are_taken_back() {
    let mut scene = juliet();
    let quiet = &[("max_items", "max"), ("notify_retract", "0")];
    for id in ["a", "b", "c"] {
        check(&mut scene, &publish("n", id, id, quiet), "result");
    }
    comes(&mut scene, "chamber", "n");
    let retract = |id: &str, notify: &str| {
        set(&format!(
            "<retract node='n'{notify}><item id='{id}'/></retract>"
        ))
    };
    let said = scene.sends("balcony", &retract("b", ""));
    assert_eq!(events(said), [""; 0]);
    let said = events(scene.sends("balcony", &retract("c", " notify='true'")));
    let told = only(said);
    assert!(told.starts_with("chamber: "), "{told}");
    assert!(
        told.contains("<items node='n'><retract id='c'/></items></event>"),
        "{told}"
    );
    check(&mut scene, &retract("c", ""), "<item-not-found ");
    check(&mut scene, &set("<retract node='n'/>"), "<item-required ");
    check(
        &mut scene,
        &set("<retract node='m'><item id='a'/></retract>"),
        "<item-not-found ",
    );
    // What is left is the last one now.
    let told = only(comes(&mut scene, "garden", "n"));
    assert!(told.contains("<item id='a'>"), "{told}");
    scene.reload();
    let told = only(comes(&mut scene, "garden", "n"));
    assert!(told.contains("<item id='a'>"), "{told}");
}

/// XEP-0060 §7.1.1: what is not kept is only told.
#[test]
fn an_item_that_is_not_kept_is_only_told() {
    let mut scene = juliet();
    comes(&mut scene, "chamber", "n");
    let said = scene.sends(
        "chamber",
        &publish("n", "a", "1", &[("persist_items", "0")]),
    );
    assert_eq!(events(said).len(), 1);
    assert_eq!(comes(&mut scene, "garden", "n"), [""; 0]);
    check(&mut scene, &get("<items node='n'/>"), "<unsupported ");
}

/// What one account may have is bounded, and replacing what is there is always
/// possible.
#[test]
fn an_account_is_full_at_some_point() {
    let mut config = Config::default();
    config.pep.nodes_max = 2;
    config.pep.items_max = 3;
    config.pep.bytes_max = 400;
    let mut scene = juliet_with(&config);
    for id in ["a", "b"] {
        check(&mut scene, &publish("n", id, "x", MANY), "result");
    }
    check(&mut scene, &publish("m", "", "x", &[]), "result");
    check(&mut scene, &publish("n", "c", "x", MANY), "at most 3 items");
    check(&mut scene, &publish("l", "", "x", &[]), "at most 2 nodes");
    check(&mut scene, &publish("n", "a", "y", MANY), "result");
    let long = "x".repeat(400);
    check(
        &mut scene,
        &publish("n", "a", &long, MANY),
        "at most 400 bytes",
    );
    check(
        &mut scene,
        &set("<retract node='n'><item id='a'/></retract>"),
        "result",
    );
    check(&mut scene, &publish("m", "", "y", &[]), "result");
}

/// XEP-0175 §2.
#[test]
fn an_anonymous_account_publishes_nothing() {
    let mut scene = crate::testing::nobody();
    check(&mut scene, &publish("n", "a", "x", &[]), "<not-allowed ");
}
