//! What is owed by a shard that another node has had before: it is read, and
//! sent on its way, before anybody of the shard does anything. Else what its
//! accounts send now could overtake it.

use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Epoch, Shard as ShardNumber};
use starling_store::outbox::{Bucket, Change, Outline, PAGE_ROWS_MAX, Row};
use starling_store::{Error, Position, Seal, Stamp, Store, Write};
use tokio::time::{Instant, sleep};

use super::arriving::Returned;
use super::{Asking, Worker};
use crate::outbox::{SWEEP_EVERY, Wanted};
use crate::work::{Task, Work};
use crate::{metrics, reject};

/// Pieces of work that wait for one shard; more of them that can be refused are.
const WAITING_MAX: usize = 10_000;

/// Pause before a store that did not answer is asked again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What was found in the outbox of a shard.
pub(super) struct Waiting {
    outline: Outline,
    rows: Vec<Row>,
}

/// A shard of which is not known yet what it owes.
#[derive(Default)]
pub(super) struct Opening {
    waiting: Vec<Work>,
    /// Nobody wants to know any more once the shard is another's.
    _asking: Option<Asking>,
}

impl Worker {
    /// Reads what a shard owes. Alone, a node owes nothing to other nodes.
    pub(super) fn open(&mut self, number: ShardNumber, epoch: Epoch) {
        if self.env.fence.is_none() {
            return;
        }
        let (asking, asked) = Asking::begin();
        let opening = Opening {
            waiting: Vec::new(),
            _asking: Some(asking),
        };
        self.opening.insert(number, opening);
        let store = Arc::clone(&self.env.store);
        self.away.push(Box::pin(async move {
            match asked.answered(read(&*store, number, epoch)).await {
                Some(found) => Returned::Opened(number, epoch, found),
                None => Returned::Unwanted,
            }
        }));
    }

    /// The work comes back if its shard is open; else it waits, or is refused.
    pub(super) fn pass_open(&mut self, work: Work) -> Option<Work> {
        if self.opening.is_empty() {
            return Some(work);
        }
        let Some(Opening { waiting, .. }) = self.opening.get_mut(&work.shard) else {
            return Some(work);
        };
        if matches!(work.task, Task::Reattach(..)) && self.owned.waiting.is_gathering(work.shard) {
            // It sends nothing: what does, waits until all sessions are here.
            return Some(work);
        }
        if waiting.len() >= WAITING_MAX && work.task.is_refusable() {
            metrics::account_overloaded();
            self.release(reject::overloaded(work.task));
        } else {
            waiting.push(work);
        }
        None
    }

    /// It is known what a shard owes.
    pub(super) fn opened(
        &mut self,
        number: ShardNumber,
        epoch: Epoch,
        found: Result<Waiting, Error>,
    ) {
        let shard = self.shards.get(&number);
        if shard.is_none_or(|shard| shard.epoch != epoch) {
            return;
        }
        match found {
            Ok(Waiting { outline, rows }) => {
                if !rows.is_empty() {
                    let stanzas = rows.len();
                    tracing::info!(shard = %number, stanzas, "an earlier owner had promised to send these");
                }
                self.inbox.outbox.adopt(&self.env, number, outline, rows);
            }
            // The store has stopped, and the process with it.
            Err(error) => {
                tracing::error!(shard = %number, %error, "what it has to send cannot be read");
            }
        }
        let opening = self.opening.remove(&number).unwrap_or_default();
        for work in opening.waiting {
            self.begin(work);
        }
    }

    /// A shard is served elsewhere: so is what it owes. What waited for it is
    /// handed back.
    pub(super) fn close(&mut self, number: ShardNumber) -> Vec<Work> {
        self.inbox.outbox.forget(number);
        self.opening.remove(&number).unwrap_or_default().waiting
    }

    /// What waits for a shard waits until it is known whose it is.
    pub(super) fn put_off(&mut self, number: ShardNumber) {
        let opening = self.opening.get_mut(&number);
        let waiting = opening.map(|opening| std::mem::take(&mut opening.waiting));
        for work in waiting.unwrap_or_default() {
            self.begin(work);
        }
    }

    /// Looks at what is on its way to other nodes.
    pub(super) fn sweep(&mut self) {
        self.sweep_at = Instant::now() + SWEEP_EVERY;
        let epoch_of = |number| (!self.is_frozen(number)).then(|| self.epoch_of(number))?;
        let wanted = self.inbox.outbox.sweep(&self.env, epoch_of);
        for wanted in wanted {
            let Wanted {
                shard,
                account,
                keep,
            } = wanted;
            self.begin(Work {
                shard,
                target: account,
                task: Task::Keep(Box::new(keep)),
            });
        }
    }
}

/// Reads it, however long that takes: nothing else of the shard could be read
/// either.
async fn read(store: &dyn Store, number: ShardNumber, epoch: Epoch) -> Result<Waiting, Error> {
    loop {
        match read_now(store, number.number(), epoch.0).await {
            Err(error) if !error.is_fatal() => {
                tracing::error!(shard = %number, %error, "what it has to send cannot be read; trying again");
                sleep(RETRY_PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn read_now(store: &dyn Store, shard: u16, epoch: u32) -> Result<Waiting, Error> {
    let mut outline = store.outbox(shard).await?;
    let mut rows = Vec::new();
    let Some(hours) = outline.extent.hours else {
        return Ok(Waiting { outline, rows });
    };
    let mut last = outline.extent.through;
    for hour in hours.first..=hours.last {
        let bucket = Bucket { shard, hour };
        let mut after = Position::START;
        loop {
            let page = store.outbox_page(bucket, after, PAGE_ROWS_MAX).await?;
            let Some(end) = page.last() else {
                break;
            };
            after = end.position;
            last = last.max(after);
            rows.extend(page.into_iter().filter(|row| outline.is_owed(row)));
        }
    }
    let Some(first) = rows.first() else {
        return Ok(Waiting { outline, rows });
    };
    if outline.extent.seals.iter().any(|seal| seal.epoch == epoch) {
        // It was open under this epoch before.
        return Ok(Waiting { outline, rows });
    }
    // What an earlier owner still writes was never promised to anybody.
    outline.extent.seals.push(Seal { epoch, last });
    let extend = Change::Extend {
        shard,
        extent: outline.extent.clone(),
    };
    let write = Write::new(first.target.clone(), Stamp::new(epoch, 0), extend);
    store.commit(vec![write]).await?;
    Ok(Waiting { outline, rows })
}
