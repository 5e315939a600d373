//! What waits, in the log: how much of it at a time, and for how long.

use futures_util::FutureExt as _;
use starling_session::testing::Scene;
use starling_store::archive::{self, Entry, Query, TALLY_ENTRIES_MAX};

use super::super::Config;
use super::super::flush::PAGE_BYTES_MAX;
use super::{NOTHING, bodies, get, waiting};
use crate::testing::{juliet, juliet_with, only};

/// What is in the log.
pub(super) fn log(scene: &Scene) -> Vec<Entry> {
    let (store, owner) = (&scene.env().store, &scene.account().jid);
    let all = Query::before(None, usize::MAX);
    let page = archive::Read::archive_page(store.as_ref(), owner, &all);
    page.now_or_never().unwrap().unwrap()
}

/// Juliet at a server that archives nothing.
pub(super) fn without_archive() -> Scene {
    let mut config = crate::Config::default();
    config.archive.default = crate::mam::Scope::Never;
    juliet_with(&config)
}

/// A page that overflowed its client's queue ended the session, again and
/// again: seventeen large messages locked a user out for good.
#[test]
fn a_page_is_bounded_in_octets() {
    let mut scene = juliet();
    let large = "x".repeat(PAGE_BYTES_MAX / 2 - 1_000);
    for number in 0..5 {
        get(&mut scene, &format!("{number}{large}"));
    }
    let mut said = scene.bind_and_send("balcony", "<presence/>");
    for (page, left) in [(2, 5), (2, 3), (1, 1), (0, 0)] {
        assert_eq!((bodies(&said).len(), waiting(&scene)), (page, left));
        said = scene.drains("balcony");
    }
    assert_eq!(scene.account().offline.bytes, 0);
}

/// The same: one message that is larger than a page is a page.
#[test]
fn a_page_has_at_least_one_message() {
    let mut scene = juliet();
    let huge = "x".repeat(PAGE_BYTES_MAX + 1);
    get(&mut scene, &huge);
    get(&mut scene, &huge);
    assert_eq!(
        bodies(&scene.bind_and_send("balcony", "<presence/>")).len(),
        1
    );
    assert_eq!(bodies(&scene.drains("balcony")).len(), 1);
    scene.drains("balcony");
    assert_eq!(waiting(&scene), 0);
}

/// A session that dies in the middle of a page that was cut short gets no less
/// and no more than it was not written.
#[test]
fn a_short_page_counts_for_what_it_is() {
    let mut scene = juliet();
    let large = "x".repeat(PAGE_BYTES_MAX / 2 - 1_000);
    for _ in 0..3 {
        get(&mut scene, &large);
    }
    scene.bind_and_send("balcony", "<presence/>");
    scene.drains("balcony");
    scene.loses("balcony");
    let counted = scene.account().offline;
    scene.reload();
    assert_eq!(scene.account().offline, counted, "as the store counts");
    assert_eq!(counted.entries, 1);
}

/// The log of everybody grew for ever.
#[test]
fn what_was_delivered_leaves_the_log() {
    let mut scene = without_archive();
    get(&mut scene, "1");
    get(&mut scene, "2");
    scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(log(&scene).len(), 2, "not written to the client yet");
    scene.loses("balcony");
    assert_eq!(log(&scene).len(), 2);
    scene.bind_and_send("balcony", "<presence/>");
    get(&mut scene, "3");
    assert_eq!(bodies(&scene.drains("balcony")), ["balcony 3"]);
    assert_eq!(log(&scene).len(), 1, "the last waits for its page");
    assert_eq!(scene.drains("balcony"), NOTHING);
    assert_eq!(log(&scene), []);
}

/// An emptied log does not say where it ended; the cursor does. A message that
/// got a place before it would wait for nobody.
#[test]
fn an_emptied_log_goes_on_behind_its_cursor() {
    let mut scene = juliet();
    get(&mut scene, "1");
    scene.bind_and_send("balcony", "<presence/>");
    scene.drains("balcony");
    scene.reload();
    scene.wait_millis(-3_600_000);
    get(&mut scene, "2");
    scene.reload();
    assert_eq!(waiting(&scene), 1);
    assert_eq!(
        bodies(&scene.bind_and_send("balcony", "<presence/>")),
        ["balcony 2"]
    );
}

/// XEP-0160 §2: large messages fill a quota as well as many do, and what is
/// delivered makes room.
#[test]
fn a_full_queue_in_octets_is_an_error() {
    let bytes_max = 1_000;
    let mut scene = juliet_with(&crate::Config {
        offline: Config {
            bytes_max,
            ..Config::default()
        },
        ..crate::Config::default()
    });
    let body = "x".repeat(600);
    assert_eq!(get(&mut scene, &body), NOTHING);
    let refused = only(get(&mut scene, &body));
    assert!(refused.contains("<service-unavailable "), "{refused}");
    scene.bind_and_send("balcony", "<presence/>");
    scene.drains("balcony");
    scene.loses("balcony");
    assert_eq!(scene.account().offline.bytes, 0);
    assert_eq!(get(&mut scene, &body), NOTHING);
}

/// More messages than a tally counts would be forgotten at a restart.
#[test]
fn the_quota_is_within_what_is_counted() {
    let schema = schemars::schema_for!(Config).to_value();
    let maximum = &schema["properties"]["messages_max"]["maximum"];
    assert_eq!(maximum.as_u64(), Some(TALLY_ENTRIES_MAX), "{schema}");
    assert!(Config::default().messages_max <= TALLY_ENTRIES_MAX);
}
