//! XEP-0313 §4.1, §4.3 and XEP-0059: which entries, and how many at a time.

use super::super::query::PAGE_RESULTS_MAX;
use super::{ROMEO, fill, form, query, refused, set, with_messages};

const NURSE: &str = "nurse@example.com/b";

/// XEP-0313 §4.3.1, §4.3.2: forwards, while the archive grows.
#[test]
fn pages_follow_each_other() {
    let mut scene = with_messages(5);
    let one = query(&mut scene, &set("<max>2</max>"));
    assert_eq!((one.bodies(), one.is_complete()), (vec!["1", "2"], false));
    assert!(!one.fin.contains("<count>"), "{}", one.fin);
    let after = |id: &str| set(&format!("<max>2</max><after>{id}</after>"));
    let two = query(&mut scene, &after(&one.ids()[1]));
    assert_eq!((two.bodies(), two.is_complete()), (vec!["3", "4"], false));
    fill(&mut scene, ROMEO, 6..=6);
    let three = query(&mut scene, &after(&two.ids()[1]));
    assert_eq!(
        (three.bodies(), three.is_complete()),
        (vec!["5", "6"], true)
    );
    let none = query(&mut scene, &after(&three.ids()[1]));
    assert!(none.results.is_empty() && none.is_complete());
    assert!(!none.fin.contains("<first"), "{}", none.fin);
    // The same question has the same answer for ever.
    scene.reload();
    scene.bind("balcony");
    assert_eq!(query(&mut scene, &after(&one.ids()[1])).ids(), two.ids());
}

/// XEP-0313 §4.3.3, §4.3.4.
#[test]
fn the_last_page_comes_in_order_unless_it_is_flipped() {
    let mut scene = with_messages(5);
    let last = query(&mut scene, &set("<max>2</max><before/>"));
    assert_eq!((last.bodies(), last.is_complete()), (vec!["4", "5"], false));
    let page = set(&format!("<max>2</max><before>{}</before>", last.ids()[0]));
    let before = query(&mut scene, &page);
    assert_eq!(before.bodies(), ["2", "3"]);
    let flipped = query(&mut scene, &format!("{page}<flip-page/>"));
    assert_eq!(flipped.bodies(), ["3", "2"]);
    assert_eq!(flipped.fin, before.fin);
    let first = query(
        &mut scene,
        &set(&format!("<max>2</max><before>{}</before>", before.ids()[0])),
    );
    assert_eq!((first.bodies(), first.is_complete()), (vec!["1"], true));
}

/// XEP-0313 §4.3, XEP-0059 §2.7.
#[test]
fn a_page_is_bounded_and_can_be_counted() {
    let count = u32::try_from(PAGE_RESULTS_MAX).unwrap() + 1;
    let mut scene = with_messages(count);
    let page = query(&mut scene, &set("<max>4000000000</max>"));
    assert_eq!(
        (page.results.len(), page.is_complete()),
        (PAGE_RESULTS_MAX, false)
    );
    let counted = query(&mut scene, &set("<max>0</max>"));
    assert!(counted.results.is_empty() && !counted.is_complete());
    assert!(
        counted.fin.contains(&format!("<count>{count}</count>")),
        "{}",
        counted.fin
    );
    let none = form(&[("with", NURSE)]);
    let none = query(&mut scene, &format!("{none}{}", set("<max>0</max>")));
    assert!(none.is_complete() && none.fin.contains("<count>0</count>"));
}

/// A page that is too large ends where its reader goes on.
#[test]
fn a_page_is_bounded_in_octets() {
    let mut scene = with_messages(0);
    let large = "x".repeat(100_000);
    for n in 0..4 {
        super::get(&mut scene, ROMEO, &format!("<body>{n}{large}</body>"));
    }
    let bodies = |answer: &super::Answer| -> Vec<String> {
        answer
            .bodies()
            .iter()
            .map(|body| body[..1].to_owned())
            .collect()
    };
    let first = query(&mut scene, "");
    assert_eq!(
        (bodies(&first), first.is_complete()),
        (vec!["0".into(), "1".into()], false)
    );
    let last = query(&mut scene, &set("<before/>"));
    assert_eq!(
        (bodies(&last), last.is_complete()),
        (vec!["2".into(), "3".into()], false)
    );
}

/// XEP-0313 §4.1.1, §4.1.2.
#[test]
fn filters_narrow() {
    let mut scene = with_messages(2);
    fill(&mut scene, NURSE, 3..=4);
    fill(&mut scene, "romeo@example.net/b", 5..=5);
    let mut bodies = |fields: &[(&str, &str)]| {
        let answer = query(&mut scene, &form(fields));
        answer.bodies().join(" ")
    };
    assert_eq!(bodies(&[("with", "romeo@example.net")]), "1 2 5");
    assert_eq!(bodies(&[("with", ROMEO)]), "1 2");
    assert_eq!(bodies(&[("with", "nobody@example.net")]), "");
    assert_eq!(bodies(&[("start", "2001-09-09T01:46:43Z")]), "3 4 5");
    assert_eq!(bodies(&[("end", "2001-09-09T01:46:43Z")]), "1 2 3");
    let both = [
        ("with", "romeo@example.net"),
        ("start", "2001-09-09T01:46:42Z"),
        ("include-groupchat", "true"),
    ];
    assert_eq!(bodies(&both), "2 5");
}

/// XEP-0313 §4.1.1: what Juliet told herself is there once.
#[test]
fn what_is_said_to_oneself_is_found_by_the_own_address() {
    let mut scene = with_messages(1);
    scene.online("chamber");
    let said = scene.sends(
        "balcony",
        "<message type='chat' to='juliet@example.com'><body>me</body></message>",
    );
    for line in said {
        // To the account itself it goes by way of the router.
        if let Some(message) = line.strip_prefix("out: ") {
            scene.gets(message);
        }
    }
    assert_eq!(
        query(&mut scene, &form(&[("with", "juliet@example.com")])).bodies(),
        ["me"]
    );
    assert_eq!(query(&mut scene, "").bodies(), ["1", "me"]);
}

/// XEP-0313 §4.1.3, §4.3.
#[test]
fn entries_are_named_by_their_ids() {
    let mut scene = with_messages(4);
    let ids = query(&mut scene, "").ids();
    let range = form(&[("after-id", &ids[0]), ("before-id", &ids[3])]);
    assert_eq!(query(&mut scene, &range).bodies(), ["2", "3"]);
    let some = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='ids'><value>{}</value><value>{}</value></field></x>",
        ids[3], ids[1]
    );
    assert_eq!(query(&mut scene, &some).bodies(), ["2", "4"]);
    let foreign = scene.env().entry_ids.id_of(
        &starling_xmpp::BareJid::parse("romeo@example.net").unwrap(),
        starling_store::Position::new(1, 1),
    );
    let never = scene.env().entry_ids.id_of(
        &scene.account().jid.clone(),
        starling_store::Position::new(1, 1),
    );
    for unknown in ["x", &foreign, &never] {
        for field in ["after-id", "before-id", "ids"] {
            refused(&mut scene, &form(&[(field, unknown)]), "item-not-found");
        }
        for side in ["after", "before"] {
            refused(
                &mut scene,
                &set(&format!("<{side}>{unknown}</{side}>")),
                "item-not-found",
            );
        }
    }
}

/// XEP-0313 §4.1.5, XEP-0059 §2.6.
#[test]
fn what_is_not_understood_is_refused() {
    let mut scene = with_messages(1);
    for (wrong, condition) in [
        (form(&[("{urn:x}text", "a")]), "feature-not-implemented"),
        (form(&[("with", "@")]), "jid-malformed"),
        (form(&[("start", "yesterday")]), "bad-request"),
        (form(&[("include-groupchat", "perhaps")]), "bad-request"),
        (
            "<x xmlns='jabber:x:data' type='submit'/>".into(),
            "bad-request",
        ),
        (set("<max>-1</max>"), "bad-request"),
        (set("<index>1</index>"), "feature-not-implemented"),
    ] {
        refused(&mut scene, &wrong, condition);
    }
}
