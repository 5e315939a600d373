//! The current owners of the shards, and the form of it that has one node.
//!
//! The clustered form watches an assignment table and lives in its own crate.
//! Reads are on the path of every stanza: an implementation answers from
//! memory and never waits.

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
}

/// A cluster of one: this node owns every shard, for ever, under one epoch.
#[derive(Clone, Debug)]
pub struct SingleNode {
    local: NodeId,
}

impl SingleNode {
    /// The only node, under this name.
    pub fn new(local: NodeId) -> Self {
        Self { local }
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
