//! A connection whose session is no longer where it was: it brings the session
//! to its new node, with all that it knows of it.
//!
//! The client notices nothing but a pause: its socket stays open, it is read as
//! far as its credit goes, and `<r/>` is answered with what was dealt with
//! before. What it said is kept in `uplink`.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use starling_link::{
    Attach, Close, Error, Reattach, ReattachError, Reattached, SessionKey, is_ahead,
};
use starling_xmpp::Jid;
use tokio::time::{Instant, sleep, timeout};

use super::Connection;
use super::uplink::RETRY_AFTER;
use crate::close::Ending;
use crate::metrics;
use crate::outlet::ClientOutlet;
use crate::shared::Shared;

/// How long a connection that has ended waits for its session to have a node
/// again.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first pause before a session's node is looked for again, which doubles: the
/// old one answers in the moment in which the new one is known.
const RETRY_FIRST: Duration = Duration::from_millis(2);

/// A session is at its new node.
pub(super) struct Moved {
    reattached: Reattached,
    /// What the node was told that the client has.
    acked: u32,
}

impl Connection {
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
        let mut pause = RETRY_FIRST;
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
                Err(ReattachError::Link(_)) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_AFTER);
                }
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
