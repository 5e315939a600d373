//! What an outbox says on one stream, for as long as that one lasts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Instant;

use super::{Message, Outbox};

/// The messages of one stream, as tonic wants them: the greeting, then batches.
pub(crate) struct Sending<K> {
    outbox: Arc<Outbox<K>>,
    greeting: Option<Message>,
    /// Which stream this is, once it may send.
    stream: Stage,
    /// The open batch when it was last looked at, and since when it is open.
    seen: usize,
    since: Option<Instant>,
}

/// How far a stream is.
#[derive(Clone, Copy)]
enum Stage {
    /// It waits for the next [`Outbox::begin`] after this many.
    Waiting(u64),
    /// It sends.
    Sending(u64),
}

impl<K> Sending<K> {
    /// A stream that says `greeting` and sends once [`Outbox::begin`] is
    /// called after this.
    pub(crate) fn after(outbox: &Arc<Outbox<K>>, greeting: Message) -> Self {
        let stage = Stage::Waiting(outbox.lock().streams);
        Self::at(outbox, greeting, stage)
    }

    /// A stream that sends as the one that [`Outbox::begin`] returned.
    pub(crate) fn of(outbox: &Arc<Outbox<K>>, greeting: Message, stream: u64) -> Self {
        Self::at(outbox, greeting, Stage::Sending(stream))
    }

    fn at(outbox: &Arc<Outbox<K>>, greeting: Message, stream: Stage) -> Self {
        Self {
            outbox: Arc::clone(outbox),
            greeting: Some(greeting),
            stream,
            seen: 0,
            since: None,
        }
    }

    /// Whether to let others write into the open batch first: as long as each
    /// look finds more, and not for long.
    fn is_growing(&mut self, bytes: usize, delay: Duration) -> bool {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let is_growing = bytes > self.seen && now.duration_since(since) < delay;
        self.seen = bytes;
        if !is_growing {
            self.seen = 0;
            self.since = None;
        }
        is_growing
    }
}

impl<K: Send> Stream for Sending<K> {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(greeting) = this.greeting.take() {
            return Poll::Ready(Some(greeting));
        }
        let outbox = Arc::clone(&this.outbox);
        let mut state = outbox.lock();
        match (this.stream, state.stream) {
            (Stage::Waiting(before), Some(stream)) if stream > before => {
                this.stream = Stage::Sending(stream);
            }
            (Stage::Waiting(before), _) if state.streams == before => {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            (Stage::Sending(own), Some(stream)) if own == stream => {}
            _ => return Poll::Ready(None),
        }
        if let Some(message) = state.next_message() {
            return Poll::Ready(Some(message));
        }
        if state.open_frames == 0 {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if this.is_growing(state.open.len(), outbox.batching.delay) {
            // The others that are ready to run come first.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.seal();
        Poll::Ready(state.next_message())
    }
}
