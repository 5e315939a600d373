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

/// A client that asks about what is just being dealt with is answered once that
/// is done, or so much later: one `<a/>` that says what it wants to hear instead
/// of one that does not and another behind it. XEP-0198 §4 lets an answer wait
/// for nothing but a time, so this is the longest it does.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

/// A client is asked with the first stanza after a pause, and again when it has
/// been sent so many more, or so much, or after so long, with the next stanza or
/// without one. It is well below what may be unacknowledged
/// (`session.unacknowledged_stanzas_max`, `…_bytes_max`) or is mirrored.
/// Each question is answered by a write of the client, a read here and a word to
/// the session: one for each of many stanzas would nearly double what a short
/// message costs.
const ASK_STANZAS: u32 = 16;
const ASK_BYTES: usize = 16 * 1024;
const ASK_AFTER: Duration = Duration::from_millis(250);

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
    /// It asked, and nothing was said since.
    is_answer_owed: bool,
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
    /// When it was asked last, and about how much it was sent since.
    asked_last: Option<Instant>,
    unasked_bytes: usize,
}

impl Managed {
    pub(super) fn new(management: &Management, committed: u32, acked: u32) -> Self {
        Self {
            received_base: management.received,
            sent_base: management.sent,
            told: committed,
            awaited: None,
            is_answer_owed: false,
            tell_at: None,
            is_telling_due: false,
            acked,
            asked: acked,
            asked_at: None,
            asked_last: None,
            unasked_bytes: 0,
        }
    }

    /// Stanzas are on their way to it.
    pub(super) fn send(&mut self, bytes: usize) {
        self.unasked_bytes += bytes;
    }

    /// Whether there is something to ask about, the last stanza to it being
    /// `sent`, and no other question that it has not answered.
    pub(super) fn is_unasked(&self, sent: u32) -> bool {
        self.asked_at.is_none() && is_ahead(sent, self.asked)
    }

    /// When it is to be asked about that. `None`: at once.
    pub(super) fn asks_at(&self, sent: u32) -> Option<Instant> {
        let is_many = sent.wrapping_sub(self.asked) >= ASK_STANZAS;
        let is_much = is_many || self.unasked_bytes >= ASK_BYTES;
        let last = self.asked_last.filter(|_| !is_much);
        last.map(|last| last + ASK_AFTER)
    }

    /// It is asked.
    pub(super) fn ask(&mut self, sent: u32, now: Instant) {
        self.asked = sent;
        self.asked_at = Some(now);
        self.asked_last = self.asked_at;
        self.unasked_bytes = 0;
    }

    /// `<a/>` for a client that asks (XEP-0198 §4), unless what it asks about is
    /// being dealt with: then [`Managed::news`] gives the answer.
    pub(super) fn answer(&mut self, committed: u32, received: u32) -> Option<Element> {
        let is_open = is_ahead(received, committed) && is_ahead(received, self.told);
        if !is_open {
            return Some(self.tell(committed));
        }
        self.awaited = Some(received);
        self.is_answer_owed = true;
        self.tell_within(ANSWER_WITHIN);
        None
    }

    /// `<a/>` for a client that did not ask, or has not been answered, if it is
    /// time. One more element costs little if something is written anyway.
    pub(super) fn news(&mut self, committed: u32, is_writing: bool) -> Option<Element> {
        if !is_ahead(committed, self.told) {
            let is_answer_due = self.is_answer_owed && self.is_telling_due;
            return is_answer_due.then(|| self.tell(committed));
        }
        let is_much = committed.wrapping_sub(self.told) >= TELL_STANZAS;
        if is_writing || is_much || self.is_telling_due || self.awaited.is_some() {
            return Some(self.tell(committed));
        }
        self.tell_within(TELL_AFTER);
        None
    }

    /// `<a/>` for a client that hears no more of this stream, if there is one.
    pub(super) fn last(&mut self, committed: u32) -> Option<Element> {
        self.is_telling_due = true;
        self.news(committed, true)
    }

    fn tell_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.tell_at = Some(self.tell_at.map_or(at, |known| known.min(at)));
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
        self.is_answer_owed = false;
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
    fn a_client_that_is_sent_much_is_not_asked_about_each_stanza() {
        let (mut managed, now) = (managed(), Instant::now());
        assert!(!managed.is_unasked(0), "there is nothing to ask");
        assert!(managed.is_unasked(1));
        assert_eq!(managed.asks_at(1), None, "the first one");
        managed.ask(1, now);
        assert!(!managed.is_unasked(100), "one question at a time");
        managed.asked_at = None;
        assert!(!managed.is_unasked(1) && managed.is_unasked(2));
        assert_eq!(managed.asks_at(2), Some(now + ASK_AFTER));
        assert_eq!(managed.asks_at(ASK_STANZAS), Some(now + ASK_AFTER));
        assert_eq!(managed.asks_at(1 + ASK_STANZAS), None, "so many");
        managed.send(ASK_BYTES);
        assert_eq!(managed.asks_at(2), None, "or so much");
        managed.ask(2, now);
        managed.asked_at = None;
        assert_eq!(managed.asks_at(3), Some(now + ASK_AFTER));
    }

    /// XEP-0198 §4 counts from `<enable/>` on: what came before is not waited for.
    #[test]
    fn what_came_before_it_was_enabled_is_not_waited_for() {
        let management = Management {
            received: 1,
            sent: 0,
            resumption: None,
        };
        let mut managed = Managed::new(&management, 1, 0);
        assert_eq!(h(managed.answer(0, 1)).as_deref(), Some("0"));
        assert_eq!(h(managed.answer(0, 2)), None);
        assert_eq!(h(managed.news(2, false)).as_deref(), Some("1"));
    }

    #[test]
    fn a_client_that_asks_about_what_is_dealt_with_is_answered_at_once() {
        let mut managed = managed();
        assert_eq!(h(managed.answer(2, 2)).as_deref(), Some("2"));
        assert_eq!(h(managed.answer(2, 2)).as_deref(), Some("2"), "each time");
        assert_eq!(managed.tell_at, None);
    }

    #[test]
    fn a_client_that_asks_too_early_is_answered_once_there_is_news() {
        let mut managed = managed();
        assert_eq!(h(managed.answer(0, 3)), None);
        assert_eq!(h(managed.news(1, false)).as_deref(), Some("1"));
        assert_eq!(h(managed.news(3, false)).as_deref(), Some("3"));
        assert_eq!(managed.tell_at, None, "and not a second time");
        assert_eq!(h(managed.news(4, false)), None, "it did not ask for that");
    }

    #[test]
    fn no_answer_waits_for_more_than_a_time() {
        let mut managed = managed();
        assert_eq!(h(managed.answer(0, 1)), None);
        let due = managed.tell_at.unwrap();
        assert!(due <= Instant::now() + ANSWER_WITHIN);
        assert_eq!(h(managed.news(0, true)), None, "it may be any moment");
        assert!(managed.is_telling_due(due));
        assert_eq!(h(managed.news(0, false)).as_deref(), Some("0"));
        assert_eq!(h(managed.news(0, true)), None, "once");
        assert_eq!(h(managed.news(1, false)).as_deref(), Some("1"), "still");
    }

    #[test]
    fn what_was_put_off_for_longer_is_said_sooner_to_who_asks() {
        let mut managed = managed();
        let later = Instant::now() + Duration::from_hours(1);
        managed.tell_at = Some(later);
        assert_eq!(h(managed.answer(1, 2)), None);
        assert!(managed.tell_at.unwrap() < later);
    }

    #[test]
    fn a_client_that_goes_is_answered_before() {
        let mut managed = managed();
        assert_eq!(h(managed.last(0)), None, "it did not ask");
        assert_eq!(h(managed.answer(0, 1)), None);
        assert_eq!(h(managed.last(0)).as_deref(), Some("0"));
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
