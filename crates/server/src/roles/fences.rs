//! The fences of the store, and its highest epochs, as the controller of the
//! cluster wants them. When it writes which is the controller's matter.

use std::sync::Arc;

use async_trait::async_trait;
use starling_cluster::{Epoch, Fence, FenceFailure, Instance, SHARDS, Shard};
use starling_store::Store;
use starling_store::fence::ShardEpoch;

/// Who is named with epochs that the controller of a cluster gives out. Any of
/// its nodes may be it, and may repeat what the one before it did.
const CONTROLLER: &str = "controller";

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
