//! Stream management of one stream (XEP-0198): what its client was told of its
//! own stanzas and when it is told more, what it said of ours.

use starling_link::{Management, is_ahead};
use starling_xmpp::Element;
use tokio::time::{Duration, Instant};

use crate::features::sm;

/// A client that did not ask is told what is dealt with together with whatever
/// else there is to say, or when it is news of so many stanzas, or so old: a
/// record and a system call for each would cost as much as the message itself.
const TELL_STANZAS: u32 = 16;
const TELL_AFTER: Duration = Duration::from_millis(250);

/// Stream management is on.
pub(super) struct Managed {
    /// Where the counts of the client begin.
    received_base: u32,
    pub(super) sent_base: u32,
    /// Up to which number the client was told that it is dealt with.
    told: u32,
    /// The number of its last stanza when it asked, if it was not told of that
    /// one: it waits, and is told as soon as there is news.
    awaited: Option<u32>,
    /// When it is told although there is nothing else to say, and whether that
    /// time has come.
    pub(super) tell_at: Option<Instant>,
    is_telling_due: bool,
    /// Up to which number the client has what it was sent.
    pub(super) acked: u32,
    /// What was the last one sent when the client was asked, and when, if it
    /// has not answered yet.
    pub(super) asked: u32,
    pub(super) asked_at: Option<Instant>,
}

impl Managed {
    pub(super) fn new(management: &Management, committed: u32, acked: u32) -> Self {
        Self {
            received_base: management.received,
            sent_base: management.sent,
            told: committed,
            awaited: None,
            tell_at: None,
            is_telling_due: false,
            acked,
            asked: acked,
            asked_at: None,
        }
    }

    /// `<a/>` for a client that asks (XEP-0198 §4).
    pub(super) fn answer(&mut self, committed: u32, received: u32) -> Element {
        let answer = self.tell(committed);
        self.awaited = is_ahead(received, self.told).then_some(received);
        answer
    }

    /// `<a/>` for a client that did not, if it is time. One more element costs
    /// little if something is written anyway.
    pub(super) fn news(&mut self, committed: u32, is_writing: bool) -> Option<Element> {
        if !is_ahead(committed, self.told) {
            return None;
        }
        let is_much = committed.wrapping_sub(self.told) >= TELL_STANZAS;
        if is_writing || is_much || self.is_telling_due || self.awaited.is_some() {
            return Some(self.tell(committed));
        }
        let at = || Instant::now() + TELL_AFTER;
        self.tell_at.get_or_insert_with(at);
        None
    }

    /// Whether the client has not been told for long enough. It is so once.
    pub(super) fn is_telling_due(&mut self, now: Instant) -> bool {
        let is_due = self.tell_at.is_some_and(|at| now >= at);
        if is_due {
            self.tell_at = None;
            self.is_telling_due = true;
        }
        is_due
    }

    fn tell(&mut self, committed: u32) -> Element {
        // Everything before `<enable/>` does not count.
        if is_ahead(committed, self.told) {
            self.told = committed;
        }
        let told = self.told;
        self.awaited = self.awaited.filter(|awaited| is_ahead(*awaited, told));
        self.tell_at = None;
        self.is_telling_due = false;
        sm::answer(told.wrapping_sub(self.received_base))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn managed() -> Managed {
        let management = Management {
            received: 0,
            sent: 0,
            resumption: None,
        };
        Managed::new(&management, 0, 0)
    }

    fn h(answer: Option<Element>) -> Option<String> {
        Some(answer?.attribute("h").unwrap().to_owned())
    }

    #[test]
    fn a_client_that_asked_too_early_is_told_at_once() {
        let mut managed = managed();
        assert_eq!(h(Some(managed.answer(1, 3))).as_deref(), Some("1"));
        assert_eq!(h(managed.news(2, false)).as_deref(), Some("2"));
        assert_eq!(h(managed.news(3, false)).as_deref(), Some("3"));
        assert_eq!(h(managed.news(4, false)), None, "it did not ask for that");
    }

    #[test]
    fn a_client_that_did_not_ask_is_told_with_the_next_thing_said() {
        let mut managed = managed();
        assert_eq!(h(managed.news(1, false)), None);
        assert!(managed.tell_at.is_some());
        assert_eq!(h(managed.news(2, true)).as_deref(), Some("2"));
        assert_eq!(managed.tell_at, None);
        assert_eq!(h(managed.news(2, true)), None, "that is no news");
    }

    #[test]
    fn a_client_that_did_not_ask_is_told_when_it_is_much_or_late() {
        let mut managed = managed();
        assert_eq!(h(managed.news(TELL_STANZAS, false)).as_deref(), Some("16"));
        assert_eq!(h(managed.news(TELL_STANZAS + 1, false)), None);
        let due = managed.tell_at.unwrap();
        assert!(!managed.is_telling_due(due - Duration::from_millis(1)));
        assert!(managed.is_telling_due(due));
        assert!(!managed.is_telling_due(due), "once");
        assert_eq!(
            h(managed.news(TELL_STANZAS + 1, false)).as_deref(),
            Some("17")
        );
    }
}
