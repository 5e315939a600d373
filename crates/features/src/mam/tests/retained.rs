//! XEP-0313 §3.2: how long messages stay in an archive, and how they leave it.

use starling_session::testing::Scene;
use starling_store::account::{ARCHIVE_ERASED, ARCHIVE_KEEP_DAYS};
use starling_store::archive::Query;

use super::super::Config;
use super::{ROMEO, form, get, query, refused, with_messages};
use crate::testing::juliet_with;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

fn keeping(keep_days: u32) -> Scene {
    let archive = Config {
        keep_days,
        ..Config::default()
    };
    juliet_with(&crate::Config {
        archive,
        ..crate::Config::default()
    })
}

fn bodies(scene: &mut Scene) -> String {
    if scene.account().sessions.is_empty() {
        scene.bind("balcony");
    }
    query(scene, "").bodies().join(" ")
}

/// What the store still has.
fn stored(scene: &Scene) -> usize {
    use futures_util::FutureExt as _;
    let jid = scene.account().jid.clone();
    let query = Query::before(None, 1_000);
    let page = scene.env().store.archive_page(&jid, &query);
    page.now_or_never().unwrap().unwrap().len()
}

/// Everybody has what was sent, and lets time pass.
fn settle(scene: &mut Scene, days: i64) {
    scene.acknowledges("balcony");
    scene.alarms_ring();
    scene.wait_millis(days * DAY_MILLIS);
}

/// XEP-0313 §3.2: the oldest go, and nothing that has not arrived.
#[test]
fn old_messages_are_removed() {
    let archive = Config {
        keep_days: 400,
        host_keep_days: [("example.com".to_owned(), 2)].into(),
        ..Config::default()
    };
    let mut scene = juliet_with(&crate::Config {
        archive,
        ..crate::Config::default()
    });
    get(&mut scene, ROMEO, "<body>1</body>");
    scene.wait_millis(3 * DAY_MILLIS);
    get(&mut scene, ROMEO, "<body>2</body>");
    assert_eq!(bodies(&mut scene), "1 2", "the first still waits");
    scene.sends("balcony", "<presence/>");
    scene.acknowledges("balcony");
    scene.alarms_ring();
    scene.wait_millis(DAY_MILLIS);
    get(&mut scene, ROMEO, "<body>3</body>");
    assert_eq!(bodies(&mut scene), "2 3");
    scene.acknowledges("balcony");
    scene.alarms_ring();
    scene.wait_millis(3 * DAY_MILLIS);
    scene.sends("balcony", "<presence type='unavailable'/>");
    scene.sends("balcony", "<presence/>");
    assert_eq!(bodies(&mut scene), "");
}

/// From the moment on at which it is too old, wherever one asks.
#[test]
fn what_is_too_old_is_not_shown_although_it_is_there() {
    let mut scene = keeping(2);
    scene.online("balcony");
    get(&mut scene, ROMEO, "<body>1</body>");
    settle(&mut scene, 1);
    get(&mut scene, ROMEO, "<body>2</body>");
    settle(&mut scene, 0);
    let ids = query(&mut scene, "").ids();
    scene.wait_millis(DAY_MILLIS + 1);
    assert_eq!((bodies(&mut scene).as_str(), stored(&scene)), ("2", 2));
    refused(&mut scene, &form(&[("ids", &ids[0])]), "item-not-found");
    refused(
        &mut scene,
        &form(&[("after-id", &ids[0])]),
        "item-not-found",
    );
    let metadata = "<iq type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/></iq>";
    let said = scene.sends("balcony", metadata).join(" ");
    assert!(said.contains(&format!("<start id='{}'", ids[1])), "{said}");
}

/// What waits for its reader is shown to him, however old it is, and handed to
/// one that finds it in the archive only if it is not.
#[test]
fn what_waits_is_never_lost() {
    for is_bind2 in [false, true] {
        let mut scene = keeping(2);
        get(&mut scene, ROMEO, "<body>old</body>");
        scene.wait_millis(3 * DAY_MILLIS);
        get(&mut scene, ROMEO, "<body>new</body>");
        match is_bind2 {
            true => drop(scene.bind2("balcony")),
            false => drop(scene.bind("balcony")),
        }
        assert_eq!(bodies(&mut scene), "old new");
        let said = scene.sends("balcony", "<presence/>").join(" ");
        assert!(said.contains("<body>old</body>"), "{said}");
        assert!(!said.contains("<body>new</body>"), "{said}");
    }
}

/// `starling user archive`: for one user other than for the host.
#[test]
fn an_operator_says_how_long_one_users_archive_is_kept() {
    let mut scene = with_messages(1);
    scene.sends("balcony", "<presence/>");
    settle(&mut scene, 10);
    get(&mut scene, ROMEO, "<body>2</body>");
    settle(&mut scene, 0);
    assert_eq!(bodies(&mut scene), "1 2");
    scene.notes(ARCHIVE_KEEP_DAYS, Some("5"));
    scene.alarms_ring();
    assert_eq!((bodies(&mut scene).as_str(), stored(&scene)), ("2", 1));
    scene.notes(ARCHIVE_KEEP_DAYS, Some("0"));
    settle(&mut scene, 100);
    assert_eq!(bodies(&mut scene), "2");

    let mut scene = keeping(5);
    scene.online("balcony");
    scene.notes(ARCHIVE_KEEP_DAYS, Some("0"));
    get(&mut scene, ROMEO, "<body>1</body>");
    settle(&mut scene, 100);
    assert_eq!(bodies(&mut scene), "1");
    scene.notes(ARCHIVE_KEEP_DAYS, None);
    assert_eq!(bodies(&mut scene), "");
}

/// For data protection: gone for its owner at once, and from the store in steps
/// that others need not wait for. What comes later is archived as ever.
#[test]
fn an_operator_erases_an_archive() {
    const MESSAGES: u32 = 1_200;
    let mut scene = with_messages(MESSAGES);
    scene.sends("balcony", "<presence/>");
    while !scene.drains("balcony").is_empty() {}
    settle(&mut scene, 0);
    let ids = query(&mut scene, "").ids();
    scene.notes(ARCHIVE_ERASED, Some("now"));
    assert_eq!(bodies(&mut scene), "");
    refused(&mut scene, &form(&[("ids", &ids[0])]), "item-not-found");
    assert!(stored(&scene) >= 500, "not all at once");
    get(&mut scene, ROMEO, "<body>new</body>");
    for _ in 0..5 {
        scene.alarms_ring();
    }
    assert_eq!((bodies(&mut scene).as_str(), stored(&scene)), ("new", 1));
    scene.reload();
    assert_eq!(bodies(&mut scene), "new");
}
