//! The nodes that this one sends frames to: each is connected to when it is
//! first needed, and let go of when it is gone and no shard's frames go there.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use starling_cluster::NodeId;

use super::connect::Connector;
use super::envelope::Hello;
use super::keeper::Core;
use super::news::News;
use super::peer::Peer;

impl Core {
    /// The peer of this name; it begins to connect if it is new.
    pub(crate) fn peer(&self, node: &NodeId) -> Arc<Peer> {
        if let Some(peer) = self.peers.load().get(node) {
            return Arc::clone(peer);
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peers = HashMap::clone(&self.peers.load());
        if let Some(peer) = peers.get(node) {
            return Arc::clone(peer);
        }
        let peer = Arc::new(self.connect(node));
        peers.insert(node.clone(), Arc::clone(&peer));
        self.peers.store(Arc::new(peers));
        peer
    }

    fn connect(&self, node: &NodeId) -> Peer {
        let _runtime = self.runtime.enter();
        let connector = Connector {
            node: node.clone(),
            tls: self.tls.clone(),
            membership: Arc::clone(&self.membership),
        };
        let identity = self.tls.identity();
        let hello = Hello {
            cluster: identity.cluster.clone(),
            node: identity.node.as_str().to_owned(),
            incarnation: self.incarnation,
            lane: 0,
            received: 0,
            is_new: true,
        };
        let lanes = self.config.lanes;
        Peer::spawn(&connector, lanes, self.config.batching(), &hello, || {
            Arc::new(News {
                core: Weak::clone(&self.this),
                node: node.clone(),
                sink: Arc::clone(&self.sink),
            })
        })
    }

    /// Lets go of nodes that are no longer there and that no shard needs.
    pub(super) fn forget_peers(&self) {
        // Before `adding`, as whoever turns to a new owner has it.
        let routes = self.routes.lock_all();
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peers = HashMap::clone(&self.peers.load());
        peers.retain(|node, _| {
            let is_used = || routes.iter().any(|route| route.is_by(node));
            self.membership.address(node).is_some() || is_used()
        });
        self.peers.store(Arc::new(peers));
    }
}
