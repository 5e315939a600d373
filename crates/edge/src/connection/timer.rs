//! What a connection does when nothing happens: asks a silent client whether
//! it is there, and gives up on one that does not read.

use std::future::Future as _;
use std::task::Context;

use tokio::time::Instant;

use super::Connection;
use crate::close::Ending;
use crate::features::ping;

impl Connection {
    /// The client took less than all.
    pub(super) fn stall(&mut self) {
        let written = self.transport.socket.written();
        match self.stalled {
            Some((_, known)) if known == written => {}
            _ => self.stalled = Some((Instant::now(), written)),
        }
    }

    /// Keeps the one timer at the earliest thing to do. It is moved only when
    /// it would fire too late; when it fires too early it is set anew, which
    /// is cheaper than moving it with every stanza.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        loop {
            let due = self.due();
            if due < self.timer.deadline() {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.act(Instant::now())?;
            let due = self.due();
            self.timer.as_mut().reset(due);
        }
    }

    fn due(&self) -> Instant {
        let silence = match self.pinged_at {
            Some(at) => at + self.keepalive.ping_timeout,
            None => self.heard_at + self.keepalive.ping_after,
        };
        let stall = self.stalled.map(|(since, _)| since + self.stall_timeout);
        // Also a node that answers but never has room has been waited for.
        let held = self.held.as_ref();
        let refused = self.uplink.as_ref().and_then(|of| of.refused_since());
        let held = held.map(|held| held.since()).or(refused);
        let held = held.map(|since| since + self.unavailable_timeout);
        let answer = self
            .acks
            .asked_at()
            .map(|at| at + self.keepalive.ping_timeout);
        let tell = self.acks.tell_at();
        [stall, held, self.paused_until, self.acks.due, tell, answer]
            .into_iter()
            .flatten()
            .fold(silence, Instant::min)
    }

    fn act(&mut self, now: Instant) -> Result<(), Ending> {
        if self.paused_until.is_some_and(|until| now >= until) {
            self.paused_until = None;
            // Another turn reads on.
            self.has_more = true;
        }
        // Another turn says it.
        self.has_more |= self.acks.is_telling_due(now);
        if let Some((since, known)) = self.stalled
            && now >= since + self.stall_timeout
        {
            let written = self.transport.socket.written();
            if written == known {
                return Err(Ending::Stalled);
            }
            self.stalled = Some((now, written));
        }
        let refused = self.uplink.as_ref().and_then(|of| of.refused_since());
        let waiting = self.held.as_ref().map(|held| held.since()).or(refused);
        if waiting.is_some_and(|since| now >= since + self.unavailable_timeout) {
            return Err(Ending::Unreachable);
        }
        self.catch_up(now)?;
        if !self.is_listening() {
            // It may have answered: we do not look.
            self.heard_at = now;
            self.pinged_at = None;
            self.acks.excuse(now);
            return Ok(());
        }
        let is_overdue = |at| now >= at + self.keepalive.ping_timeout;
        if self.acks.asked_at().is_some_and(is_overdue) {
            return Err(Ending::Silent);
        }
        match self.pinged_at {
            Some(at) if now >= at + self.keepalive.ping_timeout => Err(Ending::Silent),
            None if now >= self.heard_at + self.keepalive.ping_after => {
                self.ping(now);
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// XEP-0199 §4.1: server to client.
    fn ping(&mut self, now: Instant) {
        self.pinged_at = Some(now);
        if self.acks.is_managed() {
            // XEP-0198 §8.2: in lieu of a ping.
            return self.ask_whether_there();
        }
        self.pings = self.pings.wrapping_add(1);
        let ping = ping::request(&self.host, &self.jid, self.pings);
        let framing = self.transport.framing;
        self.say(|out| framing.stanza(&ping, out));
    }
}
