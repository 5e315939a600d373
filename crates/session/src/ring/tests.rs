//! What a ring promises, whatever becomes of its streams.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use starling_link::{Full, MessageId, SessionId};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Type};

use super::*;
use crate::Place;
use crate::outgoing::Logged;

/// A stream that takes so many stanzas.
struct Stream {
    stanzas: Mutex<Vec<String>>,
    stanzas_max: usize,
    closed: Mutex<Option<Close>>,
}

impl Stream {
    fn new(stanzas_max: usize) -> Arc<Self> {
        Arc::new(Self {
            stanzas: Mutex::default(),
            stanzas_max,
            closed: Mutex::default(),
        })
    }

    fn ids(&self) -> Vec<String> {
        self.stanzas.lock().unwrap().clone()
    }
}

impl Outlet for Stream {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        let mut stanzas = self.stanzas.lock().unwrap();
        if stanzas.len() >= self.stanzas_max {
            return Err(Full);
        }
        stanzas.push(stanza.head.id.as_deref().unwrap_or_default().to_owned());
        Ok(())
    }

    fn committed(&self, _number: u32) {}

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, why: Close) {
        self.closed.lock().unwrap().get_or_insert(why);
    }
}

fn continued(acked: u32, base: u32) -> Continued {
    Continued {
        acked,
        base,
        is_awaited: false,
    }
}

const BOUNDS: (usize, usize) = (100, 1_000_000);

fn ring(stream: &Arc<Stream>, is_managed: bool, bounds: (usize, usize)) -> Arc<Ring> {
    let key = SessionKey {
        account: BareJid::parse("juliet@example.com").unwrap(),
        id: SessionId(1),
    };
    Ring::new(key, Arc::clone(stream) as _, is_managed, bounds)
}

fn message(id: u32) -> Outgoing {
    Outgoing::new(Stanza::message(Type::Chat).id(id.to_string()), None)
}

fn logged(seq: u64) -> Outgoing {
    let place = Place {
        position: Position::new(1, seq),
        at: UnixMillis(0),
    };
    let logged = Logged {
        place,
        id: MessageId(0),
        is_archived: false,
    };
    let stanza = Stanza::message(Type::Chat).id(seq.to_string());
    Outgoing::new(stanza, Some(Box::new(logged)))
}

fn deliver(ring: &Ring, outgoing: Outgoing) {
    if let Some(position) = outgoing.position() {
        ring.announce(position);
    }
    assert!(matches!(ring.deliver(outgoing, None), Delivery::Taken));
}

fn ids(lost: &[Outgoing]) -> Vec<&str> {
    let ids = lost.iter().map(|lost| lost.stanza.head.id.as_deref());
    ids.map(Option::unwrap_or_default).collect()
}

/// XEP-0198 §5: what the client lacks is sent again, in order, before anything
/// new, and nothing of it twice.
#[test]
fn resuming_loses_nothing_and_repeats_nothing() {
    let (first, second) = (Stream::new(99), Stream::new(99));
    let ring = ring(&first, true, BOUNDS);
    for id in 1..=3 {
        deliver(&ring, message(id));
    }
    ring.detach();
    deliver(&ring, message(4));
    let numbers = ring.resume(2, Arc::clone(&second) as _);
    assert_eq!(numbers, Ok(continued(2, 0)));
    deliver(&ring, message(5));
    assert_eq!(first.ids(), ["1", "2", "3"]);
    assert_eq!(second.ids(), ["3", "4", "5"]);
}

/// §5: "the server SHOULD send a 'conflict' stream error and close that stream".
#[test]
fn a_stream_that_is_replaced_is_closed() {
    let (first, second) = (Stream::new(99), Stream::new(99));
    let ring = ring(&first, true, BOUNDS);
    assert!(ring.resume(0, Arc::clone(&second) as _).is_ok());
    assert_eq!(*first.closed.lock().unwrap(), Some(Close::Conflict));
    deliver(&ring, message(1));
    assert_eq!(
        (first.ids().len(), second.ids().len()),
        (0, 1),
        "the old stream gets nothing more"
    );
}

/// §4, §6: neither more than was sent nor less than was said before.
#[test]
fn a_count_that_cannot_be_is_refused() {
    let (first, second) = (Stream::new(99), Stream::new(99));
    let ring = ring(&first, true, BOUNDS);
    deliver(&ring, message(1));
    deliver(&ring, message(2));
    ring.acked(1);
    let resume = |h| ring.resume(h, Arc::clone(&second) as _);
    assert_eq!(resume(3), Err(Unresumable::TooHigh { sent: 2 }));
    assert_eq!(resume(0), Err(Unresumable::Forgotten));
    assert!(second.ids().is_empty());
    assert_eq!(resume(1), Ok(continued(1, 0)));
}

/// §4: the client counts from `<enabled/>` on.
#[test]
fn what_was_sent_before_management_does_not_count() {
    let (first, second) = (Stream::new(99), Stream::new(99));
    let ring = ring(&first, false, BOUNDS);
    deliver(&ring, message(1));
    ring.enable(0, None);
    deliver(&ring, message(2));
    deliver(&ring, message(3));
    assert_eq!(
        ring.resume(1, Arc::clone(&second) as _),
        Ok(continued(2, 1))
    );
    assert_eq!(second.ids(), ["3"]);
}

/// §4: after 2^32 - 1 comes 0.
#[test]
fn numbers_go_round() {
    let (first, second) = (Stream::new(99), Stream::new(99));
    let ring = ring(&first, true, BOUNDS);
    {
        let mut state = ring.lock();
        (state.base, state.sent, state.acked) = (u32::MAX - 9, u32::MAX - 1, u32::MAX - 1);
    }
    for id in 1..=4 {
        deliver(&ring, message(id));
    }
    assert_eq!(ring.sent(), 2);
    ring.acked(u32::MAX);
    // It has eight of before, and two more.
    assert_eq!(
        ring.resume(10, Arc::clone(&second) as _),
        Ok(continued(0, u32::MAX - 9))
    );
    assert_eq!(second.ids(), ["3", "4"]);
    ring.acked(2);
    assert_eq!(ids(&ring.end().0), NOTHING);
}

const NOTHING: [&str; 0] = [];

/// Without stream management only what would be lost is kept, and numbers
/// count all the same.
#[test]
fn only_what_would_be_lost_is_kept_for_nobody() {
    let stream = Stream::new(99);
    let ring = ring(&stream, false, BOUNDS);
    let plain = |stanza| Outgoing::new(stanza, None);
    deliver(&ring, plain(Stanza::presence(Type::Available)));
    deliver(&ring, message(2));
    deliver(&ring, plain(Stanza::iq(Type::Result, "3")));
    deliver(&ring, plain(Stanza::iq(Type::Get, "4")));
    deliver(
        &ring,
        Outgoing::dispensable(Stanza::message(Type::Chat).id("5")),
    );
    assert_eq!(ring.sent(), 5);
    ring.acked(1);
    assert_eq!(ids(&ring.end().0), ["2", "4"]);
    assert!(matches!(ring.deliver(message(6), None), Delivery::Over(_)));
}

/// Whoever waits for a page hears once that it has arrived.
#[test]
fn what_is_awaited_is_told_once() {
    let stream = Stream::new(99);
    let ring = ring(&stream, false, BOUNDS);
    deliver(&ring, message(1));
    ring.request_ack();
    assert!(!ring.acked(0).is_awaited);
    assert!(ring.acked(1).is_awaited);
    assert!(!ring.acked(1).is_awaited);
}

/// A client that comes back may say that it has what was awaited.
#[test]
fn what_is_awaited_is_told_with_a_resumption() {
    let (first, second) = (Stream::new(99), Stream::new(99));
    let ring = ring(&first, true, BOUNDS);
    deliver(&ring, message(1));
    ring.request_ack();
    ring.detach();
    let resumed = ring.resume(1, Arc::clone(&second) as _);
    assert!(resumed.unwrap().is_awaited);
    assert!(!ring.acked(1).is_awaited);
}

/// What waited for somebody to look may be too much for the stream.
#[test]
fn asking_ends_a_session_whose_stream_is_full() {
    let ring = ring(&Stream::new(0), true, BOUNDS);
    ring.hold(Some(|_| Hold::Wait));
    deliver(&ring, message(1));
    assert!(matches!(ring.request_ack(), Delivery::Overflowed));
    assert_eq!(ids(&ring.end().0), ["1"]);
}

/// The bounds end the session, and what was the one too many is not lost.
#[test]
fn a_full_ring_keeps_what_it_refused() {
    for (stanzas_max, bounds) in [(99, (2, 1_000_000)), (99, (99, 250)), (2, BOUNDS)] {
        let stream = Stream::new(stanzas_max);
        let ring = ring(&stream, true, bounds);
        deliver(&ring, message(1));
        deliver(&ring, message(2));
        assert!(matches!(
            ring.deliver(message(3), None),
            Delivery::Overflowed
        ));
        assert!(!ring.is_open());
        deliver(&ring, message(4));
        assert_eq!(ids(&ring.end().0), ["1", "2", "3", "4"], "{bounds:?}");
    }
}

/// The log has arrived up to the first place that has not, also while it is
/// being stored.
#[test]
fn the_floor_is_the_first_place_that_has_not_arrived() {
    let stream = Stream::new(99);
    let ring = ring(&stream, false, BOUNDS);
    assert_eq!(ring.floor(), None);
    deliver(&ring, logged(5));
    ring.announce(Position::new(1, 7));
    assert_eq!(ring.floor(), Some(Position::new(1, 5)));
    assert!(ring.acked(1).has_moved);
    assert_eq!(ring.floor(), Some(Position::new(1, 7)));
    let (lost, announced) = ring.end();
    assert_eq!((lost.len(), announced.len()), (0, 1));
    assert_eq!(ring.floor(), None);
}

/// XEP-0352 §5: what waits keeps its order, only the latest presence of a
/// sender is worth waiting, and whatever cannot wait takes the rest along.
#[test]
fn what_is_held_keeps_its_order_and_none_is_lost() {
    let stream = Stream::new(99);
    let ring = ring(&stream, true, BOUNDS);
    ring.hold(Some(|stanza| match stanza.head.kind {
        Kind::Presence => Hold::Replace,
        Kind::Message if stanza.head.type_ == Type::Headline => Hold::Wait,
        _ => Hold::Never,
    }));
    let presence = |id: &str| {
        let from = BareJid::parse("romeo@example.net").unwrap();
        let stanza = Stanza::presence(Type::Available).id(id).from(from);
        Outgoing::new(stanza, None)
    };
    let news = |id: &str| Outgoing::new(Stanza::message(Type::Headline).id(id), None);
    for outgoing in [presence("1"), news("2"), presence("3")] {
        deliver(&ring, outgoing);
    }
    assert_eq!((stream.ids().len(), ring.sent()), (0, 0));
    deliver(&ring, message(4));
    assert_eq!(stream.ids(), ["2", "3", "4"]);
    deliver(&ring, news("5"));
    ring.hold(None);
    deliver(&ring, presence("6"));
    assert_eq!(stream.ids(), ["2", "3", "4", "5", "6"]);
    ring.hold(Some(|_| Hold::Wait));
    deliver(&ring, news("7"));
    ring.acked(5);
    assert_eq!(ids(&ring.end().0), ["7"]);
}

/// What waits is bounded in bytes as well: the one too many takes all along, and
/// presence that replaces itself never adds up.
#[test]
fn what_is_held_is_bounded_in_bytes() {
    let large = |kind: Stanza| {
        let text = starling_xmpp::Element::new("jabber:client", "status");
        let from = BareJid::parse("romeo@example.net").unwrap();
        let text = text.text("x".repeat(held::HELD_BYTES_MAX / 4));
        Outgoing::new(kind.from(from).child(&text), None)
    };
    let stream = Stream::new(99);
    let ring = ring(&stream, true, BOUNDS);
    ring.hold(Some(|stanza| match stanza.head.kind {
        Kind::Presence => Hold::Replace,
        _ => Hold::Wait,
    }));
    for id in 1..=9 {
        deliver(
            &ring,
            large(Stanza::presence(Type::Available).id(id.to_string())),
        );
    }
    let news = |id: &str| large(Stanza::message(Type::Headline).id(id));
    deliver(&ring, news("10"));
    deliver(&ring, news("11"));
    assert!(stream.ids().is_empty(), "{:?}", stream.ids());
    deliver(&ring, news("12"));
    assert_eq!(stream.ids(), ["9", "10", "11", "12"]);
    deliver(&ring, news("13"));
    assert_eq!(stream.ids().len(), 4, "it begins anew");
}

/// DESIGN §12: an idle session is small, and what a stanza costs is one slot.
#[test]
fn an_idle_ring_is_small() {
    let sizes = (size_of::<Ring>(), size_of::<Slot>());
    assert!(sizes.0 <= 240 && sizes.1 <= 176, "{sizes:?}");
}
