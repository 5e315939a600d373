//! When the other side of a lane is told what of its frames was taken.
//!
//! Each batch that goes there says it. By itself it is told only when nothing
//! has gone there for a while, or much has come: told at once, it would be a
//! message of its own before the answer that says it as well, and half of all
//! messages of a lane that is not busy.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// What was taken is told at the latest after this. Senders keep what was not;
/// a shard that moves waits for it.
const DELAY_MAX: Duration = Duration::from_millis(10);

/// What was taken is told when it is this much.
const BYTES_MAX: usize = 131_072;

/// What was taken since the last look.
pub(super) struct Debt {
    bytes: usize,
    since: Option<Instant>,
    /// Kept from one debt to the next: to make a timer for every batch costs
    /// more than to read one.
    timer: Pin<Box<Sleep>>,
}

impl Debt {
    pub(super) fn new() -> Self {
        Self {
            bytes: 0,
            since: None,
            timer: Box::pin(sleep(DELAY_MAX)),
        }
    }

    /// A batch of this size came. Returns whether it is time to tell; then the
    /// debt begins anew.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        let now = Instant::now();
        let since = *self.since.get_or_insert_with(|| {
            self.timer.as_mut().reset(now + DELAY_MAX);
            now
        });
        let is_due = self.bytes >= BYTES_MAX || now.duration_since(since) >= DELAY_MAX;
        if is_due {
            self.paid();
        }
        is_due
    }

    /// Waits until it is time to tell; then the debt begins anew.
    pub(super) async fn due(&mut self) {
        if self.since.is_none() {
            pending::<()>().await;
        }
        self.timer.as_mut().await;
        self.paid();
    }

    fn paid(&mut self) {
        self.bytes = 0;
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_due_when_it_is_large_or_old_and_never_when_there_is_none() {
        let mut debt = Debt::new();
        assert!(!debt.grow(1) && debt.grow(BYTES_MAX), "large");
        advance(2 * DELAY_MAX).await;
        assert_eq!(debt.due().now_or_never(), None, "there is none");
        assert!(!debt.grow(1), "it is younger than the one before");
        assert_eq!(debt.due().now_or_never(), None, "young");
        advance(DELAY_MAX).await;
        assert!(debt.grow(1), "old");
        assert!(!debt.grow(1));
        debt.due().await;
        assert_eq!(debt.due().now_or_never(), None, "told");
    }
}
