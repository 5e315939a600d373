//! Store before you speak: the writes of many stanzas become durable together,
//! and only then is what depends on them released, in order.
//!
//! A worker collects while earlier cycles are on their way to the store. The
//! store's failures that a retry can mend are retried with the same batch,
//! because a timeout does not mean "not written"; the others stop the node.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use starling_store::{Error, Store, Write};
use tokio::sync::Notify;

use crate::effects::Effect;
use crate::metrics;

/// Cycles that may be on their way to the store at once. Two keep the store
/// busy while the next is collected; more would only make batches smaller.
const CYCLES_IN_FLIGHT_MAX: usize = 2;

/// Pause before a failed batch is tried again; it doubles up to the second.
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The place of a cycle in the order of its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CycleNumber(u64);

/// How far a worker's cycles have come, for those who wait for one of them.
#[derive(Default)]
pub(crate) struct Progress {
    completed: AtomicU64,
    advanced: Notify,
}

impl Progress {
    /// Whether everything of a cycle has been released.
    pub(crate) fn is_completed(&self, cycle: CycleNumber) -> bool {
        cycle.0 <= self.completed.load(Ordering::Acquire)
    }

    /// Waits until a cycle is durable: what is read then contains it.
    pub(crate) async fn reach(&self, cycle: CycleNumber) {
        loop {
            let advanced = self.advanced.notified();
            if self.is_completed(cycle) {
                return;
            }
            advanced.await;
        }
    }

    fn advance(&self) {
        self.completed.fetch_add(1, Ordering::Release);
        self.advanced.notify_waiters();
    }
}

/// The cycles of one worker.
pub(crate) struct Commits {
    store: Arc<dyn Store>,
    /// What is being collected.
    writes: Vec<Write>,
    releases: Vec<Effect>,
    /// The number of what is being collected.
    current: CycleNumber,
    /// Everything up to here is durable and released.
    progress: Arc<Progress>,
    in_flight: FuturesOrdered<BoxFuture<'static, Result<(), Error>>>,
    waiting: VecDeque<Vec<Effect>>,
}

impl Commits {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            writes: Vec::new(),
            releases: Vec::new(),
            current: CycleNumber(1),
            progress: Arc::default(),
            in_flight: FuturesOrdered::new(),
            waiting: VecDeque::new(),
        }
    }

    /// How far they have come.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Adds to the cycle that is being collected and tells its number.
    pub(crate) fn collect(
        &mut self,
        writes: impl IntoIterator<Item = Write>,
        releases: &mut Vec<Effect>,
    ) -> CycleNumber {
        self.writes.extend(writes);
        self.releases.append(releases);
        self.current
    }

    /// Sends what was collected on its way, unless enough is on its way.
    pub(crate) fn start(&mut self) {
        if (self.writes.is_empty() && self.releases.is_empty())
            || self.in_flight.len() >= CYCLES_IN_FLIGHT_MAX
        {
            return;
        }
        let batch = std::mem::take(&mut self.writes);
        metrics::commit_started(batch.len());
        self.waiting.push_back(std::mem::take(&mut self.releases));
        self.in_flight
            .push_back(Box::pin(store_all(Arc::clone(&self.store), batch)));
        self.current = CycleNumber(self.current.0 + 1);
    }

    /// Whether [`Commits::next`] has anything to wait for.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Waits for the oldest cycle and hands over what it held back. Safe to
    /// cancel.
    ///
    /// # Errors
    /// The store has stopped: nothing of this cycle may be released.
    pub(crate) async fn next(&mut self) -> Result<Vec<Effect>, Error> {
        match self.in_flight.next().await {
            Some(Ok(())) => {
                self.progress.advance();
                Ok(self.waiting.pop_front().unwrap_or_default())
            }
            Some(Err(error)) => Err(error),
            None => std::future::pending().await,
        }
    }
}

/// Makes a batch durable, however often it has to be tried: nothing of it is
/// released meanwhile, so senders run out of credit and wait. It goes on by
/// itself once the store answers or has room again.
async fn store_all(store: Arc<dyn Store>, batch: Vec<Write>) -> Result<(), Error> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut pause = RETRY_PAUSE_FIRST;
    loop {
        match store.commit(batch.clone()).await {
            Err(error @ (Error::Unavailable { .. } | Error::Full { .. })) => {
                metrics::commit_retried();
                tracing::error!(%error, "nothing can be stored, so senders wait; trying the same again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
            done => return done,
        }
    }
}
