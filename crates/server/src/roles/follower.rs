//! What the cluster decides about this node's shards, carried out in the engine.
//!
//! Each shard goes its own way: one that is to leave is frozen and handed over
//! while others are, and whatever is decided meanwhile is not kept waiting. How
//! far each of them is, `leaving` knows.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use starling_cluster::{Change, Epoch, Lost, Shard};
use starling_cluster_etcd::{Cluster, HandOver};
use starling_session::Engine;
use starling_session::failpoint::{Step, reach};

use super::leaving::{Leaving, Owner};

/// Follows the table until this run of the node must end.
pub(crate) async fn follow(cluster: Arc<Cluster>, engine: Arc<Engine>) -> Lost {
    let mut assignments = cluster.assignments();
    let owner = Node {
        cluster: Arc::clone(&cluster),
        engine: Arc::clone(&engine),
    };
    let mut leaving = Leaving::new(owner);
    loop {
        tokio::select! {
            () = leaving.next() => {}
            changes = assignments.next() => match changes {
                Ok(changes) => {
                    for change in changes {
                        apply(&engine, &mut leaving, change);
                    }
                }
                Err(lost) => return lost,
            }
        }
    }
}

fn apply(engine: &Engine, leaving: &mut Leaving<Node>, change: Change) {
    match change {
        Change::Take { shard, epoch, .. } => {
            reach(Step::ShardTaking);
            engine.take(shard, epoch);
        }
        Change::Release { shard, epoch, .. } => {
            reach(Step::ShardFreezing);
            leaving.begin(shard, epoch);
        }
        Change::Keep { shard, .. } => leaving.call_off(shard),
        Change::Released { shard, .. } => {
            leaving.forget(shard);
            engine.give_up(shard);
        }
        // Nothing is copied before a move is committed: the new owner reads
        // what is stored.
        Change::Expect { .. } | Change::Forget { .. } => {}
    }
}

/// This node, as shards leave it.
struct Node {
    cluster: Arc<Cluster>,
    engine: Arc<Engine>,
}

impl Owner for Node {
    fn freeze(&self, shard: Shard) -> BoxFuture<'static, bool> {
        let frozen = self.engine.freeze(shard);
        Box::pin(async move {
            let is_frozen = frozen.await;
            reach(Step::ShardFrozen);
            is_frozen
        })
    }

    fn hand_over(&self, shard: Shard, epoch: Epoch) -> BoxFuture<'static, HandOver> {
        let answer = self.cluster.hand_over(vec![(shard, epoch)]);
        Box::pin(async move {
            let answer = answer.await;
            reach(Step::ShardHandedOver);
            answer.first().copied().unwrap_or(HandOver::Unknown)
        })
    }

    fn keep(&self, shard: Shard) {
        self.engine.keep(shard);
    }
}
