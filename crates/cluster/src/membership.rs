//! The current owners of the shards, and the form of it that has one node.
//!
//! The clustered form watches an assignment table and lives in its own crate.
//! Reads are on the path of every stanza: an implementation answers from
//! memory and never waits.

use smol_str::SmolStr;
use tokio::sync::watch;

use crate::{Epoch, NodeId, Shard};

/// A shard's owner and the epoch under which it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The node that serves the shard.
    pub node: NodeId,
    /// Grows with every change of owner.
    pub epoch: Epoch,
}

/// What a node knows about the others.
pub trait Membership: Send + Sync {
    /// This process.
    fn local(&self) -> &NodeId;

    /// Who serves the shard now; `None` while it is between two owners.
    fn owner(&self, shard: Shard) -> Option<Owner>;

    /// Where the other nodes reach this one, as `host:port`; `None` for a node
    /// that is not there, or that nobody has to reach.
    fn address(&self, node: &NodeId) -> Option<SmolStr>;

    /// Every node that may own shards, for questions about all accounts.
    fn session_nodes(&self) -> Vec<NodeId>;

    /// Tells that an answer of the other functions may have changed, by a number
    /// that grows. A change is visible in them before it is told here.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A cluster of one: this node owns every shard, for ever, under one epoch.
#[derive(Clone, Debug)]
pub struct SingleNode {
    local: NodeId,
    /// Nothing is ever sent on it.
    changes: watch::Sender<u64>,
}

impl SingleNode {
    /// The only node, under this name.
    pub fn new(local: NodeId) -> Self {
        let (changes, _) = watch::channel(0);
        Self { local, changes }
    }
}

impl Membership for SingleNode {
    fn local(&self) -> &NodeId {
        &self.local
    }

    fn owner(&self, _shard: Shard) -> Option<Owner> {
        Some(Owner {
            node: self.local.clone(),
            epoch: Epoch::FIRST,
        })
    }

    fn address(&self, _node: &NodeId) -> Option<SmolStr> {
        None
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        vec![self.local.clone()]
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_node_owns_every_shard_under_one_epoch() {
        let alone = SingleNode::new(NodeId::new("alone"));
        for shard in Shard::all() {
            let owner = alone.owner(shard);
            assert_eq!(owner.as_ref().map(|owner| &owner.node), Some(alone.local()));
            assert_eq!(owner.map(|owner| owner.epoch), Some(Epoch::FIRST));
        }
    }
}
