//! The link of a node that is alone: every account is served in this process.
//!
//! The session engine needs a link to reach other shards and the link needs the
//! engine, so the link is made first and joined to the engine once it runs.

use std::sync::{Arc, OnceLock};

use starling_xmpp::BareJid;

use crate::{Error, Frame, Link, Refused, SessionNode};

/// Hands every frame to the one session node of this process.
#[derive(Default)]
pub struct LocalLink {
    node: OnceLock<Arc<dyn SessionNode>>,
}

impl LocalLink {
    /// A link that refuses everything until [`LocalLink::join`].
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Joins the session node. Only the first one counts.
    pub fn join(&self, node: Arc<dyn SessionNode>) {
        let _ = self.node.set(node);
    }
}

impl Link for LocalLink {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        match self.node.get() {
            Some(node) => node.push(frame),
            None => Err(Refused::Unavailable(frame)),
        }
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        self.node.get().cloned().ok_or(Error::Unavailable)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        self.node.get().cloned().into_iter().collect()
    }
}
