//! One direction of a lane at its sender: frames are written into a batch as
//! they come, numbered, kept until the other side has taken them, and sent
//! again when the lane connects again.
//!
//! What the frames mean is not known here. Who keeps more of a frame than its
//! bytes gives it along and gets it back when the frame was taken.

mod sending;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::envelope::Message;

pub(crate) use sending::Sending;

/// The first allocation of a batch.
const BATCH_BYTES_FIRST: usize = 2_048;

/// When a batch is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batching {
    /// At once, when it has this many bytes.
    pub(crate) bytes: usize,
    /// At the latest, while more keeps coming.
    pub(crate) delay: Duration,
}

/// Frames on their way.
pub(crate) struct Outbox<K> {
    state: Mutex<State<K>>,
    batching: Batching,
    /// There is room again.
    pub(crate) room: Notify,
}

struct State<K> {
    /// The batch that is being written, and how many frames are in it.
    open: BytesMut,
    open_frames: u64,
    /// Batches that the other side has not taken yet.
    batches: VecDeque<Batch>,
    /// How many of them were sent on the present stream.
    sent: usize,
    /// The number of the first frame that is kept.
    first: u64,
    /// What is kept of each frame from `first` on.
    kept: VecDeque<Option<K>>,
    /// Bytes in `batches` and `open`.
    bytes: usize,
    /// What the other side is told of the frames that came from it.
    taken: u64,
    /// How much of it the present stream has told.
    told: u64,
    is_ack_due: bool,
    /// Which stream sends; an earlier one has ended.
    stream: Option<u64>,
    streams: u64,
    waker: Option<Waker>,
    /// The size of the last batch: the next one is likely to be as large.
    bytes_last: usize,
}

struct Batch {
    first: u64,
    frames: u64,
    /// What had been taken when it was closed. A batch must not say more than
    /// that: why a frame was not taken may be told in the next one.
    taken: u64,
    bytes: Bytes,
}

impl<K> Outbox<K> {
    pub(crate) fn new(batching: Batching) -> Self {
        Self {
            state: Mutex::new(State {
                open: BytesMut::new(),
                open_frames: 0,
                batches: VecDeque::new(),
                sent: 0,
                first: 0,
                kept: VecDeque::new(),
                bytes: 0,
                taken: 0,
                told: 0,
                is_ack_due: false,
                stream: None,
                streams: 0,
                waker: None,
                bytes_last: 0,
            }),
            batching,
            room: Notify::new(),
        }
    }

    /// Bytes that wait to be taken.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Adds a frame if no more than `bytes_max` wait. Gives back what was to be
    /// kept if there is no room.
    pub(crate) fn push(
        &self,
        bytes_max: usize,
        kept: K,
        write: impl FnOnce(&K, &mut BytesMut),
    ) -> Result<(), K> {
        let state = self.lock();
        if state.bytes >= bytes_max {
            return Err(kept);
        }
        self.append(state, |out| {
            write(&kept, out);
            Some(kept)
        });
        Ok(())
    }

    /// Adds a frame of which nothing but its bytes is kept.
    pub(crate) fn push_bytes(&self, write: impl FnOnce(&mut BytesMut)) {
        self.append(self.lock(), |out| {
            write(out);
            None
        });
    }

    fn append(
        &self,
        mut state: MutexGuard<'_, State<K>>,
        write: impl FnOnce(&mut BytesMut) -> Option<K>,
    ) {
        let before = state.open.len();
        if before == 0 {
            let room = state.bytes_last.max(BATCH_BYTES_FIRST);
            state.open.reserve(room.min(self.batching.bytes));
        }
        let kept = write(&mut state.open);
        state.bytes += state.open.len() - before;
        state.kept.push_back(kept);
        state.open_frames += 1;
        if state.open.len() >= self.batching.bytes {
            state.seal();
        }
        wake(state);
    }

    /// The other side has taken everything before `taken`: gives back what was
    /// kept of it, with its numbers.
    pub(crate) fn acknowledged(&self, taken: u64, mut each: impl FnMut(u64, K)) {
        let mut done = VecDeque::new();
        let mut state = self.lock();
        // A number that was never given is no reason to forget anything else.
        let taken = taken.min(state.first + state.kept.len() as u64);
        let first = state.first;
        if taken <= first {
            return;
        }
        let count = usize::try_from(taken - first).unwrap_or(usize::MAX);
        done.extend(state.kept.drain(..count));
        state.first = taken;
        while let Some(batch) = state.batches.front() {
            if batch.first + batch.frames > taken {
                break;
            }
            state.bytes -= batch.bytes.len();
            state.batches.pop_front();
            state.sent = state.sent.saturating_sub(1);
        }
        drop(state);
        self.room.notify_waiters();
        for (number, kept) in (first..).zip(done) {
            if let Some(kept) = kept {
                each(number, kept);
            }
        }
    }

    /// Looks at what is kept of a frame.
    pub(crate) fn with_kept<T>(
        &self,
        number: u64,
        look: impl FnOnce(&mut Option<K>) -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        let place = usize::try_from(number.checked_sub(state.first)?).ok()?;
        state.kept.get_mut(place).map(look)
    }

    /// Takes what is kept of the frames that `is_wanted` picks, in order.
    pub(crate) fn extract(&self, mut is_wanted: impl FnMut(&K) -> bool) -> Vec<K> {
        let mut state = self.lock();
        let wanted = |slot: &mut Option<K>| slot.take_if(|kept| is_wanted(kept));
        state.kept.iter_mut().filter_map(wanted).collect()
    }

    /// Whether any frame that `is_wanted` picks is not taken yet.
    pub(crate) fn has(&self, mut is_wanted: impl FnMut(&K) -> bool) -> bool {
        let state = self.lock();
        state.kept.iter().flatten().any(&mut is_wanted)
    }

    /// Notes how much of the other direction was taken. It is told with the
    /// next batch; or alone if `is_due`, unless a batch has told it already.
    pub(crate) fn tell_taken(&self, taken: u64, is_due: bool) {
        let mut state = self.lock();
        state.taken = taken;
        let is_due = is_due && taken > state.told;
        state.is_ack_due |= is_due;
        if is_due {
            wake(state);
        }
    }

    /// Begins to send: from the frame on that the other side lacks.
    pub(crate) fn begin(&self, received: u64) -> u64 {
        let mut state = self.lock();
        let has = |batch: &Batch| batch.first + batch.frames <= received;
        state.sent = state.batches.iter().take_while(|batch| has(batch)).count();
        state.streams += 1;
        state.stream = Some(state.streams);
        // What was told on a stream that broke may not have come.
        state.told = 0;
        let stream = state.streams;
        wake(state);
        stream
    }

    /// Ends the stream that sends; what waits, waits.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.stream = None;
        state.sent = 0;
        wake(state);
    }

    /// Forgets everything and counts from 0: the other side knows nothing.
    /// Gives back what was kept, in order.
    pub(crate) fn reset(&self) -> Vec<K> {
        let mut state = self.lock();
        let kept = std::mem::take(&mut state.kept);
        state.batches.clear();
        state.open.clear();
        (state.open_frames, state.sent, state.first) = (0, 0, 0);
        (state.bytes, state.taken, state.told) = (0, 0, 0);
        state.is_ack_due = false;
        drop(state);
        self.room.notify_waiters();
        kept.into_iter().flatten().collect()
    }

    /// Whoever panicked while writing has left a frame torn: it is the last in
    /// its batch, and the receiver refuses the batch.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the stream that sends look again, without the lock.
fn wake<K>(mut state: MutexGuard<'_, State<K>>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<K> State<K> {
    /// Closes the open batch.
    fn seal(&mut self) {
        self.bytes_last = self.open.len();
        let bytes = std::mem::take(&mut self.open).freeze();
        let frames = std::mem::take(&mut self.open_frames);
        let first = self.first + self.kept.len() as u64 - frames;
        self.batches.push_back(Batch {
            first,
            frames,
            taken: self.taken,
            bytes,
        });
        self.is_ack_due = false;
    }

    fn next_message(&mut self) -> Option<Message> {
        if let Some(batch) = self.batches.get(self.sent) {
            self.sent += 1;
            self.told = self.told.max(batch.taken);
            return Some(Message::batch(
                batch.first,
                batch.taken,
                batch.bytes.clone(),
            ));
        }
        if self.open_frames == 0 && std::mem::take(&mut self.is_ack_due) {
            self.told = self.taken;
            return Some(Message::batch(0, self.taken, Bytes::new()));
        }
        None
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
