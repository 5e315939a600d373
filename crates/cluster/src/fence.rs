//! What the controller of a cluster needs of the store.
//!
//! Liveness comes from leases, safety from the store: these rows are written at
//! quorum before a shard changes hands without its owner's help. The rows
//! themselves belong to a store; a node's own reading of its fence belongs to
//! the commit cycle of the session engine.

use async_trait::async_trait;

use crate::{Epoch, Instance, Shard};

/// The store could not do it now; it may be asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FenceFailure(pub String);

/// Fence rows and the highest epochs, kept where the shards' data is kept.
///
/// Every function may be called again after a failure or a timeout, and by two
/// controllers at once: each only ever raises what is there.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Stops a run of a node: when this returns, whatever it stores from now on
    /// will never be acknowledged, because it reads its fence after it wrote.
    async fn fence(&self, instance: &Instance) -> Result<(), FenceFailure>;

    /// The highest epoch ever given out, for every shard that has one. A table
    /// that was restored from a backup may be behind it.
    async fn highest_epochs(&self) -> Result<Vec<(Shard, Epoch)>, FenceFailure>;

    /// Records epochs before they are given out.
    async fn raise_epochs(&self, epochs: &[(Shard, Epoch)]) -> Result<(), FenceFailure>;
}
