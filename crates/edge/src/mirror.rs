//! What an edge keeps of the stanzas to one client, so that its session can go
//! on at another node: how many there were, which the client has not
//! acknowledged, and what the session said of itself.
//!
//! Only kept where an account's node may change under its clients. A stanza
//! that is in the account's log is kept as its place there.

use std::collections::VecDeque;

use bytes::{BufMut as _, Bytes, BytesMut};
use starling_link::{Body, Downstream, LogPlace, Note, Unacknowledged, is_ahead};
use starling_xmpp::ns;

/// Stanzas that are in no log, and their bytes. Of more the oldest are let go
/// of: the session goes on without them, but its client cannot resume it if it
/// turns out not to have them.
const WHOLE_STANZAS_MAX: usize = 256;
const WHOLE_BYTES_MAX: usize = 131_072;

/// Stanzas that are in the log. With more the session cannot move: its client
/// is closed, and finds them there.
const LOGGED_STANZAS_MAX: usize = 4_096;

/// Places of the last stanzas, acknowledged or not: as many as an account may
/// have delivered since it last wrote down how far it is, and a page of what
/// waited.
const SEEN_MAX: usize = 64;

/// The stanzas to one client.
#[derive(Default)]
pub(crate) struct Mirror {
    /// The number of the last stanza before this stream.
    start: u32,
    /// Stanzas since then.
    count: u32,
    /// The last one that the client is known to have.
    acked: u32,
    /// Where the client began to count.
    base: Option<u32>,
    /// It is not known yet whether the client counts.
    is_established: bool,
    logged: VecDeque<(u32, LogPlace)>,
    whole: VecDeque<(u32, Bytes)>,
    whole_bytes: usize,
    gone_through: Option<u32>,
    seen: VecDeque<LogPlace>,
    seen_through: Option<LogPlace>,
    summary: Option<Bytes>,
    is_overflowed: bool,
}

impl Mirror {
    /// The stream has its session: numbers begin after this one, and the client
    /// counts from a base, if it does.
    pub(crate) fn begin(&mut self, acked: u32, base: Option<u32>) {
        let shift = |number: &mut u32| *number = number.wrapping_add(acked);
        self.start = acked;
        self.acked = acked;
        self.logged.iter_mut().for_each(|(number, _)| shift(number));
        self.whole.iter_mut().for_each(|(number, _)| shift(number));
        self.gone_through.iter_mut().for_each(shift);
        // What was enabled since is known better here.
        self.base = self.base.or(base);
        self.is_established = true;
        if self.base.is_none() {
            self.drop_whole();
        }
    }

    /// A stanza, as it was written, is on its way to the client.
    pub(crate) fn deliver(&mut self, written: &[u8], note: &Note<'_>) {
        self.count = self.count.wrapping_add(1);
        let number = self.sent();
        if let Some(place) = note.place {
            self.see(place);
            if !note.is_copy {
                if self.logged.len() >= LOGGED_STANZAS_MAX {
                    self.is_overflowed = true;
                    return;
                }
                return self.logged.push_back((number, place));
            }
        }
        // Who does not count cannot ask for it again.
        if self.base.is_some() || !self.is_established {
            self.whole_bytes += written.len();
            self.whole
                .push_back((number, Bytes::copy_from_slice(written)));
            while self.whole.len() > WHOLE_STANZAS_MAX || self.whole_bytes > WHOLE_BYTES_MAX {
                self.gone_through = self.drop_oldest();
            }
        }
    }

    /// Stream management is on.
    pub(crate) fn enabled(&mut self, base: u32) {
        self.base = Some(base);
    }

    /// The session says what it is like.
    pub(crate) fn remember(&mut self, summary: Bytes) {
        self.summary = Some(summary);
    }

    /// The client has everything up to a number.
    pub(crate) fn acknowledged(&mut self, acked: u32) {
        self.acked = acked;
        let is_due = |number: u32| !is_ahead(number, acked);
        while self.logged.front().is_some_and(|(n, _)| is_due(*n)) {
            self.logged.pop_front();
        }
        while self.whole.front().is_some_and(|(n, _)| is_due(*n)) {
            self.drop_oldest();
        }
        if self.gone_through.is_some_and(is_due) {
            self.gone_through = None;
        }
        if self.logged.is_empty() && self.whole.is_empty() {
            // An idle connection holds no memory for it.
            (self.logged, self.whole) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// What another node needs to go on from here, with the session's summary;
    /// `None` if it cannot.
    pub(crate) fn snapshot(&self) -> Option<(Bytes, Downstream)> {
        let summary = self.summary.clone().filter(|_| !self.is_overflowed)?;
        let one = |number, body| Unacknowledged { number, body };
        let logged = self.logged.iter();
        let mut unacknowledged: Vec<_> = logged
            .map(|(number, place)| one(*number, Body::Logged(*place)))
            .chain(
                self.whole
                    .iter()
                    .map(|(n, written)| one(*n, Body::Whole(alone(written)))),
            )
            .chain(self.gone_through.map(|number| one(number, Body::Gone)))
            .collect();
        unacknowledged.sort_by_key(|one| one.number.wrapping_sub(self.acked));
        let downstream = Downstream {
            base: self.base,
            sent: self.sent(),
            acked: self.acked,
            unacknowledged,
            seen: self.seen.iter().copied().collect(),
            seen_through: self.seen_through,
        };
        Some((summary, downstream))
    }

    /// Whether another node can go on from here.
    pub(crate) fn is_whole(&self) -> bool {
        self.summary.is_some() && !self.is_overflowed
    }

    fn sent(&self) -> u32 {
        self.start.wrapping_add(self.count)
    }

    fn see(&mut self, place: LogPlace) {
        if self.seen.len() >= SEEN_MAX {
            let forgotten = self.seen.pop_front();
            self.seen_through = self.seen_through.max(forgotten);
        }
        self.seen.push_back(place);
    }

    fn drop_oldest(&mut self) -> Option<u32> {
        let (number, written) = self.whole.pop_front()?;
        self.whole_bytes -= written.len();
        Some(number)
    }

    fn drop_whole(&mut self) {
        self.whole = VecDeque::new();
        self.whole_bytes = 0;
        self.gone_through = None;
    }
}

/// A stanza of a stream, standing alone: with the namespace that it had from
/// the stream.
fn alone(written: &[u8]) -> Bytes {
    let is_end = |byte: &u8| matches!(byte, b' ' | b'/' | b'>');
    let name_end = written.iter().position(is_end).unwrap_or(written.len());
    let (name, rest) = written.split_at(name_end);
    let mut out = BytesMut::with_capacity(written.len() + ns::CLIENT.len() + 9);
    out.put_slice(name);
    out.put_slice(b" xmlns='");
    out.put_slice(ns::CLIENT.as_bytes());
    out.put_slice(b"'");
    out.put_slice(rest);
    out.freeze()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn at(seq: u64) -> Note<'static> {
        Note {
            place: Some(LogPlace { epoch: 1, seq }),
            ..Note::default()
        }
    }

    fn mirror() -> Mirror {
        let mut mirror = Mirror::default();
        mirror.remember(Bytes::from_static(b"s"));
        mirror
    }

    fn downstream(mirror: &Mirror) -> Downstream {
        mirror.snapshot().unwrap().1
    }

    #[test]
    fn what_is_acknowledged_is_not_kept_and_numbers_follow_the_stream_before() {
        let mut mirror = mirror();
        // What a resumption replays comes before its answer.
        mirror.deliver(b"<iq/>", &Note::default());
        mirror.deliver(b"<message/>", &at(7));
        mirror.begin(u32::MAX - 1, Some(0));
        mirror.deliver(b"<iq id='2'/>", &Note::default());
        let all = downstream(&mirror);
        let numbers: Vec<_> = all.unacknowledged.iter().map(|one| one.number).collect();
        assert_eq!(numbers, [u32::MAX, 0, 1]);
        assert_eq!((all.sent, all.acked, all.base), (1, u32::MAX - 1, Some(0)));
        mirror.acknowledged(0);
        let rest = downstream(&mirror);
        let whole = Bytes::from_static(b"<iq xmlns='jabber:client' id='2'/>");
        let expected = Unacknowledged {
            number: 1,
            body: Body::Whole(whole),
        };
        assert_eq!(rest.unacknowledged, [expected]);
        assert_eq!(rest.seen, [LogPlace { epoch: 1, seq: 7 }]);
    }

    #[test]
    fn a_client_that_does_not_count_is_kept_only_what_is_in_the_log() {
        let mut mirror = mirror();
        mirror.begin(0, None);
        mirror.deliver(b"<presence/>", &Note::default());
        mirror.deliver(b"<message/>", &at(1));
        let found = downstream(&mirror).unacknowledged;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].number, 2);
    }

    #[test]
    fn of_too_much_the_oldest_is_gone_and_said_to_be() {
        let mut mirror = mirror();
        mirror.begin(0, Some(0));
        let long = vec![b'x'; WHOLE_BYTES_MAX / 2];
        for _ in 0..4 {
            mirror.deliver(&long, &Note::default());
        }
        let found = downstream(&mirror).unacknowledged;
        assert_eq!(found[0].body, Body::Gone);
        assert_eq!((found[0].number, found.len()), (2, 3));
        mirror.acknowledged(2);
        assert_eq!(downstream(&mirror).unacknowledged[0].number, 3);
        for seq in 0..10_000 {
            mirror.deliver(b"<message/>", &at(seq));
        }
        assert!(
            mirror.snapshot().is_none(),
            "nothing is said to be there that is not"
        );
    }

    #[test]
    fn a_place_that_is_forgotten_is_before_those_that_are_not() {
        let mut mirror = mirror();
        mirror.begin(0, None);
        for seq in 0..100 {
            mirror.deliver(b"<message/>", &at(seq));
            mirror.acknowledged(u32::try_from(seq).unwrap() + 1);
        }
        let found = downstream(&mirror);
        assert_eq!(found.seen.len(), SEEN_MAX);
        let last = LogPlace { epoch: 1, seq: 35 };
        assert_eq!(found.seen_through, Some(last));
    }

    #[test]
    fn a_session_that_said_nothing_of_itself_cannot_move() {
        assert!(Mirror::default().snapshot().is_none());
    }
}
