//! Who is there and who owns what, and the form of it that has one node.
//!
//! The clustered form watches an assignment table and lives in its own crate.
//! Reads are on the path of every stanza: an implementation answers from
//! memory and never waits.

use std::sync::Arc;

use smol_str::SmolStr;
use tokio::sync::watch;

use crate::{Epoch, Incarnation, Instance, NodeId, NodeInfo, Role, Shard};

/// A shard's owner and the epoch under which it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The node that serves the shard.
    pub node: NodeId,
    /// Grows with every change of owner.
    pub epoch: Epoch,
}

/// Wakes whoever waits when nodes or owners may have changed. The number is the
/// revision of the newest knowledge; many changes may come as one.
pub type Changes = watch::Receiver<u64>;

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

    /// What a node tells of itself; `None` if it is not alive, and always in a
    /// membership that keeps no such records.
    fn node(&self, _node: &NodeId) -> Option<Arc<NodeInfo>> {
        None
    }

    /// Every node that is alive, this one included; none in a membership that
    /// keeps no such records.
    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        Vec::new()
    }

    /// Tells that an answer of the other functions may have changed, by a number
    /// that grows. A change is visible in them before it is told here.
    fn changes(&self) -> Changes;

    /// Says that this node does not answer, or does again. Never waits; may be
    /// said again and again. It is a hint that makes the cluster look at the
    /// node; it decides nothing.
    fn report(&self, _peer: &NodeId, _is_reachable: bool) {}
}

/// A cluster of one: this node owns every shard, for ever, under one epoch.
#[derive(Clone, Debug)]
pub struct SingleNode {
    local: Arc<NodeInfo>,
    /// Never sends; kept so that receivers wait instead of failing.
    changed: watch::Sender<u64>,
}

impl SingleNode {
    /// The only node, under this name.
    pub fn new(local: NodeId) -> Self {
        let instance = Instance {
            node: local,
            incarnation: Incarnation(0),
        };
        let local = NodeInfo::new(instance, Role::ALL.to_vec());
        let (changed, _) = watch::channel(0);
        Self {
            local: Arc::new(local),
            changed,
        }
    }
}

impl Membership for SingleNode {
    fn local(&self) -> &NodeId {
        self.local.id()
    }

    fn owner(&self, _shard: Shard) -> Option<Owner> {
        Some(Owner {
            node: self.local.id().clone(),
            epoch: Epoch::FIRST,
        })
    }

    fn address(&self, _node: &NodeId) -> Option<SmolStr> {
        None
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        vec![self.local.id().clone()]
    }

    fn node(&self, node: &NodeId) -> Option<Arc<NodeInfo>> {
        (node == self.local.id()).then(|| Arc::clone(&self.local))
    }

    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        vec![Arc::clone(&self.local)]
    }

    fn changes(&self) -> Changes {
        self.changed.subscribe()
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

    #[test]
    fn a_single_node_knows_itself_and_nobody_else() {
        let alone = SingleNode::new(NodeId::new("alone"));
        assert_eq!(alone.nodes().len(), 1);
        assert!(alone.node(alone.local()).is_some());
        assert!(alone.node(&NodeId::new("other")).is_none());
        assert_eq!(alone.changes().has_changed().ok(), Some(false));
    }
}
