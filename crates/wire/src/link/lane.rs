//! One lane to a node that owns shards, at the side that opened it: frames out,
//! answers in, over one connection after another.
//!
//! What becomes of frames that come back is left to `keeper`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use starling_cluster::{Epoch, Owner, Shard};
use starling_link::{Close, Frame, Note};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::{Status, Streaming};

use super::connect::{Connector, MESSAGE_BYTES_MAX};
use super::debt::Debt;
use super::down::{self, Fate, Incoming, ToClient};
use super::envelope::{Envelope, Hello, Message, Welcome};
use super::lanes::lanes_client::LanesClient;
use super::outbox::{Outbox, Sending};
use super::outlets::Outlets;
use super::questions::{Answer, Questions};
use super::trace::Sink;
use super::up::{self, Address};
use super::v1::Question;
use crate::{metrics, status};

/// Pause before a lane that could not connect tries again; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(20);

/// Longest pause.
const RETRY_MAX: Duration = Duration::from_millis(500);

/// Frames taken whose accounts are not done with them, at most. Senders have
/// few open stanzas each, so this many means that the other node is stuck.
const UNSETTLED_MAX: usize = 65_536;

/// A frame that is kept until it is taken, or settled.
pub(crate) struct Kept {
    pub(crate) frame: Frame,
    pub(crate) address: Address,
}

/// One lane.
pub(crate) struct Lane {
    pub(super) index: u32,
    pub(super) outbox: Arc<Outbox<Kept>>,
    pub(super) outlets: Outlets,
    /// Frames that were taken and whose receipts are open, by their numbers.
    unsettled: Mutex<BTreeMap<u64, Kept>>,
    pub(super) questions: Questions,
    is_up: watch::Sender<bool>,
    /// Whether the other side answers questions that come by the lane.
    answers: AtomicBool,
}

/// What the link does with the news of a lane.
pub(crate) trait Events: Send + Sync {
    /// A frame was not taken; this is who owns its shard, if that is known.
    fn refused(&self, lane: &Lane, shard: Shard, owner: Option<Owner>);
    /// The other side knows nothing of the lane any more: everything on it has
    /// to find its way again. Must call [`Lane::reset`].
    fn forgotten(&self, lane: &Lane);
    /// The session of an outlet is about to be another node's.
    fn moved(&self, lane: &Lane, outlet: u64);
    /// Nobody waits for this answer any more.
    fn unwanted(&self, answer: Answer);
    /// The lane is there, or is not.
    fn reachable(&self, is_reachable: bool);
    /// Where spans go.
    fn sink(&self) -> Sink<'_>;
}

impl Lane {
    pub(crate) fn new(index: u32, outbox: Outbox<Kept>) -> Self {
        Self {
            index,
            outbox: Arc::new(outbox),
            outlets: Outlets::default(),
            unsettled: Mutex::default(),
            questions: Questions::new(),
            is_up: watch::Sender::new(false),
            answers: AtomicBool::new(false),
        }
    }

    /// Puts a frame on its way, if less than `bytes_max` waits.
    pub(crate) fn push(&self, bytes_max: usize, kept: Kept) -> Result<(), Kept> {
        if let Frame::Detach {
            session, attach, ..
        } = &kept.frame
        {
            self.outlets.detach(session.id, *attach);
        }
        let is_stuck = bytes_max < usize::MAX && self.unsettled().len() >= UNSETTLED_MAX;
        if is_stuck {
            return Err(kept);
        }
        self.outbox.push(bytes_max, kept, |kept, out| {
            up::write(kept.address, &kept.frame, out);
        })
    }

    /// Puts a question on its way, which its asker counts.
    pub(crate) fn ask(&self, address: Address, id: u64, question: &Question) {
        self.outbox
            .push_bytes(|out| up::write_question(address, id, question, out));
    }

    /// Whether the other side answers questions that come by the lane, as it
    /// said when it was connected last.
    pub(crate) fn answers(&self) -> bool {
        self.answers.load(Ordering::Acquire)
    }

    /// Whether the lane is connected.
    pub(crate) fn is_up(&self) -> bool {
        *self.is_up.borrow()
    }

    /// Waits until it is.
    pub(crate) async fn up(&self) {
        let mut is_up = self.is_up.subscribe();
        // The sender lives as long as the lane.
        let _ = is_up.wait_for(|is_up| *is_up).await;
    }

    /// Whether frames for a shard are on their way and nobody knows yet whether
    /// they were taken.
    pub(crate) fn has_frames(&self, shard: Shard, epoch: Epoch) -> bool {
        let is_it = |k: &Kept| k.address.shard == shard && k.address.epoch == epoch;
        self.outbox.has(is_it)
    }

    /// Whether any frame for a shard is on its way, or taken and not settled.
    pub(crate) fn has_any(&self, shard: Shard) -> bool {
        let is_it = |kept: &Kept| kept.address.shard == shard;
        // Held all the while, as in `taken`.
        let unsettled = self.unsettled();
        unsettled.values().any(is_it) || self.outbox.has(is_it)
    }

    /// Takes back all frames for a shard that are not settled, taken or not, in
    /// their order.
    pub(crate) fn take_all(&self, shard: Shard) -> Vec<Frame> {
        // Held all the while, as in `taken`: what is taken meanwhile would be
        // left behind, and come back ahead of what was sent before it.
        let mut unsettled = self.unsettled();
        let taken = unsettled.extract_if(.., |_, kept| kept.address.shard == shard);
        let mut frames: Vec<Frame> = taken.map(|(_, kept)| kept.frame).collect();
        frames.extend(self.take_frames(shard));
        frames
    }

    /// Takes back frames for a shard that are not taken.
    pub(crate) fn take_frames(&self, shard: Shard) -> Vec<Frame> {
        let frames = self.outbox.extract(|kept| kept.address.shard == shard);
        frames.into_iter().map(|kept| kept.frame).collect()
    }

    /// Forgets everything: returns all frames that were on their way or not
    /// settled, oldest first.
    pub(crate) fn reset(&self) -> Vec<Kept> {
        let unsettled = std::mem::take(&mut *self.unsettled());
        let mut all: Vec<Kept> = unsettled.into_values().collect();
        all.extend(self.outbox.reset());
        self.questions.give_up();
        all
    }

    /// Keeps the lane connected. Ends when it is dropped.
    pub(crate) async fn run(
        self: Arc<Self>,
        connector: Connector,
        hello: Hello,
        events: Arc<dyn Events>,
    ) {
        let mut known = None;
        let mut received = 0;
        let mut pause = RETRY_FIRST;
        loop {
            let hello = Hello {
                received,
                is_new: known.is_none(),
                ..hello.clone()
            };
            let result = self
                .session(&connector, hello, &mut known, &mut received, &*events)
                .await;
            self.outbox.end();
            // The other side may be gone for good, and clients wait.
            self.questions.give_up();
            if self.is_up.send_replace(false) {
                pause = RETRY_FIRST;
            }
            events.reachable(false);
            metrics::lane_broken();
            if let Err(why) = result {
                let node = connector.node.as_str();
                tracing::warn!(node, lane = self.index, error = %status::Chain(&why), "a lane is broken");
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// One connection, from its greeting to its end.
    async fn session(
        &self,
        connector: &Connector,
        hello: Hello,
        known: &mut Option<u64>,
        received: &mut u64,
        events: &dyn Events,
    ) -> Result<(), Status> {
        let failed = |why: tonic::transport::Error| Status::from_error(Box::new(why));
        let channel = connector.connect().await.map_err(failed)?;
        let mut client = LanesClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(usize::MAX);
        let sending = Sending::after(&self.outbox, Message::hello(&hello));
        let mut down = client.open(sending).await?.into_inner();
        let first = down.message().await?;
        let first = first.ok_or_else(|| Status::aborted("it ended without a greeting"))?;
        let welcome = Envelope::read(&first.frames)
            .and_then(|envelope| envelope.welcome())
            .map_err(status::malformed)?;
        self.greet(welcome, known, received, events);
        events.reachable(true);
        let result = self.receive(&mut down, received, events).await;
        result.and(Err(Status::unavailable("the other side ended it")))
    }

    fn greet(
        &self,
        welcome: Welcome,
        known: &mut Option<u64>,
        received: &mut u64,
        events: &dyn Events,
    ) {
        let is_other = *known != Some(welcome.incarnation);
        if welcome.is_new || is_other {
            *received = 0;
            if known.is_some() {
                events.forgotten(self);
            }
        }
        *known = Some(welcome.incarnation);
        self.outbox.begin(welcome.received);
        self.answers.store(welcome.answers, Ordering::Release);
        self.is_up.send_replace(true);
    }

    async fn receive(
        &self,
        down: &mut Streaming<Message>,
        received: &mut u64,
        events: &dyn Events,
    ) -> Result<(), Status> {
        let mut debt = Debt::new();
        loop {
            let message = tokio::select! {
                message = down.message() => message?,
                () = debt.due() => {
                    self.outbox.tell_taken(*received, true);
                    continue;
                }
            };
            let Some(message) = message else {
                return Ok(());
            };
            let batch = message.frames;
            let before = *received;
            self.batch(&batch, received, events)
                .map_err(status::malformed)?;
            if *received > before {
                self.outbox.tell_taken(*received, debt.grow(batch.len()));
            }
        }
    }

    fn batch(
        &self,
        batch: &Bytes,
        received: &mut u64,
        events: &dyn Events,
    ) -> Result<(), super::pb::Malformed> {
        let mut envelope = Envelope::read(batch)?;
        let mut number = envelope.first;
        while let Some(frame) = envelope.next_frame()? {
            // One that came before the lane broke.
            if number >= *received {
                self.frame(down::read(frame, batch, events.sink())?, events);
                *received = number + 1;
            }
            number += 1;
        }
        self.taken(envelope.taken);
        Ok(())
    }

    /// Everything before this frame was taken.
    fn taken(&self, before: u64) {
        // Held all the while: a frame must not be in neither place when the
        // keeper looks for it.
        let mut unsettled = self.unsettled();
        self.outbox.acknowledged(before, |number, kept| {
            if let Frame::Routed(routed) = &kept.frame
                && routed.receipt.is_some()
            {
                unsettled.insert(number, kept);
            }
        });
    }

    fn frame(&self, frame: Incoming, events: &dyn Events) {
        match frame {
            Incoming::ToClient(number, what) => {
                // One that has left is not told anything more.
                let Some(outlet) = self.outlets.get(number) else {
                    return;
                };
                match what {
                    ToClient::Deliver(stanza, trace, in_log) => {
                        let note = Note {
                            trace: trace.as_ref(),
                            place: in_log.map(|in_log| in_log.place),
                            is_copy: in_log.is_some_and(|in_log| in_log.is_copy),
                        };
                        if outlet.deliver_noted(&stanza, note).is_err() {
                            // The session still has it: the client never says
                            // that it got it.
                            metrics::overflowed();
                            self.outlets.remove(number);
                            outlet.close(Close::ResourceConstraint);
                        }
                    }
                    ToClient::Committed(number) => outlet.committed(number),
                    ToClient::RequestAck => outlet.request_ack(),
                    ToClient::Close(why) => outlet.close(why),
                    ToClient::Enabled(management) => outlet.enabled(&management),
                    ToClient::Remember(summary) => outlet.remember(summary),
                    ToClient::Moved => events.moved(self, number),
                }
            }
            Incoming::Of(number, Fate::Settled) => {
                let waiting = self.outbox.with_kept(number, Option::take).flatten();
                let kept = waiting.or_else(|| self.unsettled().remove(&number));
                if let Some(Frame::Routed(routed)) = kept.map(|kept| kept.frame)
                    && let Some(receipt) = routed.receipt
                {
                    receipt.settle();
                }
            }
            Incoming::Of(number, Fate::WrongOwner(owner)) => {
                let shard = |kept: &mut Option<Kept>| kept.as_ref().map(|k| k.address.shard);
                // They are dealt with in their order: what was not taken of those
                // before it has been told.
                self.taken(number);
                if let Some(shard) = self.outbox.with_kept(number, shard).flatten() {
                    metrics::misdirected();
                    events.refused(self, shard, owner);
                }
            }
            Incoming::Answer(asked) => {
                let id = asked.id;
                let answer = asked
                    .decode()
                    .map_err(status::malformed)
                    .and_then(status::of_reply);
                if let Some(unwanted) = self.questions.answer(id, answer) {
                    events.unwanted(unwanted);
                }
            }
        }
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn unsettled(&self) -> MutexGuard<'_, BTreeMap<u64, Kept>> {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
