//! What the cluster decides about this node's shards, carried out in the engine;
//! and the fences of the store, as the controller of the cluster wants them.

use std::sync::Arc;

use async_trait::async_trait;
use starling_cluster::{Change, Epoch, Fence, FenceFailure, Instance, Lost, SHARDS, Shard};
use starling_cluster_etcd::{Cluster, HandOver};
use starling_session::Engine;
use starling_session::failpoint::{Step, reach};
use starling_store::Store;
use starling_store::fence::ShardEpoch;

/// Who is named with epochs that the controller of a cluster gives out. Any of
/// its nodes may be it, and may repeat what the one before it did.
const CONTROLLER: &str = "controller";

/// Follows the table until this run of the node must end.
pub(crate) async fn follow(cluster: Arc<Cluster>, engine: Arc<Engine>) -> Lost {
    let mut assignments = cluster.assignments();
    loop {
        match assignments.next().await {
            Ok(changes) => apply(&cluster, &engine, changes).await,
            Err(lost) => return lost,
        }
    }
}

async fn apply(cluster: &Cluster, engine: &Arc<Engine>, changes: Vec<Change>) {
    let mut releasing = Vec::new();
    for change in changes {
        match change {
            Change::Take { shard, epoch, .. } => {
                reach(Step::ShardTaking);
                engine.take(shard, epoch);
            }
            Change::Release { shard, epoch, .. } => releasing.push((shard, epoch)),
            Change::Keep { shard, .. } => engine.keep(shard),
            Change::Released { shard, .. } => engine.give_up(shard),
            // Nothing is copied before a move is committed: the new owner reads
            // what is stored.
            Change::Expect { .. } | Change::Forget { .. } => {}
        }
    }
    for (shard, _) in &releasing {
        reach(Step::ShardFreezing);
        engine.freeze(*shard).await;
        reach(Step::ShardFrozen);
    }
    let answers = cluster.hand_over(&releasing).await;
    if !releasing.is_empty() {
        reach(Step::ShardHandedOver);
    }
    for ((shard, _), answer) in releasing.iter().zip(answers) {
        // A change tells in time what became of it; only a refusal means that
        // there will be none.
        if answer == HandOver::Refused {
            engine.keep(*shard);
        }
    }
}

/// The rows of the store that the controller writes.
pub(crate) struct Fences(pub(crate) Arc<dyn Store>);

#[async_trait]
impl Fence for Fences {
    async fn fence(&self, instance: &Instance) -> Result<(), FenceFailure> {
        let name = instance.to_string();
        self.0.fence(&name, CONTROLLER).await.map_err(failure)
    }

    async fn highest_epochs(&self) -> Result<Vec<(Shard, Epoch)>, FenceFailure> {
        let epochs = self.0.highest_epochs(SHARDS).await.map_err(failure)?;
        let epochs = Shard::all().zip(epochs.into_iter().map(Epoch));
        Ok(epochs.filter(|(_, epoch)| epoch.0 > 0).collect())
    }

    async fn raise_epochs(&self, epochs: &[(Shard, Epoch)]) -> Result<(), FenceFailure> {
        let epochs: Vec<_> = epochs
            .iter()
            .map(|(shard, epoch)| ShardEpoch {
                shard: shard.number(),
                epoch: epoch.0,
            })
            .collect();
        let raised = self.0.raise_epochs(CONTROLLER, &epochs).await;
        raised.map_err(failure)
    }
}

fn failure(error: starling_store::Error) -> FenceFailure {
    FenceFailure(error.to_string())
}
