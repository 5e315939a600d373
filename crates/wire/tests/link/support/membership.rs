//! What the nodes of a test know: set by the test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use smol_str::SmolStr;
use starling_cluster::{Changes, Epoch, Membership, NodeId, Owner, Shard};
use tokio::sync::watch;

/// What there is to know, the same for all nodes of a test.
pub(crate) struct Known {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    owner: Option<Owner>,
    /// What one node still believes, or believes already.
    of_node: BTreeMap<NodeId, Option<Owner>>,
    addresses: BTreeMap<NodeId, SmolStr>,
}

impl Known {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    pub(crate) fn set_address(&self, node: &str, address: &str) {
        let mut state = self.state.lock().unwrap();
        state.addresses.insert(NodeId::new(node), address.into());
        drop(state);
        self.changed();
    }

    /// This node owns every shard under this epoch.
    pub(crate) fn own_all(&self, node: &str, epoch: u32) {
        self.state.lock().unwrap().owner = Some(owner(node, epoch));
        self.changed();
    }

    /// The same, of which nobody hears before the next change; whoever looks
    /// sees it.
    pub(crate) fn own_all_unheard(&self, node: &str, epoch: u32) {
        self.state.lock().unwrap().owner = Some(owner(node, epoch));
    }

    /// Nobody owns anything.
    pub(crate) fn own_none(&self) {
        self.state.lock().unwrap().owner = None;
        self.changed();
    }

    /// One node believes something else than the others.
    pub(crate) fn believe(&self, believer: &str, node: &str, epoch: u32) {
        let mut state = self.state.lock().unwrap();
        let belief = Some(owner(node, epoch));
        state.of_node.insert(NodeId::new(believer), belief);
        drop(state);
        self.changed();
    }

    /// It believes what all believe again.
    pub(crate) fn learn(&self, believer: &str) {
        let mut state = self.state.lock().unwrap();
        state.of_node.remove(&NodeId::new(believer));
        drop(state);
        self.changed();
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|revision| *revision += 1);
    }
}

fn owner(node: &str, epoch: u32) -> Owner {
    Owner {
        node: NodeId::new(node),
        epoch: Epoch(epoch),
    }
}

/// What one node knows.
pub(crate) struct Member {
    local: NodeId,
    known: Arc<Known>,
}

impl Member {
    pub(crate) fn new(local: &str, known: &Arc<Known>) -> Arc<Self> {
        Arc::new(Self {
            local: NodeId::new(local),
            known: Arc::clone(known),
        })
    }
}

impl Membership for Member {
    fn local(&self) -> &NodeId {
        &self.local
    }

    fn owner(&self, _shard: Shard) -> Option<Owner> {
        let state = self.known.state.lock().unwrap();
        match state.of_node.get(&self.local) {
            Some(belief) => belief.clone(),
            None => state.owner.clone(),
        }
    }

    fn address(&self, node: &NodeId) -> Option<SmolStr> {
        self.known
            .state
            .lock()
            .unwrap()
            .addresses
            .get(node)
            .cloned()
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        let state = self.known.state.lock().unwrap();
        state.addresses.keys().cloned().collect()
    }

    fn changes(&self) -> Changes {
        self.known.changes.subscribe()
    }
}
