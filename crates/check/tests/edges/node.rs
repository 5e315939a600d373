//! One run of a node: the real engine, and what follows the table for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use starling_cluster::{Epoch, Shard};
use starling_session::{Engine, OwnFence};
use tokio_util::sync::CancellationToken;

use crate::lane::Links;
use crate::shared::engine::{self, Parts};
use crate::shared::store::SlowStore;
use crate::table::{View, node_id};
use crate::world::{Flaw, Net, instance};

const WORKERS: usize = 2;

/// One run of a node.
pub(crate) struct NodeRun {
    pub(crate) number: usize,
    pub(crate) run: u64,
    pub(crate) engine: Arc<Engine>,
    pub(crate) view: Arc<View>,
    store: Arc<SlowStore>,
    pub(crate) end: CancellationToken,
    /// All of it has ended.
    over: CancellationToken,
    is_given_up: AtomicBool,
    shards: Mutex<Shards>,
}

#[derive(Default)]
struct Shards {
    taken: BTreeMap<Shard, Epoch>,
    /// Given away, or about to be, with the help of this run.
    releasing: BTreeSet<Shard>,
}

impl NodeRun {
    pub(crate) fn start(net: &Arc<Net>, number: usize, run: u64) -> Arc<Self> {
        let end = CancellationToken::new();
        let view = View::start(
            &net.table,
            node_id(number),
            number as u64,
            end.clone(),
            net.dice(1),
        );
        let store = Arc::new(SlowStore {
            rows: Arc::clone(&net.rows),
            dice: Mutex::new(net.dice(2)),
            lies: net.flaw == Flaw::StoresLater,
            is_parted: AtomicBool::new(false),
            gone: end.clone(),
        });
        let links = Links::start(net, &view, &end, || net.dice(3));
        let env = engine::env(Parts {
            fence: OwnFence::new(Arc::clone(&store) as _, &instance(number, run)),
            store: Arc::clone(&store) as _,
            link: Arc::new(links),
            membership: Arc::clone(&view) as _,
            start: net.start,
        });
        let parts = Engine::start(Arc::new(env), WORKERS, &CancellationToken::new());
        let node = Arc::new(Self {
            number,
            run,
            engine: parts.node,
            view,
            store,
            end: end.clone(),
            over: CancellationToken::new(),
            is_given_up: AtomicBool::new(false),
            shards: Mutex::default(),
        });
        let over = node.over.clone();
        let mut workers = parts.workers;
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                // One that is fenced takes its process with it.
                _ = workers.join_next() => end.cancel(),
            }
            workers.shutdown().await;
            over.cancel();
        });
        node.apply();
        let follower = Arc::downgrade(&node);
        node.view.follow(move || {
            if let Some(node) = follower.upgrade() {
                node.apply();
            }
        });
        node
    }

    /// Does what the table says, as far as it is known.
    fn apply(&self) {
        if self.end.is_cancelled() {
            return;
        }
        let mut shards = self.shards.lock().unwrap();
        for (shard, row) in self.view.known().rows {
            let is_ours = (row.node, row.run) == (self.number, self.run);
            let taken = shards.taken.get(&shard).copied();
            if is_ours && taken != Some(row.epoch) {
                shards.taken.insert(shard, row.epoch);
                shards.releasing.remove(&shard);
                tell!(
                    "node {}.{} takes {shard} {}",
                    self.number,
                    self.run,
                    row.epoch.0
                );
                self.engine.take(shard, row.epoch);
            } else if !is_ours && taken.is_some() {
                if !shards.releasing.remove(&shard) {
                    // Others have it, and this run did not give it to them.
                    return self.end.cancel();
                }
                shards.taken.remove(&shard);
                self.engine.give_up(shard);
            }
        }
    }

    /// Makes a shard ready to go. `false` if this run cannot.
    pub(crate) async fn release(&self, shard: Shard, epoch: Epoch) -> bool {
        {
            let mut shards = self.shards.lock().unwrap();
            if shards.taken.get(&shard) != Some(&epoch) || !shards.releasing.insert(shard) {
                return false;
            }
        }
        tokio::select! {
            biased;
            () = self.end.cancelled() => false,
            is_frozen = self.engine.freeze(shard) => {
                if !is_frozen {
                    self.keep(shard);
                }
                is_frozen
            }
        }
    }

    /// It stays here after all.
    pub(crate) fn keep(&self, shard: Shard) {
        if self.shards.lock().unwrap().releasing.remove(&shard) && !self.end.is_cancelled() {
            self.engine.keep(shard);
        }
    }

    /// It does not reach the store, or does again.
    pub(crate) fn part(&self, is_parted: bool) {
        self.store.is_parted.store(is_parted, Ordering::Relaxed);
    }

    /// Its cluster believes that it is dead.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Waits until nothing of it is left.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// What becomes of something that is for a shard of this node.
    pub(crate) fn verdict(&self, shard: Shard, epoch: Epoch) -> Verdict {
        match self.view.row(shard) {
            Some(row) if row.epoch < epoch => Verdict::Wait,
            Some(row) if row.epoch == epoch && row.node == self.number => Verdict::Take,
            Some(_) => Verdict::Refuse,
            None => Verdict::Wait,
        }
    }
}

/// Whether a frame may be taken.
pub(crate) enum Verdict {
    Take,
    /// The node does not know yet that it has the shard.
    Wait,
    Refuse,
}
