//! A question to the store, for as long as somebody waits for its answer: a shard
//! that leaves does not stay because the store says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

/// Whoever waits keeps this; once it is dropped, nobody does.
#[derive(Debug)]
pub(crate) struct Asking {
    is_writing: Mark,
    _waits: oneshot::Sender<()>,
}

/// The question.
pub(crate) struct Asked {
    pub(super) is_writing: Mark,
    answer: oneshot::Receiver<()>,
}

/// Whether something of the account is written that has to be waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark(Arc<AtomicBool>);

impl Asking {
    pub(crate) fn begin() -> (Self, Asked) {
        let (waits, answer) = oneshot::channel();
        let is_writing = Mark::default();
        let asked = Asked {
            is_writing: is_writing.clone(),
            answer,
        };
        let asking = Self {
            is_writing,
            _waits: waits,
        };
        (asking, asked)
    }

    /// Whether it has to be waited for.
    pub(crate) fn is_writing(&self) -> bool {
        self.is_writing.0.load(Ordering::Relaxed)
    }
}

impl Asked {
    /// The answer; `None` as soon as nobody waits for it.
    pub(super) async fn answered<T>(self, answer: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            // Nothing is ever sent.
            _ = self.answer => None,
            answer = answer => Some(answer),
        }
    }
}

impl Mark {
    pub(super) fn set(&self, is_writing: bool) {
        self.0.store(is_writing, Ordering::Relaxed);
    }
}
