//! What a connection knows of stanzas that arrived: those of the client, which
//! its session has dealt with, and those for the client, which it has.
//!
//! With stream management (XEP-0198) the client says so itself and is told.
//! Without, what was written to its socket counts as arrived: nobody knows
//! better.

mod managed;

use bytes::BytesMut;
use starling_link::{Frame, Management, is_ahead};
use starling_xmpp::stream::StreamCondition;
use starling_xmpp::{Condition, Element, ns};
use tokio::time::{Duration, Instant};

use super::Connection;
use crate::close::Ending;
use crate::features::sm;
use crate::outlet::Taken;
use managed::Managed;

/// Without stream management the session hears of what was written when it is
/// so many stanzas, or so old: a frame for each would cost more than it tells.
const REPORT_STANZAS: u32 = 64;
const REPORT_AFTER: Duration = Duration::from_millis(500);

/// What `<r/>` or `<a/>` takes.
const NONZA_BYTES: usize = 64;

/// A client that answers `<r/>` but has not handled everything is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is known of stanzas to the client, by number.
#[derive(Default)]
pub(super) struct Acks {
    /// The last one taken from the session.
    pub(super) sent: u32,
    /// The last one that is written to the socket.
    written: u32,
    /// The last one that the session knows to have arrived.
    reported: u32,
    /// When it is to be told more, or the client to be asked.
    pub(super) due: Option<Instant>,
    /// The session waits to be told.
    is_requested: bool,
    /// `<enable/>` is on its way to the session.
    is_enabling: bool,
    /// An `<r/>` came before `<enabled/>` could be sent.
    is_asked_early: bool,
    managed: Option<Box<Managed>>,
}

impl Acks {
    /// Of a session that had a stream before, or has none yet.
    pub(super) fn new(acked: u32, committed: u32, management: Option<Management>) -> Self {
        let managed = management.map(|of| Managed::new(&of, committed, acked));
        Self {
            sent: acked,
            written: acked,
            reported: acked,
            managed: managed.map(Box::new),
            ..Self::default()
        }
    }

    pub(super) fn is_managed(&self) -> bool {
        self.managed.is_some()
    }

    /// The last one known to have arrived.
    fn arrived(&self) -> u32 {
        self.managed.as_ref().map_or(self.written, |of| of.acked)
    }

    /// Management that begins on this stream. What came before `<enabled/>` has
    /// arrived once it is written.
    fn enabled(&self, management: &Management) -> Box<Managed> {
        let mut managed = Managed::new(management, management.received, self.written);
        managed.asked = management.sent;
        Box::new(managed)
    }

    /// Everything taken so far is written.
    fn flushed(&mut self) {
        self.written = self.sent;
        // The client counts what came behind `<enabled/>`, and only that.
        if let Some(managed) = &mut self.managed
            && is_ahead(managed.sent_base, managed.acked)
        {
            managed.acked = managed.sent_base;
        }
    }

    /// When the client was asked, if it owes an answer.
    pub(super) fn asked_at(&self) -> Option<Instant> {
        self.managed.as_ref()?.asked_at
    }

    /// It may have answered: we did not look.
    pub(super) fn excuse(&mut self, now: Instant) {
        if let Some(asked_at) = self.managed.as_mut().and_then(|of| of.asked_at.as_mut()) {
            *asked_at = now;
        }
    }

    /// When the client is to be told what is dealt with by now.
    pub(super) fn tell_at(&self) -> Option<Instant> {
        self.managed.as_ref()?.tell_at
    }

    /// Whether that is now. It is so once.
    pub(super) fn is_telling_due(&mut self, now: Instant) -> bool {
        let managed = self.managed.as_mut();
        managed.is_some_and(|managed| managed.is_telling_due(now))
    }

    /// What the client has not been told of its stanzas, at the end.
    pub(super) fn last_answer(&mut self, committed: u32, out: &mut BytesMut) {
        let managed = self.managed.as_mut();
        if let Some(answer) = managed.and_then(|managed| managed.last(committed)) {
            write(&answer, out);
        }
    }

    /// The session is at another node, which knows that this has arrived.
    pub(super) fn moved(&mut self, arrived: u32) {
        self.reported = arrived;
    }

    /// What the session is told at the end, if it does not know it. Of a
    /// client that closed its stream, and reads on until we close ours, `rest`
    /// more stanzas will be written.
    pub(super) fn last(&self, rest: Option<u32>) -> Option<u32> {
        let arrived = match (&self.managed, rest) {
            (None, Some(rest)) => self.sent.wrapping_add(rest),
            _ => self.arrived(),
        };
        (arrived != self.reported).then_some(arrived)
    }
}

impl Connection {
    /// Notes what was found in the outlet and adds what stream management has
    /// to say behind it: that more is dealt with, and whether all arrived.
    pub(super) fn note(&mut self, taken: &Taken) {
        if let Some(number) = taken.committed {
            self.dealt_with(number);
        }
        if taken.is_lost {
            self.move_on();
        }
        if taken.enabled.is_some() {
            self.is_enabled();
        }
        let (acks, taken_bytes) = (&mut self.acks, self.outgoing.len());
        acks.sent = acks.sent.wrapping_add(taken.stanzas);
        acks.is_requested |= taken.is_ack_requested;
        let committed = self.credit.committed();
        if let Some(management) = &taken.enabled {
            let managed = acks.managed.insert(acks.enabled(management));
            acks.is_enabling = false;
            if std::mem::take(&mut acks.is_asked_early)
                && let Some(answer) = managed.answer(committed, self.credit.received())
            {
                write(&answer, &mut self.outgoing);
            }
        }
        let Some(managed) = &mut acks.managed else {
            return;
        };
        if taken.stanzas > 0 {
            managed.send(taken_bytes);
        }
        if let Some(answer) = managed.news(committed, !self.outgoing.is_empty()) {
            write(&answer, &mut self.outgoing);
        }
        if !managed.is_unasked(acks.sent) {
            return;
        }
        let now = Instant::now();
        let at = managed.asks_at(acks.sent).unwrap_or(now);
        if at <= now || acks.is_requested {
            write(&sm::request(), &mut self.outgoing);
            managed.ask(acks.sent, now);
        } else {
            acks.due = Some(acks.due.map_or(at, |due| due.min(at)));
        }
    }

    /// Asks a client that has long been silent whether it is there, for want
    /// of a ping. Nothing may be half written.
    pub(super) fn ask_whether_there(&mut self) {
        let Some(managed) = &mut self.acks.managed else {
            return;
        };
        if managed.asked_at.is_none() {
            managed.ask(self.acks.sent, Instant::now());
            self.say(|out| write(&sm::request(), out));
        }
    }

    /// Everything taken so far is written.
    pub(super) fn flushed(&mut self) -> Result<(), Ending> {
        self.acks.flushed();
        self.report()
    }

    /// Tells the session what has arrived, if it wants to know or it is time.
    pub(super) fn report(&mut self) -> Result<(), Ending> {
        let arrived = self.acks.arrived();
        let news = arrived.wrapping_sub(self.acks.reported);
        let is_all = arrived == self.acks.sent;
        let is_due = match self.acks.is_managed() {
            true => news > 0,
            false => news >= REPORT_STANZAS || (news > 0 && self.is_due()),
        };
        let is_answer = self.acks.is_requested && is_all;
        if !is_due && !is_answer {
            if news > 0 {
                let at = || Instant::now() + REPORT_AFTER;
                self.acks.due.get_or_insert_with(at);
            }
            return Ok(());
        }
        if self.uplink.is_some() {
            self.outlet.acknowledged(arrived);
        }
        if self.is_apart() {
            // It is reported behind what waits, which nothing hastens.
            self.acks.due = self.acks.due.filter(|_| self.acks.is_managed());
            return Ok(());
        }
        self.acks.is_requested &= !is_all;
        self.acks.reported = arrived;
        if !self.acks.is_managed() {
            self.acks.due = None;
        }
        let (session, attach) = (self.session.clone(), self.attach);
        self.push(
            Frame::Acked {
                session,
                attach,
                number: arrived,
            },
            None,
        )
    }

    fn is_due(&self) -> bool {
        self.acks.due.is_some_and(|due| Instant::now() >= due)
    }

    /// What was put off is due.
    pub(super) fn catch_up(&mut self, now: Instant) -> Result<(), Ending> {
        if self.acks.due.is_none_or(|due| now < due) {
            return Ok(());
        }
        if !self.acks.is_managed() {
            return self.report();
        }
        self.acks.due = None;
        if self.acks.arrived() != self.acks.sent {
            self.ask_whether_there();
        }
        Ok(())
    }

    /// A nonza of XEP-0198.
    pub(super) fn manage(&mut self, nonza: &Element) -> Result<(), Ending> {
        self.slow_down();
        match nonza.name() {
            "r" if self.acks.is_managed() => {
                let (committed, received) = (self.credit.committed(), self.credit.received());
                let managed = self.acks.managed.as_mut();
                if let Some(answer) = managed.and_then(|of| of.answer(committed, received)) {
                    self.say(|out| write(&answer, out));
                }
                Ok(())
            }
            "r" if self.acks.is_enabling => {
                self.acks.is_asked_early = true;
                Ok(())
            }
            "a" if self.acks.is_managed() => self.acknowledged(nonza),
            "a" if self.acks.is_enabling => Ok(()),
            "enable" if !self.acks.is_managed() && !self.acks.is_enabling => {
                self.acks.is_enabling = true;
                self.say_enable(sm::enable(nonza))
            }
            // §3: once.
            "enable" => {
                let failed = sm::failed(Condition::UnexpectedRequest);
                self.say(|out| write(&failed, out));
                let text = "stream management is enabled once";
                Err(Ending::failed(StreamCondition::PolicyViolation, text))
            }
            // §5: a session that has a stream is not resumed by it.
            "resume" => {
                let failed = sm::failed(Condition::UnexpectedRequest);
                self.say(|out| write(&failed, out));
                Ok(())
            }
            _ => Err(Ending::not_negotiated()),
        }
    }

    /// `<a/>`: the client has so many stanzas.
    fn acknowledged(&mut self, nonza: &Element) -> Result<(), Ending> {
        let Some(h) = sm::number(nonza) else {
            return Err(Ending::not_negotiated());
        };
        let sent = self.acks.sent;
        let Some(managed) = &mut self.acks.managed else {
            return Ok(());
        };
        let number = managed.sent_base.wrapping_add(h);
        if is_ahead(number, sent) {
            let error = sm::too_high(h, sent.wrapping_sub(managed.sent_base));
            return Err(Ending::Failed(Box::new(error)));
        }
        if is_ahead(number, managed.acked) {
            managed.acked = number;
        }
        managed.asked_at = None;
        if managed.acked == sent {
            self.acks.due = None;
        } else if is_ahead(sent, managed.asked) {
            // Another turn asks about that, or sees when.
            self.has_more = true;
        } else {
            self.acks.due = Some(Instant::now() + ASK_AGAIN_AFTER);
        }
        self.report()
    }
}

fn write(element: &Element, out: &mut BytesMut) {
    // Or an empty buffer would grow word by word.
    out.reserve(NONZA_BYTES);
    element.write(out, ns::CLIENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `<enabled/>` was taken from the session together with what came before
    /// it: a connection that breaks now has not brought it to the client.
    #[test]
    fn what_came_before_enabled_arrives_when_it_is_written() {
        let mut acks = Acks {
            sent: 3,
            ..Acks::default()
        };
        let management = Management {
            received: 0,
            sent: 2,
            resumption: None,
        };
        acks.managed = Some(acks.enabled(&management));
        assert_eq!(acks.last(None), None);
        acks.flushed();
        assert_eq!(acks.last(None), Some(2));
    }
}
