//! Who owns what, and the links of those who act on it.

use std::sync::{Arc, Mutex};

use smol_str::SmolStr;
use starling_cluster::{
    Changes, Incarnation, Instance, Membership, NodeId, NodeInfo, Owner, Role, Shard,
};
use starling_link::{self as link, Error, Frame, Link, Refused, SessionNode};
use starling_session::Engine;
use starling_xmpp::BareJid;
use tokio::sync::watch;

use super::support::edge;

/// Who owns everything, as everybody sees it at once.
pub(crate) struct Table {
    pub(crate) owner: Mutex<Owner>,
    /// A newer owner that links have heard of before the table says so.
    pub(crate) heard: Mutex<Option<Owner>>,
    /// What the link of this node holds for the shards that it had, until the
    /// node says what it had in hand for them.
    pub(crate) leaving: Mutex<Option<(NodeId, Vec<Frame>)>>,
    pub(crate) engines: Mutex<Vec<(NodeId, Arc<Engine>)>>,
    pub(crate) changed: watch::Sender<u64>,
}

impl Table {
    pub(crate) fn owner(&self) -> Owner {
        self.owner.lock().unwrap().clone()
    }

    /// To whom links send.
    fn heard(&self) -> Owner {
        let heard = self.heard.lock().unwrap().clone();
        heard.unwrap_or_else(|| self.owner())
    }

    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        let owner = self.heard();
        let engines = self.engines.lock().unwrap();
        let found = engines.iter().find(|(node, _)| *node == owner.node);
        found.map(|(_, engine)| Arc::clone(engine))
    }
}

pub(crate) struct Member(pub(crate) NodeId, pub(crate) Arc<Table>);

impl Membership for Member {
    fn local(&self) -> &NodeId {
        &self.0
    }

    fn owner(&self, _shard: Shard) -> Option<Owner> {
        Some(self.1.owner())
    }

    fn address(&self, _node: &NodeId) -> Option<SmolStr> {
        None
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        Vec::new()
    }

    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        let instance = Instance {
            node: edge(),
            incarnation: Incarnation(0),
        };
        vec![Arc::new(NodeInfo::new(instance, vec![Role::Edge]))]
    }

    fn changes(&self) -> Changes {
        self.1.changed.subscribe()
    }
}

/// Always to whoever owns everything.
pub(crate) struct Way {
    /// Whose link it is, if it is a session node's.
    pub(crate) node: Option<NodeId>,
    pub(crate) table: Arc<Table>,
}

impl Link for Way {
    fn way(&self, _account: &BareJid) -> link::Way {
        match self.node.as_ref() == Some(&self.table.heard().node) {
            true => link::Way::Here,
            false => link::Way::There,
        }
    }

    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        if let Some((node, held)) = &mut *self.table.leaving.lock().unwrap()
            && self.node.as_ref() == Some(node)
        {
            held.push(frame);
            return Ok(());
        }
        match self.table.engine() {
            Some(engine) => engine.push(frame),
            None => Err(Refused::Unavailable(frame)),
        }
    }

    fn left(&self, _shard: Shard, frames: Vec<Frame>) -> Vec<Frame> {
        let held = self.table.leaving.lock().unwrap().take();
        let held = held.map(|(_, held)| held).unwrap_or_default();
        let all = frames.into_iter().chain(held);
        let refused = |frame| self.push(frame).err().map(Refused::into_inner);
        all.filter_map(refused).collect()
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        let engine = self.table.engine().ok_or(Error::Unavailable)?;
        Ok(engine)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}
