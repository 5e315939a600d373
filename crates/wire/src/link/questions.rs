//! Questions on their way by one lane, and who waits for their answers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tonic::Status;

use super::v1::reply::What as Reply;

/// Questions that wait for their answers by one lane; those beyond wait for
/// their turn.
pub(super) const QUESTIONS_MAX: usize = 1_024;

/// What a question has for an answer, or why it has none.
pub(crate) type Answer = Result<Reply, Status>;

/// Those of one lane.
pub(crate) struct Questions {
    waiting: Mutex<Waiting>,
    turns: Semaphore,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    askers: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Questions {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            turns: Semaphore::new(QUESTIONS_MAX),
        }
    }

    /// Waits until one more may be asked. `None` is never given.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// A number for a question, and where its answer comes.
    pub(super) fn begin(&self) -> (u64, oneshot::Receiver<Answer>) {
        let (asker, answered) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.last += 1;
        let id = waiting.last;
        waiting.askers.insert(id, asker);
        (id, answered)
    }

    /// Nobody waits for this answer any more.
    pub(super) fn forget(&self, id: u64) {
        self.lock().askers.remove(&id);
    }

    /// Hands over an answer. It comes back if nobody waits for it.
    pub(super) fn answer(&self, id: u64, answer: Answer) -> Option<Answer> {
        let asker = self.lock().askers.remove(&id);
        match asker {
            Some(asker) => asker.send(answer).err(),
            None => Some(answer),
        }
    }

    /// Nobody waits any longer: whether an answer will come is not known.
    pub(super) fn give_up(&self) {
        let askers = std::mem::take(&mut self.lock().askers);
        drop(askers);
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
