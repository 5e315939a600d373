//! What lanes tell the keeper: frames that came back, and other sides that
//! have forgotten everything.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use starling_cluster::{NodeId, Owner, Shard};
use starling_link::Frame;
use starling_link::trace::SpanSink;

use super::keeper::Core;
use super::lane::{Events, Lane};
use super::peer::Peer;
use super::questions::Answer;
use super::trace::Sink;

/// What the lanes of one peer have to say.
pub(super) struct News {
    pub(super) core: Weak<Core>,
    pub(super) node: NodeId,
    pub(super) sink: Arc<OnceLock<Arc<dyn SpanSink>>>,
}

impl Events for News {
    fn refused(&self, lane: &Lane, shard: Shard, hint: Option<Owner>) {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let mut route = core.routes.lock(shard);
        if hint.is_some() {
            route.hint = hint;
        }
        // All that is on its way will be refused too, so that the order stays.
        let frames = lane.take_frames(shard);
        if route.is_by(&self.node) {
            route.is_to_restart = true;
        }
        core.routes.park_again(shard, &mut route, frames);
    }

    fn forgotten(&self, lane: &Lane) {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let peer = core.peers.load().get(&self.node).cloned();
        match peer {
            Some(peer) => core.forgotten(&peer, lane),
            None => drop(lane.reset()),
        }
    }

    fn moved(&self, lane: &Lane, outlet: u64) {
        let taken = lane.outlets.take_one(outlet);
        if let (Some(core), Some(taken)) = (self.core.upgrade(), taken) {
            core.lose(vec![taken]);
        }
    }

    fn unwanted(&self, answer: Answer) {
        if let Some(core) = self.core.upgrade() {
            core.abandon(answer);
        }
    }

    fn sink(&self) -> Sink<'_> {
        self.sink.get()
    }

    fn reachable(&self, is_reachable: bool) {
        if let Some(core) = self.core.upgrade() {
            core.membership.report(&self.node, is_reachable);
        }
    }
}

impl Core {
    /// A lane forgot everything: what was on it finds its way again.
    fn forgotten(&self, peer: &Peer, lane: &Lane) {
        // All at once, so that nothing newer finds a way before what comes back.
        let mut routes = self.routes.lock_all();
        let mut back: BTreeMap<Shard, Vec<Frame>> = BTreeMap::new();
        for kept in lane.reset() {
            back.entry(kept.address.shard).or_default().push(kept.frame);
        }
        for (shard, route) in Shard::all().zip(&mut routes) {
            if peer.uses(shard, lane.index) && route.is_by(peer.node()) {
                self.routes.park(shard, route);
            }
            if let Some(frames) = back.remove(&shard) {
                self.replay(shard, route, frames);
            }
        }
        drop(routes);
        self.lose(lane.outlets.take(|_| true));
    }
}
