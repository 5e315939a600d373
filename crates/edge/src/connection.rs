//! A connection with a bound session: stanzas from the client to its shard,
//! stanzas from the session to the client, each as fast as the other side
//! takes them.
//!
//! One `poll` does all of it, so that an idle connection is a small struct, a
//! timer and no buffer. What a stanza means is left to the session.

mod acks;
mod inbound;
mod moving;
mod timer;
mod uplink;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use smol_str::SmolStr;
use starling_link::{Attach, Dice, Frame, Refused, SessionKey};
use starling_xmpp::{BareJid, Jid};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::close::Ending;
use crate::config::{Keepalive, Limits};
use crate::credit::Credit;
use crate::live::Lively;
use crate::negotiation::Established;
use crate::outlet::{ClientOutlet, Taken};
use crate::pace::Pace;
use crate::shared::Shared;
use crate::transport::Transport;
use acks::Acks;
use inbound::Held;
use uplink::Uplink;

/// How often a frame is offered to a node that cannot be reached.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A connection and its session.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    transport: Transport,
    session: SessionKey,
    attach: Attach,
    jid: Jid,
    host: BareJid,
    lang: Option<SmolStr>,
    outlet: Arc<ClientOutlet>,
    /// Taken from the outlet, not written yet.
    outgoing: BytesMut,
    is_flushed: bool,
    acks: Acks,
    credit: Credit,
    dice: Dice,
    pace: Pace,
    /// No stanza is read before.
    paused_until: Option<Instant>,
    /// Answers of ours wait for a client that does not read: no more of them.
    is_crowded: bool,
    /// A frame that could not be handed on.
    held: Option<Box<Held>>,
    /// What is kept because the session may come to be at another node, and
    /// since when nobody takes the next of it.
    uplink: Option<Box<Uplink>>,
    refused_at: Option<Instant>,
    keepalive: Keepalive,
    stall_timeout: Duration,
    unavailable_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    heard_at: Instant,
    pinged_at: Option<Instant>,
    pings: u32,
    /// Since when the client took nothing, and what it had taken by then.
    stalled: Option<(Instant, u64)>,
    /// Something of ours was added to the outlet.
    has_more: bool,
    received: u64,
    /// For those who end all connections.
    _lively: Lively,
}

impl Connection {
    /// `out` holds what negotiation has left to send.
    pub(crate) fn new(
        shared: Arc<Shared>,
        transport: Transport,
        established: Established,
        out: BytesMut,
        lively: Lively,
    ) -> Self {
        let settings = shared.settings();
        let limits: &Limits = &settings.config.limits;
        let now = Instant::now();
        let keepalive = settings.config.keepalive.clone();
        let base = established.management.as_ref().map(|of| of.sent);
        let may_move = established.outlet.begin(established.acked, base);
        Self {
            session: established.session,
            attach: established.attach,
            jid: established.jid,
            host: established.host.name.clone(),
            lang: established.lang,
            outlet: established.outlet,
            outgoing: out,
            is_flushed: false,
            credit: Credit::new(
                limits.uncommitted_stanzas_max,
                limits.uncommitted_bytes_max,
                established.committed,
            ),
            acks: Acks::new(
                established.acked,
                established.committed,
                established.management,
            ),
            dice: Dice::default(),
            pace: Pace::new(limits.stanzas_per_second, limits.stanzas_burst, now),
            paused_until: None,
            is_crowded: false,
            held: None,
            uplink: may_move.then(Box::default),
            refused_at: None,
            stall_timeout: limits.write_stall_timeout,
            unavailable_timeout: limits.unavailable_timeout,
            timer: Box::pin(sleep_until(now + keepalive.ping_after)),
            keepalive,
            heard_at: now,
            pinged_at: None,
            pings: 0,
            stalled: None,
            has_more: false,
            received: 0,
            _lively: lively,
            transport,
            shared,
        }
    }

    /// Carries stanzas both ways until something ends it.
    pub(crate) async fn run(&mut self) -> Ending {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Tells the session, then the client.
    pub(crate) async fn end(mut self, ending: &Ending) {
        self.settle_down().await;
        let mut rest = self.outgoing;
        let (queued, stanzas) = self.outlet.end();
        rest.extend_from_slice(&queued);
        let committed = self.credit.committed();
        self.acks.last_answer(committed, &mut rest);
        let is_read_on = *ending == Ending::Closed && self.stalled.is_none();
        let acked = self.acks.last(is_read_on.then_some(stanzas));
        let held = self.held.map(|held| held.into_frame());
        let last = Frame::Detach {
            session: self.session,
            attach: self.attach,
            how: ending.detached(),
            acked,
        };
        let frames = held.into_iter().chain([last]);
        hand_over(&self.shared, frames, self.unavailable_timeout).await;
        self.transport.farewell(ending, rest).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(ending) => Poll::Ready(ending),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        loop {
            self.has_more = false;
            self.write(cx)?;
            self.read(cx)?;
            self.watch(cx)?;
            if !self.has_more {
                return Ok(());
            }
        }
    }

    /// Writes what there is, as far as the client takes it.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        loop {
            if self.outgoing.is_empty() {
                let taken = self.outlet.take(cx.waker(), &mut self.outgoing);
                self.note(&taken);
                if self.outgoing.is_empty() {
                    return self.finish(cx, &taken);
                }
                self.is_flushed = false;
            }
            match self.transport.socket.poll_write(cx, &self.outgoing) {
                Poll::Ready(Ok(written)) => self.advance(written),
                Poll::Ready(Err(_)) => return Err(Ending::Lost),
                Poll::Pending => {
                    let taken = self.outlet.look(cx.waker());
                    if let Some(number) = taken.committed {
                        self.dealt_with(number);
                    }
                    if taken.is_lost {
                        self.move_on();
                    }
                    self.stall();
                    return Ok(());
                }
            }
        }
    }

    fn advance(&mut self, written: usize) {
        if written == self.outgoing.len() {
            // An idle connection holds no buffer.
            self.outgoing = BytesMut::new();
        } else {
            self.outgoing.advance(written);
        }
    }

    /// Says something of the edge's own.
    fn say(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.is_crowded = !self.outlet.add(write);
        self.has_more = true;
    }

    /// All is written: flushes, and closes if that was wanted.
    fn finish(&mut self, cx: &mut Context<'_>, taken: &Taken) -> Result<(), Ending> {
        self.is_crowded = false;
        if !self.is_flushed {
            match self.transport.socket.poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.is_flushed = true;
                    self.stalled = None;
                }
                Poll::Ready(Err(_)) => return Err(Ending::Lost),
                Poll::Pending => self.stall(),
            }
        }
        if self.is_flushed {
            self.flushed()?;
        }
        match taken.close {
            Some(why) => Err(Ending::Session(why)),
            None => Ok(()),
        }
    }
}

/// Hands the session its last frames. It must learn of its end, so this waits
/// for room, but not for ever.
async fn hand_over(shared: &Shared, frames: impl Iterator<Item = Frame>, limit: Duration) {
    let since = Instant::now();
    for mut frame in frames {
        while let Err(refused) = shared.link.push(frame) {
            let is_full = matches!(refused, Refused::Full(_));
            frame = refused.into_inner();
            let account = frame.target();
            if since.elapsed() > limit {
                let account = account.as_str();
                tracing::warn!(account, "a session is lost: no node takes its end");
                return;
            }
            match shared.link.owner(account) {
                Ok(node) if is_full => {
                    let left = limit.saturating_sub(since.elapsed());
                    // Without room by then it is lost, which the next turn tells.
                    let _ = timeout(left + RETRY_AFTER, node.room(account)).await;
                }
                _ => sleep(RETRY_AFTER).await,
            }
        }
    }
}
