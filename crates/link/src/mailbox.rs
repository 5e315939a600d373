//! A queue with many senders and one reader who takes all of it at once.
//!
//! Draining in one swap costs one lock for a whole batch, which is what makes
//! a batch cheap. Strangers are refused beyond the bound and wait for room.
//! Work that follows from work already accepted never waits, since two readers
//! that waited for each other would stand still for ever: it is refused only
//! beyond a higher bound, or, where it must not be lost, not at all.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many times the bound of strangers holds for what follows from work
/// already accepted: one stanza may fan out to many.
const FOLLOWING_FACTOR: usize = 8;

/// An item that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Returned<T> {
    /// There is no room.
    Full(T),
    /// Nobody reads any more.
    Closed(T),
}

/// The queue.
pub struct Mailbox<T> {
    state: Mutex<State<T>>,
    items_max: usize,
    arrived: Notify,
    drained: Notify,
}

struct State<T> {
    items: Vec<T>,
    is_closed: bool,
}

impl<T> Mailbox<T> {
    /// An empty mailbox that refuses strangers beyond `items_max`.
    pub fn new(items_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: Vec::new(),
                is_closed: false,
            }),
            items_max,
            arrived: Notify::new(),
            drained: Notify::new(),
        }
    }

    /// Adds an item of a stranger, who waits for [`Mailbox::room`] if there is
    /// none.
    ///
    /// # Errors
    /// The item comes back.
    pub fn push(&self, item: T) -> Result<(), Returned<T>> {
        self.push_below(self.items_max, item)
    }

    /// Adds an item that follows from one already accepted, and may be refused.
    ///
    /// # Errors
    /// The item comes back.
    pub fn push_following(&self, item: T) -> Result<(), Returned<T>> {
        self.push_below(self.items_max.saturating_mul(FOLLOWING_FACTOR), item)
    }

    /// Adds an item that must not be refused, because something waits for it
    /// that is bounded elsewhere. After [`Mailbox::close`] it is dropped.
    pub fn push_owed(&self, item: T) {
        // Without a bound it can only be closed.
        let _ = self.push_below(usize::MAX, item);
    }

    /// Whether everything that came was taken out.
    pub fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// Drops what there is and takes nothing more: the reader has gone.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let dropped = std::mem::take(&mut state.items);
        drop(state);
        drop(dropped);
        self.drained.notify_waiters();
    }

    fn push_below(&self, bound: usize, item: T) -> Result<(), Returned<T>> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Returned::Closed(item));
        }
        if state.items.len() >= bound {
            return Err(Returned::Full(item));
        }
        state.items.push(item);
        // Only the first of a batch wakes the reader: it takes the rest anyway.
        if state.items.len() == 1 {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits until there is something, and swaps all of it into `batch`, which
    /// must be empty. Safe to cancel: nothing is taken before it returns.
    pub async fn drain(&self, batch: &mut Vec<T>) {
        debug_assert!(batch.is_empty(), "a batch is emptied before the next");
        loop {
            let arrived = self.arrived.notified();
            if self.try_drain(batch) {
                return;
            }
            arrived.await;
        }
    }

    /// Swaps what there is into `batch` without waiting; `false` if nothing.
    pub fn try_drain(&self, batch: &mut Vec<T>) -> bool {
        let mut state = self.lock();
        if state.items.is_empty() {
            return false;
        }
        std::mem::swap(&mut state.items, batch);
        drop(state);
        self.drained.notify_waiters();
        true
    }

    /// Waits until strangers are likely to be taken, or nobody is.
    pub async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.is_worth_trying() {
                return;
            }
            drained.await;
        }
    }

    fn is_worth_trying(&self) -> bool {
        let state = self.lock();
        state.is_closed || state.items.len() < self.items_max
    }

    /// A sender that panicked cannot have left a `Vec` half changed.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_batch_holds_everything_in_order() {
        let mailbox = Mailbox::new(10);
        for n in 0..3 {
            assert_eq!(mailbox.push(n), Ok(()));
        }
        let mut batch = Vec::new();
        mailbox.drain(&mut batch).await;
        assert_eq!(batch, [0, 1, 2]);
    }

    #[tokio::test]
    async fn strangers_are_refused_when_full_and_what_is_owed_is_not() {
        let mailbox = Mailbox::new(1);
        assert_eq!(mailbox.push('a'), Ok(()));
        assert_eq!(mailbox.push('b'), Err(Returned::Full('b')));
        mailbox.push_owed('c');
        let mut batch = Vec::new();
        mailbox.drain(&mut batch).await;
        assert_eq!(batch, ['a', 'c']);
    }

    #[test]
    fn what_follows_has_a_higher_bound_and_what_is_owed_none() {
        let mailbox = Mailbox::new(1);
        let taken = (0..100).filter(|n| mailbox.push_following(*n).is_ok());
        assert_eq!(taken.count(), FOLLOWING_FACTOR);
        mailbox.push_owed(100);
        let mut batch = Vec::new();
        assert!(mailbox.try_drain(&mut batch));
        assert_eq!(batch.last(), Some(&100));
    }

    #[tokio::test]
    async fn whoever_waits_for_an_answer_learns_that_the_reader_has_gone() {
        let mailbox = Mailbox::new(1);
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        mailbox.push_owed(answer);
        mailbox.close();
        assert!(answered.await.is_err());
        let (late, answered) = tokio::sync::oneshot::channel::<()>();
        assert!(matches!(mailbox.push(late), Err(Returned::Closed(_))));
        assert!(answered.await.is_err());
        mailbox.room().await;
    }

    #[tokio::test]
    async fn a_refused_sender_goes_on_once_there_is_room() {
        let mailbox = Arc::new(Mailbox::new(1));
        assert_eq!(mailbox.push(1), Ok(()));
        let waiting = tokio::spawn({
            let mailbox = Arc::clone(&mailbox);
            async move {
                mailbox.room().await;
                mailbox.push(2)
            }
        });
        tokio::task::yield_now().await;
        let mut batch = Vec::new();
        mailbox.drain(&mut batch).await;
        assert!(matches!(waiting.await, Ok(Ok(()))));
        batch.clear();
        mailbox.drain(&mut batch).await;
        assert_eq!(batch, [2]);
    }

    #[tokio::test]
    async fn a_reader_wakes_for_what_arrives_later() {
        let mailbox = Arc::new(Mailbox::new(8));
        let reader = tokio::spawn({
            let mailbox = Arc::clone(&mailbox);
            async move {
                let mut batch = Vec::new();
                mailbox.drain(&mut batch).await;
                batch
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(mailbox.push("late"), Ok(()));
        assert_eq!(reader.await.ok(), Some(vec!["late"]));
    }
}
