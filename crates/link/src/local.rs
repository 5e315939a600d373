//! The link of a node that is alone: every account is served in this process.
//!
//! The session engine needs a link to reach other shards and the link needs the
//! engine, so the link is made first and joined to the engine once it runs.

use std::sync::{Arc, OnceLock, Weak};

use starling_xmpp::BareJid;

use crate::{Error, Frame, Link, Refused, SessionNode};

/// Hands every frame to the one session node of this process.
///
/// It does not keep the node: the node keeps the link, and a circle would keep
/// its store open until the process ends.
#[derive(Default)]
pub struct LocalLink {
    node: OnceLock<Weak<dyn SessionNode>>,
}

impl LocalLink {
    /// A link that refuses everything until [`LocalLink::join`].
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Joins the session node. Only the first one counts.
    pub fn join<N: SessionNode + 'static>(&self, node: &Arc<N>) {
        let node: Weak<N> = Arc::downgrade(node);
        let _ = self.node.set(node);
    }

    fn node(&self) -> Option<Arc<dyn SessionNode>> {
        self.node.get().and_then(Weak::upgrade)
    }
}

impl Link for LocalLink {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        match self.node() {
            Some(node) => node.push(frame),
            None => Err(Refused::Unavailable(frame)),
        }
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        self.node().ok_or(Error::Unavailable)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        self.node().into_iter().collect()
    }
}
