//! From the client to its shard.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use starling_link::{Frame, Refused};
use starling_xmpp::stream::{Event, StreamCondition};
use starling_xmpp::{Element, Stanza, ns};
use tokio::time::{Instant, sleep};

use super::{Connection, RETRY_AFTER};
use crate::close::Ending;
use crate::features::{bind, ping};
use crate::metrics;

/// What a stanza that is none costs of the credit. Its size is not known, and
/// the answer is as large whatever it was.
const ANSWERED_BYTES: usize = 512;

/// A frame that nobody could take, and when to try again. Nothing is read
/// before it is gone, so the order is kept.
pub(super) struct Held {
    frame: Frame,
    since: Instant,
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Held {
    pub(super) fn into_frame(self) -> Frame {
        self.frame
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

impl Connection {
    /// Whether the client is being listened to; if not, its silence is ours.
    pub(super) fn is_listening(&self) -> bool {
        self.held.is_none()
            && !self.is_crowded
            && self.paused_until.is_none()
            && self.credit.is_left()
    }

    /// Reads and hands on, as far as credit goes.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        let result = self.read_all(cx);
        match std::mem::take(&mut self.received) {
            0 => {}
            count => metrics::stanzas_received(count),
        }
        result
    }

    fn read_all(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        if !self.retry(cx)? {
            return Ok(());
        }
        // One that had to wait behind a held frame.
        self.report()?;
        if let Some(until) = self.paused_until {
            if Instant::now() < until {
                return Ok(());
            }
            self.paused_until = None;
        }
        while self.is_listening() {
            let event = self.transport.decode();
            match event.map_err(|error| Ending::Failed(Box::new(error)))? {
                Some(event) => self.take(event)?,
                None => match self.transport.poll_fill(cx) {
                    Poll::Ready(Ok(1..)) => {
                        self.heard_at = Instant::now();
                        self.pinged_at = None;
                    }
                    Poll::Ready(Ok(_) | Err(_)) => return Err(Ending::Lost),
                    Poll::Pending => return Ok(()),
                },
            }
        }
        // A frame that was just refused leaves its waker behind.
        self.retry(cx).map(|_| ())
    }

    fn take(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Stanza(stanza) => self.stanza(stanza),
            Event::Rejected(rejected) => {
                self.slow_down();
                self.received += 1;
                self.answer(ANSWERED_BYTES, rejected.reply(&self.jid))
            }
            Event::Close => Err(Ending::Closed),
            // RFC 6120 §7.3.2: no restart after binding.
            Event::Open(_) => Err(Ending::failed(
                StreamCondition::InvalidXml,
                "the stream is open already",
            )),
            Event::Nonza(nonza) if nonza.is(ns::STREAM, "error") => Err(Ending::Forsaken),
            Event::Nonza(nonza) if nonza.ns() == ns::SM => self.manage(&nonza),
            Event::Nonza(nonza) if nonza.ns() == ns::CSI => self.client_state(&nonza),
            Event::Nonza(_) => Err(Ending::not_negotiated()),
        }
    }

    fn stanza(&mut self, mut stanza: Stanza) -> Result<(), Ending> {
        self.received += 1;
        self.stamp(&mut stanza)?;
        self.slow_down();
        let bytes = stanza.len_estimate();
        if let Some(answer) = bind::answer_when_bound(&stanza, &self.host) {
            return self.answer(bytes, Some(answer));
        }
        if ping::is_answer(&stanza, &self.host) {
            return self.answer(bytes, None);
        }
        let number = self.credit.spend(bytes);
        let watched = self.shared.sampler.begin(&mut self.dice).map(|watched| {
            let kind = stanza.head.kind.as_str();
            watched.start("receive").with("kind", kind)
        });
        let trace = watched.as_ref().map(|span| span.context().clone());
        let pushed = self.say_stanza(number, stanza, trace);
        if let Some(span) = watched {
            span.end();
        }
        pushed
    }

    /// A stanza that the session need not see. It counts all the same, and the
    /// answer is the session's to put in order.
    fn answer(&mut self, bytes: usize, answer: Option<Stanza>) -> Result<(), Ending> {
        let number = self.credit.spend(bytes);
        self.say_answered(number, answer)
    }

    /// XEP-0352 §4: whether anybody looks at the client.
    fn client_state(&mut self, nonza: &Element) -> Result<(), Ending> {
        self.slow_down();
        let is_active = match nonza.name() {
            "active" => true,
            "inactive" => false,
            _ => return Err(Ending::not_negotiated()),
        };
        self.say_state(is_active)
    }

    /// RFC 6120 §8.1.2.1: `from` is the full JID, whatever the client wrote,
    /// but what it wrote must be true. §4.7.4: `xml:lang` is the stream's.
    fn stamp(&self, stanza: &mut Stanza) -> Result<(), Ending> {
        let own = |from: &starling_xmpp::Jid| {
            *from == self.jid || from.as_str() == self.session.account.as_str()
        };
        if !stanza.head.from.as_ref().is_none_or(own) {
            let text = "you may only send from your own address";
            return Err(Ending::failed(StreamCondition::InvalidFrom, text));
        }
        stanza.head.from = Some(self.jid.clone());
        if stanza.head.lang.is_none() {
            stanza.head.lang.clone_from(&self.lang);
        }
        Ok(())
    }

    /// Counts one more stanza against the pace.
    pub(super) fn slow_down(&mut self) {
        if let Some(until) = self.pace.take(Instant::now()) {
            self.paused_until = Some(until);
            metrics::throttled();
        }
    }

    pub(super) fn push(&mut self, frame: Frame, since: Option<Instant>) -> Result<(), Ending> {
        let Err(refused) = self.shared.link.push(frame) else {
            return Ok(());
        };
        let since = since.unwrap_or_else(Instant::now);
        if since.elapsed() > self.unavailable_timeout {
            return Err(Ending::Unreachable);
        }
        let account = self.session.account.clone();
        let node = self.shared.link.owner(&account).ok();
        let is_full = matches!(refused, Refused::Full(_));
        let wait: Pin<Box<dyn Future<Output = ()> + Send>> = match node {
            Some(node) if is_full => Box::pin(async move { node.room(&account).await }),
            _ => Box::pin(sleep(RETRY_AFTER)),
        };
        self.held = Some(Box::new(Held {
            frame: refused.into_inner(),
            since,
            wait,
        }));
        Ok(())
    }

    /// Offers a held frame again once it may be taken. `true` if none is left.
    fn retry(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        if self.uplink.is_some() {
            // What waits is kept, so more can be read as far as credit goes.
            self.go_on(cx)?;
        }
        while let Some(mut held) = self.held.take() {
            if held.wait.as_mut().poll(cx).is_pending() {
                self.held = Some(held);
                return Ok(false);
            }
            self.push(held.frame, Some(held.since))?;
        }
        Ok(true)
    }
}
