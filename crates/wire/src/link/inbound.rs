//! Frames that came by a lane, on their way to the session node of this
//! process: checked, in order, and waiting here while the node is full.
//!
//! Whoever reads the lane never waits: how much can wait here is what the
//! sender may have on its way without being told that it was taken.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use starling_cluster::Shard;
use starling_cluster::{Owner, Role};
use starling_link::{Frame, Receipt, Refused, SessionKey};
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use super::attached::Attached;
use super::debt::Debt;
use super::down::Fate;
use super::envelope::{Envelope, Message};
use super::pb::Malformed;
use super::up::{self, Address, IncomingRouted, OfSession, What};
use crate::metrics;

/// How long a frame of an epoch that is not known here yet waits for it: the
/// sender was told of a change before us.
const EPOCH_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest wait for room before the node is asked again.
const ROOM_TIMEOUT: Duration = Duration::from_millis(100);

/// What has come by a lane.
#[derive(Default)]
pub(super) struct Inbound {
    /// Those that were dealt with when they came keep their places.
    queue: VecDeque<Option<up::Incoming>>,
    /// The number of the next frame to come.
    received: u64,
    /// The number of the next frame to be taken.
    taken: u64,
    /// A frame that the node had no room for.
    held: Option<(Shard, Frame)>,
    /// Since when the first frame waits for its epoch to be known.
    early_since: Option<Instant>,
    /// Shards of which frames were refused, until the sender begins again.
    refused: BTreeSet<Shard>,
    /// Whether somebody will hand over what waits.
    is_waiting: bool,
}

/// Why the next frame has to wait.
enum Wait {
    /// The node has no room for this account.
    Room(starling_xmpp::BareJid),
    /// The membership is behind.
    Epoch,
}

/// Whether a frame may be taken.
enum Verdict {
    Take,
    Wait,
    Refuse(Option<Owner>),
}

impl Attached {
    /// The number of the next frame to come.
    pub(super) fn received(&self) -> u64 {
        self.inbound().received
    }

    /// Reads one connection of the lane to its end.
    pub(super) async fn read(self: &Arc<Self>, mut up: Streaming<Message>) -> Result<(), Status> {
        let mut debt = Debt::new();
        loop {
            let message = tokio::select! {
                message = up.message() => message?,
                () = debt.due() => {
                    self.outbox.tell_taken(self.inbound().taken, true);
                    continue;
                }
            };
            let Some(message) = message else {
                return Ok(());
            };
            let batch = message.frames;
            let is_any = self
                .batch(&batch)
                .map_err(|why| Status::data_loss(why.to_string()))?;
            if is_any {
                self.hand_over(debt.grow(batch.len()));
            }
        }
    }

    /// Takes note of everything in a batch. Returns whether there was anything.
    ///
    /// Questions do not wait for what came before them: one worker without room
    /// must not keep the users of the others from logging in.
    fn batch(self: &Arc<Self>, batch: &Bytes) -> Result<bool, Malformed> {
        let mut envelope = Envelope::read(batch)?;
        self.outbox.acknowledged(envelope.taken, |_, ()| {});
        let mut number = envelope.first;
        let mut inbound = self.inbound();
        while let Some(frame) = envelope.next_frame()? {
            if number > inbound.received {
                return Err(Malformed("frames are missing before it"));
            }
            // One that came before the lane broke is there already.
            if number == inbound.received {
                let frame = match up::read(frame, batch, self.sink.as_ref())? {
                    up::Incoming {
                        what: What::Asked(asked),
                        ..
                    } => {
                        self.ask(asked);
                        None
                    }
                    frame => Some(frame),
                };
                inbound.queue.push_back(frame);
                inbound.received += 1;
            }
            number += 1;
        }
        Ok(number > envelope.first)
    }

    /// Hands over what can be handed over.
    fn hand_over(self: &Arc<Self>, is_due: bool) {
        let mut inbound = self.inbound();
        if inbound.is_waiting {
            return;
        }
        let wait = self.hand_over_all(&mut inbound);
        self.outbox.tell_taken(inbound.taken, is_due);
        if let Some(wait) = wait {
            inbound.is_waiting = true;
            drop(inbound);
            let this = Arc::clone(self);
            // Ends by itself: both waits have a bound, and a lane that is gone
            // has nothing left.
            tokio::spawn(async move {
                this.wait(wait).await;
                this.inbound().is_waiting = false;
                this.hand_over(true);
            });
        }
    }

    async fn wait(&self, wait: Wait) {
        match wait {
            Wait::Room(account) => {
                if let Some(node) = self.node.upgrade() {
                    let _ = timeout(ROOM_TIMEOUT, node.room(&account)).await;
                }
            }
            Wait::Epoch => {
                let mut changes = self.membership.changes();
                let _ = timeout(ROOM_TIMEOUT, changes.changed()).await;
            }
        }
    }

    fn hand_over_all(&self, inbound: &mut Inbound) -> Option<Wait> {
        let node = self.node.upgrade()?;
        if self.is_gone() {
            inbound.queue.clear();
            inbound.held = None;
            return None;
        }
        loop {
            let (shard, frame) = match inbound.held.take() {
                Some(held) => held,
                None => {
                    let Some(next) = inbound.queue.front()? else {
                        inbound.queue.pop_front();
                        inbound.taken += 1;
                        continue;
                    };
                    let address = next.address;
                    match self.verdict(inbound, address) {
                        Verdict::Take => {}
                        Verdict::Wait => return Some(Wait::Epoch),
                        Verdict::Refuse(owner) => {
                            inbound.queue.pop_front();
                            self.refuse(inbound, address.shard, owner);
                            continue;
                        }
                    }
                    let next = inbound.queue.pop_front()??;
                    let Some(frame) = self.frame(inbound.taken, next.what) else {
                        inbound.taken += 1;
                        continue;
                    };
                    (address.shard, frame)
                }
            };
            match node.push(frame) {
                Ok(()) => inbound.taken += 1,
                Err(Refused::Full(frame)) => {
                    let account = frame.target().clone();
                    inbound.held = Some((shard, frame));
                    return Some(Wait::Room(account));
                }
                // Between two owners, or at its end: its sender keeps the frame.
                Err(Refused::Unavailable(_)) => self.refuse(inbound, shard, None),
            }
        }
    }

    /// The next frame is not taken.
    fn refuse(&self, inbound: &mut Inbound, shard: Shard, owner: Option<Owner>) {
        inbound.refused.insert(shard);
        self.tell(inbound.taken, Fate::WrongOwner(owner));
        inbound.taken += 1;
    }

    /// Whether this node owns the shard of a frame under its epoch: a frame for
    /// another owner must not be taken, whoever it comes from.
    fn verdict(&self, inbound: &mut Inbound, address: Address) -> Verdict {
        let Address {
            shard,
            epoch,
            is_restart,
        } = address;
        if is_restart {
            inbound.refused.remove(&shard);
        } else if inbound.refused.contains(&shard) {
            return Verdict::Refuse(None);
        }
        let owner = self.membership.owner(shard);
        let is_ours = |owner: &Owner| owner.node == *self.membership.local();
        match &owner {
            Some(owner) if owner.epoch == epoch && is_ours(owner) => {
                inbound.early_since = None;
                Verdict::Take
            }
            Some(owner) if owner.epoch >= epoch => Verdict::Refuse(Some(owner.clone())),
            Some(_) | None => {
                let now = Instant::now();
                let since = *inbound.early_since.get_or_insert(now);
                if now.duration_since(since) < EPOCH_TIMEOUT {
                    return Verdict::Wait;
                }
                inbound.early_since = None;
                Verdict::Refuse(owner)
            }
        }
    }

    /// The frame for our node, if whoever sent it may say that.
    fn frame(&self, number: u64, what: What) -> Option<Frame> {
        let frame = match what {
            What::OfSession(id, attach, what) => {
                let account = self.account(id, attach);
                if let OfSession::Detach(..) = what
                    && account.is_some()
                {
                    self.detach(id, attach);
                }
                account
                    .filter(|account| is_from(&what, account))
                    .map(|account| what.into_frame(SessionKey { account, id }, attach))
            }
            What::Routed(routed) if self.may_route() => Some(self.routed(number, routed)),
            // Questions were dealt with when they came.
            What::Routed(_) | What::Asked(_) => None,
        };
        if frame.is_none() {
            metrics::forbidden();
            let node = self.key.node.as_str();
            tracing::debug!(node, "a frame is not for this lane to send");
        }
        frame
    }

    fn routed(&self, number: u64, routed: IncomingRouted) -> Frame {
        let settler = routed.has_receipt.then(|| self.settler()).flatten();
        let receipt = settler.map(|settler| Receipt::new(settler, number));
        routed.into_frame(receipt)
    }

    /// Only who checks the senders of stanzas may send them on.
    fn may_route(&self) -> bool {
        self.peer.has(Role::Session) || self.peer.has(Role::Federation)
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a stanza is from the account of the session that it came by: an edge
/// speaks for its own sessions only.
fn is_from(what: &OfSession, account: &starling_xmpp::BareJid) -> bool {
    match what {
        OfSession::FromClient(_, stanza, _) => {
            let from = stanza.head.from.as_ref();
            from.is_some_and(|from| from.to_bare() == *account)
        }
        OfSession::Answered(..)
        | OfSession::Acked(_)
        | OfSession::Enable(..)
        | OfSession::ClientState(_)
        | OfSession::Detach(..) => true,
    }
}
