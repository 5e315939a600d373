//! Each violation is found, and nothing is found where all is well.

#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use proptest::prelude::*;

use super::{Promise, judge, missing};
use crate::history::{Event, Message, Way, What};

const GRACE: u64 = 100;

/// Writes a history of client 1, in session 1, who writes to client 2.
#[derive(Default)]
struct Story(Vec<Event>);

impl Story {
    fn and(mut self, client: u32, session: u64, what: What) -> Self {
        let at = self.0.len() as u64 * 10;
        self.0.push(Event {
            at,
            client,
            session,
            what,
        });
        self
    }

    fn sent(self, number: u32) -> Self {
        self.and(1, 1, What::Sent(Some(message(number))))
    }

    fn acknowledged(self, h: u32) -> Self {
        self.and(1, 1, What::Acknowledged(h))
    }

    fn came(self, session: u64, number: u32, id: &str) -> Self {
        self.came_by(Way::Stream, session, number, id)
    }

    fn came_by(self, way: Way, session: u64, number: u32, id: &str) -> Self {
        let what = What::Received {
            message: message(number),
            way,
            stanza_id: (!id.is_empty()).then(|| id.to_owned()),
        };
        self.and(2, session, what)
    }

    fn settled(self) -> Self {
        self.and(2, 99, What::Settled)
    }

    fn breaks(&self) -> Vec<Promise> {
        let verdict = judge(&self.0, GRACE);
        let all = verdict.violations.iter();
        all.map(|violation| violation.promise).collect()
    }
}

/// Another device left without them: they come after what was said meanwhile.
#[test]
fn what_waited_for_another_device_may_come_late() {
    let told = |is_one_of_many: bool| {
        let uses = |client| (client, What::Uses { account: 2 });
        let mut story = Story::default();
        for (client, what) in [uses(2), uses(3)]
            .into_iter()
            .take(1 + usize::from(is_one_of_many))
        {
            story = story.and(client, 0, what);
        }
        let story = story.sent(1).sent(2).came(5, 2, "b");
        story.came_by(Way::Waited, 5, 1, "a").breaks()
    };
    assert_eq!(told(true), []);
    assert_eq!(told(false), [Promise::Order]);
}

fn message(number: u32) -> Message {
    Message {
        from: 1,
        to: 2,
        number,
    }
}

fn presence(of: &str, is_available: bool) -> What {
    What::Presence {
        of: of.to_owned(),
        is_available,
    }
}

fn bound(jid: &str) -> What {
    What::Bound {
        jid: jid.to_owned(),
    }
}

#[test]
fn a_clean_history_breaks_nothing() {
    let story = Story::default()
        .and(1, 1, What::Sent(None))
        .sent(1)
        .sent(2)
        .acknowledged(2)
        .came(5, 1, "a")
        .came(5, 2, "b")
        .and(1, 1, What::Resumed(3))
        .came_by(Way::Archive, 5, 1, "a")
        .settled();
    assert_eq!(story.breaks(), []);
    let verdict = judge(&story.0, GRACE);
    let counts = (verdict.sent, verdict.acknowledged, verdict.received);
    assert_eq!(counts, (2, 2, 2));
}

#[test]
fn a_loss_is_found_once_its_reader_has_settled() {
    let story = Story::default().sent(1).sent(2).acknowledged(1);
    assert_eq!(missing(&story.0), 1);
    assert_eq!(judge(&story.0, GRACE).undecided, 1);
    assert_eq!(story.settled().breaks(), [Promise::NoLoss]);
}

#[test]
fn what_a_failed_resumption_counts_is_acknowledged() {
    let story = Story::default().sent(1).and(1, 1, What::Failed(Some(1)));
    assert_eq!(story.settled().breaks(), [Promise::NoLoss]);
    let story = Story::default().sent(1).and(1, 1, What::Failed(None));
    assert_eq!(story.settled().breaks(), []);
}

#[test]
fn what_was_refused_is_not_lost() {
    let story = Story::default().sent(1).acknowledged(1);
    let story = story.and(1, 1, What::Refused(message(1))).settled();
    assert_eq!(story.breaks(), []);
    assert_eq!(judge(&story.0, GRACE).refused, 1);
}

#[test]
fn duplicates_are_found_and_repetitions_are_counted() {
    let first = || Story::default().sent(1).came(5, 1, "a");
    assert_eq!(first().came(5, 1, "a").breaks(), [Promise::NoDuplicate]);
    assert_eq!(first().came(6, 1, "b").breaks(), [Promise::NoDuplicate]);
    assert_eq!(first().came(6, 1, "").breaks(), [Promise::NoDuplicate]);
    let again = first().came(6, 1, "a");
    assert_eq!(again.breaks(), []);
    assert_eq!(judge(&again.0, GRACE).repeated, 1);
}

#[test]
fn a_change_of_order_is_found() {
    let story = Story::default().sent(1).sent(2).came(5, 2, "b");
    assert_eq!(story.came(6, 1, "a").breaks(), [Promise::Order]);
    // What comes again is out of order by its nature.
    let story = Story::default().came(5, 1, "a").came(5, 2, "b");
    assert_eq!(story.came(6, 1, "a").came(6, 2, "b").breaks(), []);
}

/// XEP-0280: each device has each message once, one way or the other; and what
/// another device sent.
#[test]
fn every_device_of_an_account_is_asked() {
    let devices = || {
        Story::default()
            .and(2, 0, What::Uses { account: 2 })
            .and(3, 0, What::Uses { account: 2 })
            .and(2, 5, bound("b@x/2"))
            .and(3, 6, bound("b@x/3"))
            .sent(1)
            .acknowledged(1)
            .came(5, 1, "a")
    };
    let copy = |story: Story, session, from, to| {
        let what = What::Received {
            message: Message {
                from,
                to,
                number: 1,
            },
            way: Way::Carbon,
            stanza_id: Some("a".to_owned()),
        };
        story.and(3, session, what)
    };
    let all = copy(devices(), 6, 1, 2);
    assert_eq!(all.breaks(), []);
    assert_eq!(copy(all, 6, 1, 2).breaks(), [Promise::NoDuplicate]);
    assert_eq!(copy(devices(), 6, 2, 1).breaks(), []);
    assert_eq!(copy(devices(), 6, 1, 1).breaks(), [Promise::NoDuplicate]);
    // Without an archive nobody can give it what it was not there for.
    let settled = || devices().and(3, 6, What::Settled).settled();
    assert_eq!(settled().breaks(), []);
    let story = settled().and(3, 6, What::HasArchive);
    assert_eq!(story.breaks(), [Promise::NoLoss]);
    assert_eq!(missing(&story.0), 1);
}

#[test]
fn what_comes_to_a_device_that_was_not_there_is_not_out_of_order() {
    let story = Story::default()
        .and(2, 0, What::Uses { account: 2 })
        .and(3, 0, What::Uses { account: 2 })
        .sent(1)
        .sent(2)
        .came(5, 1, "a")
        .and(3, 6, bound("b@x/3"));
    let came = |story: Story, number, id: &str| {
        let what = What::Received {
            message: message(number),
            way: Way::Stream,
            stanza_id: Some(id.to_owned()),
        };
        story.and(3, 6, what)
    };
    let story = came(came(story, 2, "b"), 1, "a");
    assert_eq!(story.breaks(), []);
}

#[test]
fn an_id_that_changes_is_found() {
    let story = Story::default().sent(1).came(5, 1, "a");
    let story = story.came_by(Way::Archive, 5, 1, "b");
    assert_eq!(story.breaks(), [Promise::StableId]);
}

#[test]
fn a_dishonest_h_is_found() {
    let story = Story::default().sent(1).acknowledged(2);
    assert_eq!(story.breaks(), [Promise::HonestH]);
    let story = Story::default().sent(1).sent(2).acknowledged(2);
    assert_eq!(story.acknowledged(1).breaks(), [Promise::HonestH]);
}

#[test]
fn a_ghost_is_found_after_the_grace() {
    let mut story = Story::default()
        .and(1, 1, bound("a@x/r"))
        .and(2, 2, bound("b@x/r"))
        .and(2, 2, presence("a@x/r", true))
        .and(1, 1, What::Broke)
        .settled();
    assert_eq!(story.breaks(), []);
    story.0.last_mut().unwrap().at += GRACE;
    assert_eq!(story.breaks(), [Promise::NoGhost]);
    let back = story.0.clone();
    story = story.and(2, 2, presence("a@x/r", false));
    assert_eq!(story.breaks(), []);
    let story = Story(back).and(1, 1, What::Resumed(0));
    assert_eq!(story.breaks(), []);
}

#[test]
fn the_story_of_a_violation_shows_its_message() {
    let story = Story::default().sent(1).sent(2).acknowledged(2);
    let story = story.came(5, 2, "b").settled();
    let verdict = judge(&story.0, GRACE);
    let shown = verdict.violations[0].story(&story.0, 20);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].what, What::Sent(Some(message(1))));
}

proptest! {
    /// Any run of an honest server breaks nothing, whatever of it was
    /// acknowledged; and leaving out, repeating or moving any delivery of it
    /// breaks exactly the promise about that.
    #[test]
    fn one_false_delivery_is_one_violation(
        count in 2_u32..40,
        victim in 0_u32..39,
        acknowledged in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let victim = victim % (count - 1);
        let tell = |deliveries: &[u32]| {
            let mut story = Story::default();
            for number in 0..count {
                story = story.sent(number);
                if acknowledged[number as usize] || number + 1 == count {
                    story = story.acknowledged(number + 1);
                }
            }
            for number in deliveries {
                story = story.came(5, *number, &number.to_string());
            }
            story.settled().breaks()
        };
        let all: Vec<u32> = (0..count).collect();
        prop_assert_eq!(tell(&all), []);
        let mut swallowed = all.clone();
        swallowed.remove(victim as usize);
        prop_assert_eq!(tell(&swallowed), [Promise::NoLoss]);
        let mut repeated = all.clone();
        repeated.insert(victim as usize, victim);
        prop_assert_eq!(tell(&repeated), [Promise::NoDuplicate]);
        let mut swapped = all;
        swapped.swap(victim as usize, victim as usize + 1);
        prop_assert_eq!(tell(&swapped), [Promise::Order]);
    }
}
