//! A connection whose session may come to be at another node: it keeps what it
//! sent on until that is dealt with, and brings the session along when it has
//! to move.
//!
//! The client notices nothing but a pause: its socket stays open, it is read as
//! far as its credit goes, and `<r/>` is answered with what was dealt with
//! before.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use starling_link::{
    Attach, Close, Enable, Error, Frame, Reattach, ReattachError, Reattached, Refused, SessionKey,
    TraceContext, is_ahead,
};
use starling_xmpp::{Jid, Stanza};
use tokio::time::{Instant, sleep, timeout};

use super::Connection;
use crate::close::Ending;
use crate::metrics;
use crate::outlet::ClientOutlet;
use crate::shared::Shared;

/// How often a node is asked that cannot be reached.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// How long a connection that has ended waits for its session to have a node
/// again.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a client said that its session has not dealt with.
#[derive(Default)]
pub(super) struct Uplink {
    /// By number; what was sent on comes first.
    queue: VecDeque<(u32, Said)>,
    sent_on: usize,
    /// Since when the next one cannot be sent on, and when to try again.
    refused: Option<(Instant, Waiting<()>)>,
    /// Whether anybody looks at the client, if it ever said so (XEP-0352), and
    /// whether the session knows.
    state: Option<(bool, bool)>,
    /// On its way to the session's new node.
    moving: Option<Waiting<Result<Moved, Ending>>>,
}

/// A session is at its new node.
struct Moved {
    reattached: Reattached,
    /// What the node was told that the client has.
    acked: u32,
}

/// One thing that a client said.
enum Said {
    Stanza(Stanza, Option<TraceContext>),
    Answered(Option<Stanza>),
    Enable(Enable),
}

impl Uplink {
    /// Whether something has to be waited for before more can be sent on.
    fn is_blocked(&self) -> bool {
        self.refused.is_some() || self.moving.is_some()
    }

    /// Everything up to this number is dealt with.
    fn trim(&mut self, committed: u32) {
        while let Some((number, said)) = self.queue.front()
            && !is_ahead(*number, committed)
            && !matches!(said, Said::Enable(_))
        {
            self.queue.pop_front();
            self.sent_on = self.sent_on.saturating_sub(1);
        }
        if self.queue.is_empty() {
            // An idle connection holds no memory for it.
            self.queue = VecDeque::new();
        }
    }

    /// Since when something cannot be sent on.
    pub(super) fn refused_since(&self) -> Option<Instant> {
        self.refused.as_ref().map(|(since, _)| *since)
    }
}

impl Said {
    fn frame(&mut self, connection: (&SessionKey, Attach), number: u32) -> Frame {
        let (session, attach) = (connection.0.clone(), connection.1);
        match self {
            Self::Stanza(stanza, trace) => Frame::FromClient {
                session,
                attach,
                number,
                stanza: stanza.clone(),
                trace: trace.take(),
            },
            Self::Answered(answer) => Frame::Answered {
                session,
                attach,
                number,
                answer: answer.clone(),
            },
            Self::Enable(request) => Frame::Enable {
                session,
                attach,
                number,
                request: *request,
            },
        }
    }
}

impl Connection {
    /// A stanza of the client. What has to be kept until it is dealt with is.
    pub(super) fn say_stanza(
        &mut self,
        number: u32,
        stanza: Stanza,
        trace: Option<TraceContext>,
    ) -> Result<(), Ending> {
        if self.uplink.is_some() {
            return self.say_on(number, Said::Stanza(stanza, trace));
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::FromClient {
            session,
            attach,
            number,
            stanza,
            trace,
        };
        self.push(frame, None)
    }

    /// A stanza of the client that the edge dealt with.
    pub(super) fn say_answered(
        &mut self,
        number: u32,
        answer: Option<Stanza>,
    ) -> Result<(), Ending> {
        if self.uplink.is_some() {
            return self.say_on(number, Said::Answered(answer));
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::Answered {
            session,
            attach,
            number,
            answer,
        };
        self.push(frame, None)
    }

    /// The client asks for stream management.
    pub(super) fn say_enable(&mut self, request: Enable) -> Result<(), Ending> {
        let number = self.credit.received();
        if self.uplink.is_some() {
            return self.say_on(number, Said::Enable(request));
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::Enable {
            session,
            attach,
            number,
            request,
        };
        self.push(frame, None)
    }

    /// Whether anybody looks at the client.
    pub(super) fn say_state(&mut self, is_active: bool) -> Result<(), Ending> {
        if let Some(uplink) = &mut self.uplink {
            uplink.state = Some((is_active, false));
            return self.send_on();
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::ClientState {
            session,
            attach,
            is_active,
        };
        self.push(frame, None)
    }

    fn say_on(&mut self, number: u32, said: Said) -> Result<(), Ending> {
        if let Some(uplink) = &mut self.uplink {
            uplink.queue.push_back((number, said));
        }
        self.send_on()
    }

    /// Everything of the client up to this number is dealt with.
    pub(super) fn dealt_with(&mut self, number: u32) {
        self.credit.give_back(number);
        if let Some(uplink) = &mut self.uplink {
            uplink.trim(number);
        }
    }

    /// The answer to `<enable/>` is there.
    pub(super) fn is_enabled(&mut self) {
        let committed = self.credit.dealt_with();
        if let Some(uplink) = &mut self.uplink {
            let is_answered = |(_, said): &(u32, Said)| matches!(said, Said::Enable(_));
            let place = uplink.queue.iter().position(is_answered);
            if let Some(place) = place {
                uplink.queue.remove(place);
                uplink.sent_on = uplink
                    .sent_on
                    .saturating_sub(usize::from(place < uplink.sent_on));
            }
            uplink.trim(committed);
        }
    }

    /// Whether the session cannot be told anything at the moment.
    pub(super) fn is_apart(&self) -> bool {
        self.held.is_some()
            || self
                .uplink
                .as_ref()
                .is_some_and(|uplink| uplink.is_blocked())
    }

    /// Sends on what can be sent on.
    fn send_on(&mut self) -> Result<(), Ending> {
        let Some(uplink) = self.uplink.as_deref_mut() else {
            return Ok(());
        };
        if uplink.is_blocked() {
            return Ok(());
        }
        while let Some((number, said)) = uplink.queue.get_mut(uplink.sent_on) {
            let frame = said.frame((&self.session, self.attach), *number);
            match self.shared.link.push(frame) {
                Ok(()) => uplink.sent_on += 1,
                Err(refused) => {
                    let is_full = matches!(refused, Refused::Full(_));
                    return self.wait(is_full);
                }
            }
        }
        if let Some((is_active, is_told @ false)) = &mut uplink.state {
            let frame = Frame::ClientState {
                session: self.session.clone(),
                attach: self.attach,
                is_active: *is_active,
            };
            if let Err(refused) = self.shared.link.push(frame) {
                let is_full = matches!(refused, Refused::Full(_));
                return self.wait(is_full);
            }
            *is_told = true;
        }
        uplink.refused = None;
        Ok(())
    }

    /// Nobody takes what is to be sent on: tries again later.
    fn wait(&mut self, is_full: bool) -> Result<(), Ending> {
        let account = self.session.account.clone();
        let node = self.shared.link.owner(&account).ok();
        let wait: Waiting<()> = match node {
            Some(node) if is_full => Box::pin(async move { node.room(&account).await }),
            _ => Box::pin(sleep(RETRY_AFTER)),
        };
        if let Some(uplink) = &mut self.uplink {
            let since = self.refused_at.get_or_insert_with(Instant::now);
            if since.elapsed() > self.unavailable_timeout {
                return Err(Ending::Unreachable);
            }
            uplink.refused = Some((*since, wait));
        }
        Ok(())
    }

    /// The session is no longer where it was.
    pub(super) fn move_on(&mut self) {
        let Some(uplink) = &mut self.uplink else {
            return;
        };
        if uplink.moving.is_some() {
            return;
        }
        let moving = Moving {
            shared: Arc::clone(&self.shared),
            outlet: Arc::clone(&self.outlet),
            request: (self.session.clone(), self.attach, self.jid.clone()),
            committed: self.credit.dealt_with(),
            said: self.credit.received(),
        };
        let limit = self.unavailable_timeout;
        uplink.refused = None;
        uplink.moving = Some(Box::pin(async move {
            let moved = timeout(limit, moving.run()).await;
            moved.unwrap_or(Err(Ending::Unreachable))
        }));
        // Another turn begins it.
        self.has_more = true;
    }

    /// Goes on with what is waited for. `true` if nothing is.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        loop {
            let Some(uplink) = self.uplink.as_deref_mut() else {
                return Ok(true);
            };
            if let Some(moving) = &mut uplink.moving {
                let Poll::Ready(moved) = moving.as_mut().poll(cx) else {
                    return Ok(false);
                };
                uplink.moving = None;
                self.arrived(moved?)?;
            } else if let Some((_, wait)) = &mut uplink.refused {
                if wait.as_mut().poll(cx).is_pending() {
                    return Ok(false);
                }
                uplink.refused = None;
                self.send_on()?;
            } else {
                self.refused_at = None;
                return Ok(true);
            }
        }
    }

    /// The session is at its new node: what the client said and was not dealt
    /// with goes there once more.
    fn arrived(&mut self, moved: Moved) -> Result<(), Ending> {
        let Moved { reattached, acked } = moved;
        self.attach = reattached.attach;
        self.acks.moved(acked);
        if is_ahead(reattached.committed, self.credit.dealt_with()) {
            self.dealt_with(reattached.committed);
        }
        if let Some(uplink) = &mut self.uplink {
            uplink.sent_on = 0;
            uplink.state = uplink.state.map(|(is_active, _)| (is_active, false));
        }
        self.refused_at = None;
        self.has_more = true;
        self.send_on()
    }

    /// Before the end: a session that is on its way arrives, and what was said
    /// follows it, so that it is at its node as it would be on any other day.
    pub(super) async fn settle_down(&mut self) {
        if self
            .uplink
            .as_ref()
            .is_some_and(|uplink| uplink.is_blocked())
        {
            let settled = std::future::poll_fn(|cx| match self.go_on(cx) {
                Ok(false) => Poll::Pending,
                Ok(true) | Err(_) => Poll::Ready(()),
            });
            // What has not settled by then is lost with its node.
            let _ = timeout(SETTLE_TIMEOUT, settled).await;
        }
    }
}

/// The way of a session to its new node.
struct Moving {
    shared: Arc<Shared>,
    outlet: Arc<ClientOutlet>,
    request: (SessionKey, Attach, Jid),
    committed: u32,
    said: u32,
}

impl Moving {
    async fn run(mut self) -> Result<Moved, Ending> {
        let since = Instant::now();
        loop {
            // Whatever is lost from here on is lost once more.
            let time = self.outlet.losses();
            match self.attempt().await {
                Ok(moved) => {
                    self.request.1 = moved.reattached.attach;
                    if self.outlet.found(time) {
                        let elapsed = since.elapsed();
                        let account = self.request.0.account.as_str();
                        tracing::debug!(account, ?elapsed, "a session is at its new node");
                        metrics::moved(elapsed);
                        return Ok(moved);
                    }
                }
                Err(ReattachError::Link(_)) => sleep(RETRY_AFTER).await,
                Err(why) => {
                    let account = self.request.0.account.as_str();
                    tracing::warn!(account, error = %why, "a session cannot move; its client is closed");
                    metrics::left_behind();
                    return Err(Ending::Session(Close::SystemShutdown));
                }
            }
        }
    }

    async fn attempt(&self) -> Result<Moved, ReattachError> {
        let (session, attach, jid) = self.request.clone();
        let node = self.shared.link.owner(&session.account)?;
        // A node that dies leaves many of them at once.
        let permit = self.shared.moving.acquire().await;
        let _permit = permit.map_err(|_| Error::ShuttingDown)?;
        let Some((summary, downstream)) = self.outlet.snapshot() else {
            return Err(ReattachError::Unreadable("there is none".to_owned()));
        };
        let acked = downstream.acked;
        let reattached = node.reattach(Reattach {
            session,
            attach,
            jid,
            summary,
            committed: self.committed,
            said: self.said,
            downstream,
            outlet: Arc::clone(&self.outlet) as _,
        });
        Ok(Moved {
            reattached: reattached.await?,
            acked,
        })
    }
}
