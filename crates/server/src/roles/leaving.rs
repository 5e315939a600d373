//! Shards on their way to other nodes: each is frozen, then handed over, however
//! far the others are, so that the clients of a shard wait for its own move and
//! for no other.
//!
//! Invariant: a shard is handed over only while it is frozen. A move may be
//! called off and begun again at any time, so every answer is compared with what
//! is true when it comes.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use starling_cluster::{Epoch, Shard};
use starling_cluster_etcd::HandOver;
use tokio::time::{Instant, sleep};

/// Before etcd is asked once more what became of a move.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Who serves the shards until they have left.
pub(super) trait Owner {
    /// Finishes everything of a shard, from now on. True once nothing of it is
    /// written any more; false if it is served again, or nobody is left who could
    /// tell.
    fn freeze(&self, shard: Shard) -> BoxFuture<'static, bool>;

    /// Ends a move, as it is known at the moment of this call.
    fn hand_over(&self, shard: Shard, epoch: Epoch) -> BoxFuture<'static, HandOver>;

    /// A shard is served again.
    fn keep(&self, shard: Shard);
}

/// All of them.
pub(super) struct Leaving<O> {
    owner: O,
    shards: HashMap<Shard, One>,
    steps: FuturesUnordered<BoxFuture<'static, (Shard, u64, Done)>>,
    /// Counts the moves that were begun.
    turns: u64,
}

/// One of them.
struct One {
    epoch: Epoch,
    turn: u64,
    since: Instant,
    is_writing: bool,
    /// The move was changed while its end was being written.
    is_changed: bool,
}

/// A step that is done.
enum Done {
    Frozen(bool),
    Written(HandOver),
    /// It is time to ask again.
    Rested,
}

impl<O: Owner> Leaving<O> {
    pub(super) fn new(owner: O) -> Self {
        Self {
            owner,
            shards: HashMap::new(),
            steps: FuturesUnordered::new(),
            turns: 0,
        }
    }

    /// A shard is to go, or is to go to another node than before.
    pub(super) fn begin(&mut self, shard: Shard, epoch: Epoch) {
        if let Some(one) = self.shards.get_mut(&shard)
            && one.epoch == epoch
        {
            one.is_changed = one.is_writing;
            return;
        }
        self.turns += 1;
        let turn = self.turns;
        let one = One {
            epoch,
            turn,
            since: Instant::now(),
            is_writing: false,
            is_changed: false,
        };
        self.shards.insert(shard, one);
        let frozen = self.owner.freeze(shard);
        self.steps.push(Box::pin(async move {
            (shard, turn, Done::Frozen(frozen.await))
        }));
    }

    /// A shard stays.
    pub(super) fn call_off(&mut self, shard: Shard) {
        self.forget(shard);
        self.owner.keep(shard);
    }

    /// A shard has gone.
    pub(super) fn forget(&mut self, shard: Shard) {
        self.shards.remove(&shard);
    }

    /// Waits for the next step and does what follows from it; for ever if nothing
    /// is on its way. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) {
        let Some((shard, turn, done)) = self.steps.next().await else {
            return std::future::pending().await;
        };
        let Some(one) = self.shards.get_mut(&shard).filter(|one| one.turn == turn) else {
            return;
        };
        let elapsed = one.since.elapsed();
        match done {
            Done::Frozen(true) => {
                tracing::debug!(%shard, ?elapsed, "frozen");
                self.write(shard);
            }
            Done::Rested => self.write(shard),
            // A change tells what became of it, or this node is at its end.
            Done::Frozen(false) => {}
            Done::Written(HandOver::Committed) => {
                tracing::debug!(%shard, ?elapsed, "handed over");
            }
            Done::Written(HandOver::Refused) if one.is_changed => self.write(shard),
            Done::Written(HandOver::Refused) => self.call_off(shard),
            Done::Written(HandOver::Unknown) => self.steps.push(Box::pin(async move {
                sleep(RETRY_PAUSE).await;
                (shard, turn, Done::Rested)
            })),
        }
    }

    /// Ends the move of a frozen shard.
    fn write(&mut self, shard: Shard) {
        let Some(one) = self.shards.get_mut(&shard) else {
            return;
        };
        (one.is_writing, one.is_changed) = (true, false);
        let turn = one.turn;
        let answer = self.owner.hand_over(shard, one.epoch);
        self.steps.push(Box::pin(async move {
            (shard, turn, Done::Written(answer.await))
        }));
    }
}

#[cfg(test)]
mod tests;
