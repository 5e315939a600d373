//! What a node knows of its cluster at one moment, and how it is shared.
//!
//! A [`View`] never changes; a newer one replaces it in [`SharedView`], whose
//! readers never wait. Where views come from is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::membership::{Changes, Membership, Owner};
use crate::{NodeId, NodeInfo, Role, Shard, Table};

/// Nodes and assignments, as of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Grows with everything that happens in the cluster.
    pub revision: u64,
    /// Who owns what.
    pub table: Table,
    /// The nodes that are alive, by name.
    pub nodes: BTreeMap<NodeId, Arc<NodeInfo>>,
}

impl View {
    /// Who serves a shard.
    pub fn owner(&self, shard: Shard) -> Option<Owner> {
        let row = self.table.get(shard);
        row.owner().map(|owner| Owner {
            node: owner.node.clone(),
            epoch: row.epoch,
        })
    }
}

/// The newest view, for any number of readers.
pub struct SharedView {
    local: NodeId,
    view: ArcSwap<View>,
    changed: watch::Sender<u64>,
}

impl SharedView {
    /// The view of this node.
    pub fn new(local: NodeId, view: View) -> Self {
        let (changed, _) = watch::channel(view.revision);
        Self {
            local,
            view: ArcSwap::from_pointee(view),
            changed,
        }
    }

    /// The newest view.
    pub fn load(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Replaces the view and tells everyone who waits for changes.
    pub fn publish(&self, view: View) {
        let revision = view.revision;
        self.view.store(Arc::new(view));
        // Also without receivers, and also if the revision is the same: a full
        // list may mend what an event did not say.
        self.changed.send_replace(revision);
    }
}

impl Membership for SharedView {
    fn local(&self) -> &NodeId {
        &self.local
    }

    fn owner(&self, shard: Shard) -> Option<Owner> {
        self.view.load().owner(shard)
    }

    fn address(&self, node: &NodeId) -> Option<SmolStr> {
        let view = self.view.load();
        view.nodes.get(node)?.link.clone()
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        let view = self.view.load();
        let nodes = view.nodes.values();
        nodes
            .filter(|node| node.has_role(Role::Session))
            .map(|node| node.id().clone())
            .collect()
    }

    fn node(&self, node: &NodeId) -> Option<Arc<NodeInfo>> {
        self.view.load().nodes.get(node).cloned()
    }

    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        self.view.load().nodes.values().cloned().collect()
    }

    fn changes(&self) -> Changes {
        self.changed.subscribe()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;
    use crate::{Assignment, Epoch, Incarnation, Instance, State};

    #[test]
    fn who_waits_is_told_and_reads_the_new_owner() {
        let shared = SharedView::new(NodeId::new("a"), View::default());
        let shard = Shard::new(7).unwrap();
        let changes = shared.changes();
        assert_eq!(shared.owner(shard), None);
        let mut view = View {
            revision: 2,
            ..View::default()
        };
        let state = State::Owned(Instance {
            node: NodeId::new("b"),
            incarnation: Incarnation(1),
        });
        view.table.set(
            shard,
            Assignment {
                epoch: Epoch::FIRST,
                state,
            },
        );
        shared.publish(view);
        assert!(changes.has_changed().unwrap());
        assert_eq!(shared.owner(shard).unwrap().node, NodeId::new("b"));
    }
}
