//! Store before you speak: the writes of many stanzas become durable together,
//! and only then is what depends on them released, in order.
//!
//! A worker collects while the cycle before is on its way to the store. Only
//! one is: a batch that has to be tried again must not be overtaken by a later
//! one, or an older row would replace a newer. The store's failures that time
//! can mend are tried again with the same batch, because a timeout does not
//! mean "not written".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use starling_link::ActiveSpan;
use starling_store::{Error, Store, Write};
use starling_xmpp::{BareJid, Head};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::effects::Effect;
use crate::failpoint::{Step, reach};
use crate::{OwnFence, metrics, reject};

/// Pause before a failed batch is tried again; it doubles up to the second.
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Shares, writes and effects for which a cycle has room from the beginning, if
/// the one before had as many.
const ROOM_MAX: usize = 1_024;

/// Where batches go: the store's `commit`.
pub(crate) type Sink = Arc<dyn Fn(Vec<Write>) -> Storing + Send + Sync>;
type Storing = BoxFuture<'static, Result<(), Error>>;

/// The sink that a store is. With a fence, what is stored counts only if the
/// fence was clear afterwards: read before, it would prove nothing.
pub(crate) fn sink(store: Arc<dyn Store>, fence: Option<OwnFence>) -> Sink {
    Arc::new(move |batch| {
        let (store, fence) = (Arc::clone(&store), fence.clone());
        Box::pin(async move {
            reach(Step::CommitBegun);
            store.commit(batch).await?;
            reach(Step::CommitStored);
            if let Some(fence) = fence {
                fence.clear().await?;
            }
            reach(Step::CommitFenced);
            Ok(())
        })
    })
}

/// The place of a cycle in the order of its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CycleNumber(u64);

/// How far a worker's cycles have come, for those who wait for one of them.
#[derive(Default)]
pub(crate) struct Progress {
    completed: AtomicU64,
    advanced: Notify,
    is_stuck: AtomicBool,
}

impl Progress {
    /// Whether everything of a cycle has been released.
    pub(crate) fn is_completed(&self, cycle: CycleNumber) -> bool {
        cycle.0 <= self.completed.load(Ordering::Acquire)
    }

    /// How many cycles are durable.
    pub(crate) fn count(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
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

    /// Whether the store has taken nothing for longer than clients are let wait.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Acquire)
    }

    fn set_stuck(&self, is_stuck: bool) {
        if self.is_stuck.swap(is_stuck, Ordering::AcqRel) != is_stuck {
            match is_stuck {
                true => tracing::error!("nothing can be stored, so what clients send is refused"),
                false => tracing::info!("the store takes writes again"),
            }
        }
    }

    fn advance(&self) {
        self.completed.fetch_add(1, Ordering::Release);
        self.advanced.notify_waiters();
    }
}

/// Whose handling at one account leaves something behind.
pub(crate) struct Share {
    pub(crate) owner: BareJid,
    /// The head of the stanza that led to it, if somebody else sent it.
    pub(crate) head: Option<Head>,
    /// Its way to the store, if the stanza is watched.
    pub(crate) watched: Option<Box<ActiveSpan>>,
}

impl Share {
    /// It is durable.
    fn end(self) {
        if let Some(watched) = self.watched {
            watched.end();
        }
    }
}

/// What becomes durable together: what all shares leave behind, one behind the
/// other, so that it is handed on as it is.
#[derive(Default)]
struct Cycle {
    shares: Vec<Part>,
    writes: Vec<Write>,
    releases: Vec<Effect>,
}

/// A share, and how much of its cycle it has.
struct Part {
    share: Share,
    writes: usize,
    releases: usize,
}

impl Cycle {
    /// An empty one with room for as much as another has.
    fn like(other: &Self) -> Self {
        let room = |len: usize| len.min(ROOM_MAX);
        Self {
            shares: Vec::with_capacity(room(other.shares.len())),
            writes: Vec::with_capacity(room(other.writes.len())),
            releases: Vec::with_capacity(room(other.releases.len())),
        }
    }
}

/// A cycle that has come back from the store.
#[derive(Default)]
pub(crate) struct Committed {
    /// What may happen now.
    pub(crate) releases: Vec<Effect>,
    /// Accounts of which something could not be stored, though the store goes
    /// on: their memory is ahead of it.
    pub(crate) failed: Vec<BareJid>,
}

/// The cycles of one worker.
pub(crate) struct Commits {
    sink: Sink,
    /// How long the store may fail before new work is refused.
    patience: Duration,
    /// What is being collected, and its number.
    cycle: Cycle,
    current: CycleNumber,
    /// Everything up to here is durable and released.
    progress: Arc<Progress>,
    in_flight: Option<BoxFuture<'static, Result<Committed, Error>>>,
    /// When it was sent on its way.
    sent_at: Instant,
}

impl Commits {
    pub(crate) fn new(sink: Sink, patience: Duration) -> Self {
        Self {
            sink,
            patience,
            cycle: Cycle::default(),
            current: CycleNumber(1),
            progress: Arc::default(),
            in_flight: None,
            sent_at: Instant::now(),
        }
    }

    /// How far they have come.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The last cycle that has anything in it: what is read after it contains
    /// all that was ever collected.
    pub(crate) fn newest(&self) -> CycleNumber {
        CycleNumber(self.current.0 - u64::from(self.cycle.shares.is_empty()))
    }

    /// Adds to the cycle that is being collected and tells its number. The
    /// effects are taken out of where they are.
    pub(crate) fn collect(
        &mut self,
        share: Share,
        writes: impl IntoIterator<Item = Write>,
        releases: &mut Vec<Effect>,
    ) -> CycleNumber {
        let Cycle {
            shares,
            writes: all,
            releases: held_back,
        } = &mut self.cycle;
        let (before, releases_count) = (all.len(), releases.len());
        all.extend(writes);
        held_back.append(releases);
        shares.push(Part {
            share,
            writes: all.len() - before,
            releases: releases_count,
        });
        self.current
    }

    /// Sends what was collected on its way, unless the one before still is.
    pub(crate) fn start(&mut self) {
        if self.cycle.shares.is_empty() || self.in_flight.is_some() {
            return;
        }
        let empty = Cycle::like(&self.cycle);
        let cycle = std::mem::replace(&mut self.cycle, empty);
        self.sent_at = Instant::now();
        let way = Way {
            sink: Arc::clone(&self.sink),
            progress: Arc::clone(&self.progress),
            patience: self.patience,
        };
        self.in_flight = Some(Box::pin(commit(way, cycle)));
        self.current = CycleNumber(self.current.0 + 1);
    }

    /// For how long the cycle on its way has been there.
    pub(crate) fn age(&self) -> Duration {
        match &self.in_flight {
            Some(_) => self.sent_at.elapsed(),
            None => Duration::ZERO,
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Waits for the cycle on its way and hands over what it held back. Safe
    /// to cancel.
    ///
    /// # Errors
    /// The store has stopped: nothing of this cycle may be released.
    pub(crate) async fn next(&mut self) -> Result<Committed, Error> {
        let Some(cycle) = &mut self.in_flight else {
            return std::future::pending().await;
        };
        let committed = cycle.await;
        self.in_flight = None;
        let committed = committed?;
        self.progress.advance();
        Ok(committed)
    }
}

/// The way of a batch into the store.
struct Way {
    sink: Sink,
    progress: Arc<Progress>,
    patience: Duration,
}

async fn commit(way: Way, cycle: Cycle) -> Result<Committed, Error> {
    let started = metrics::commit_started(cycle.writes.len());
    let stored = way.store_all(&cycle.writes).await;
    metrics::commit_ended(started);
    match stored {
        Ok(()) => {
            cycle.shares.into_iter().for_each(|part| part.share.end());
            Ok(Committed {
                releases: cycle.releases,
                failed: Vec::new(),
            })
        }
        Err(error) if error.is_fatal() => Err(error),
        Err(_) => commit_apart(&way, cycle).await,
    }
}

/// Something in the batch cannot be stored. It is tried share by share, so
/// that one account's damage stays with that account.
async fn commit_apart(way: &Way, cycle: Cycle) -> Result<Committed, Error> {
    let mut committed = Committed::default();
    let (mut writes, mut releases) = (cycle.writes.into_iter(), cycle.releases.into_iter());
    for part in cycle.shares {
        let share = part.share;
        let its_writes: Vec<_> = writes.by_ref().take(part.writes).collect();
        let its_releases = releases.by_ref().take(part.releases);
        if committed.failed.contains(&share.owner) {
            let settled = refusal(share.head, its_releases);
            committed.releases.extend(settled);
            continue;
        }
        match way.store_all(&its_writes).await {
            Ok(()) => {
                share.end();
                committed.releases.extend(its_releases);
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!(account = %share.owner, %error, "a change cannot be stored");
                let settled = refusal(share.head, its_releases);
                committed.releases.extend(settled);
                committed.failed.push(share.owner);
            }
        }
    }
    Ok(committed)
}

/// What is left of a share that cannot be stored: its sender is told, and does
/// not wait any longer.
fn refusal(head: Option<Head>, releases: impl Iterator<Item = Effect>) -> Vec<Effect> {
    let told = head.map(reject::failed).unwrap_or_default();
    let settled = releases.filter(|effect| matches!(effect, Effect::Settle(_)));
    told.into_iter().chain(settled).collect()
}

impl Way {
    /// Makes a batch durable, however often it has to be tried: nothing of it is
    /// released meanwhile, so senders run out of credit and wait. It goes on by
    /// itself once the store answers or has room again. Giving it up would be
    /// worse: whether it was written is not known, and a sender who is told that
    /// it was not sends it twice.
    async fn store_all(&self, batch: &[Write]) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut pause = RETRY_PAUSE_FIRST;
        let began = Instant::now();
        loop {
            match (self.sink)(batch.to_vec()).await {
                Err(error @ (Error::Unavailable { .. } | Error::Full { .. })) => {
                    metrics::commit_retried();
                    tracing::error!(%error, "nothing can be stored, so senders wait; trying the same again");
                    if began.elapsed() >= self.patience {
                        self.progress.set_stuck(true);
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                done => {
                    self.progress.set_stuck(false);
                    return done;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
