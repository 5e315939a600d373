//! The link of a node in a cluster: finds the owner of each account, in this
//! process or another.

use std::sync::Arc;

use starling_cluster::{Incarnation, Membership, Placement, Shard};
use starling_link::trace::SpanSink;
use starling_link::{Error, Frame, Link, Refused, SessionNode, Way};
use starling_xmpp::BareJid;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::keeper::Core;
use super::own::OwnNode;
use super::remote::RemoteNode;
use super::{Config, Tls};

/// Hands frames to whoever owns their shard.
///
/// It does not keep the session node of this process: the node keeps the link,
/// and a circle would keep its store open until the process ends.
pub struct GrpcLink {
    pub(super) core: Arc<Core>,
    keeper: JoinHandle<()>,
}

impl GrpcLink {
    /// A link that reaches other nodes as soon as there is something for them.
    /// It works on the runtime that this is called on.
    #[must_use]
    pub fn new(
        config: Config,
        tls: Tls,
        placement: Placement,
        membership: Arc<dyn Membership>,
        incarnation: Incarnation,
    ) -> Arc<Self> {
        let runtime = Handle::current();
        let core = Core::new(
            config,
            tls,
            placement,
            membership,
            incarnation.0,
            runtime.clone(),
        );
        let keeper = runtime.spawn(Core::keep(Arc::downgrade(&core)));
        Arc::new(Self { core, keeper })
    }

    /// Joins the session node of this process, if it has one. Only the first
    /// one counts.
    pub fn join<N: SessionNode + 'static>(&self, node: &Arc<N>) {
        let node: std::sync::Weak<N> = Arc::downgrade(node);
        self.core.join(node);
    }

    /// Where the spans of watched stanzas go that come back from other nodes.
    /// Without it only their time is kept. Only the first one counts.
    pub fn trace_to(&self, sink: Arc<dyn SpanSink>) {
        self.core.trace_to(sink);
    }
}

impl Drop for GrpcLink {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The session node of this process.
fn own(core: &Arc<Core>) -> Option<Arc<dyn SessionNode>> {
    let (core, node) = (Arc::clone(core), core.local()?);
    Some(Arc::new(OwnNode { core, node }))
}

impl Link for GrpcLink {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        self.core.push(frame)
    }

    fn owner(&self, account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        let shard = self.core.placement.shard_of(account);
        let owner = self.core.membership.owner(shard);
        let owner = owner.ok_or(Error::Unavailable)?;
        if self.core.is_local(&owner.node) {
            return own(&self.core).ok_or(Error::Unavailable);
        }
        let peer = self.core.peer(&owner.node);
        Ok(Arc::new(RemoteNode::new(&self.core, peer)))
    }

    fn way(&self, account: &BareJid) -> Way {
        self.core.way(self.core.placement.shard_of(account))
    }

    fn left(&self, shard: Shard, frames: Vec<Frame>) -> Vec<Frame> {
        self.core.left(shard, frames);
        Vec::new()
    }

    fn may_move(&self) -> bool {
        true
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        let nodes = self.core.membership.session_nodes();
        let nodes = nodes.iter().filter_map(|node| {
            if self.core.is_local(node) {
                return own(&self.core);
            }
            let peer = self.core.peer(node);
            Some(Arc::new(RemoteNode::new(&self.core, peer)) as Arc<dyn SessionNode>)
        });
        nodes.collect()
    }
}
