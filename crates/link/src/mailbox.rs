//! A queue with many senders and one reader who takes all of it at once.
//!
//! Draining in one swap costs one lock for a whole batch, which is what makes
//! a batch cheap. Strangers are refused beyond the bound and wait for room;
//! work that follows from work already accepted (`push_owed`) is always taken,
//! since two shards that waited for each other would stand still for ever. What
//! is owed is bounded by what was accepted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The queue.
pub struct Mailbox<T> {
    items: Mutex<Vec<T>>,
    items_max: usize,
    arrived: Notify,
    drained: Notify,
}

impl<T> Mailbox<T> {
    /// An empty mailbox that refuses strangers beyond `items_max`.
    pub fn new(items_max: usize) -> Self {
        Self {
            items: Mutex::new(Vec::new()),
            items_max,
            arrived: Notify::new(),
            drained: Notify::new(),
        }
    }

    /// Adds an item, or hands it back if there is no room.
    ///
    /// # Errors
    /// The item itself.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.lock();
        if items.len() >= self.items_max {
            return Err(item);
        }
        self.put(&mut items, item);
        Ok(())
    }

    /// Adds an item that follows from one already accepted.
    pub fn push_owed(&self, item: T) {
        let mut items = self.lock();
        self.put(&mut items, item);
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
        let mut items = self.lock();
        if items.is_empty() {
            return false;
        }
        std::mem::swap(&mut *items, batch);
        drop(items);
        self.drained.notify_waiters();
        true
    }

    /// Waits until strangers are likely to be taken.
    pub async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.lock().len() < self.items_max {
                return;
            }
            drained.await;
        }
    }

    /// Only the first item of a batch wakes the reader: it takes the rest anyway.
    fn put(&self, items: &mut Vec<T>, item: T) {
        items.push(item);
        if items.len() == 1 {
            self.arrived.notify_one();
        }
    }

    /// A sender that panicked cannot have left a `Vec` half changed.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(mailbox.push('b'), Err('b'));
        mailbox.push_owed('c');
        let mut batch = Vec::new();
        mailbox.drain(&mut batch).await;
        assert_eq!(batch, ['a', 'c']);
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
