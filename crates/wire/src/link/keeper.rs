//! Keeps frames on their way: sends each to the owner of its shard, holds those
//! that have none, and sends again what came back.
//!
//! A frame that is sent again may have been taken before: a session knows its
//! numbers, an account the ids of its messages. None is lost while its sender
//! lives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use starling_cluster::{Membership, NodeId, Owner, Placement, Shard};
use starling_link::trace::SpanSink;
use starling_link::{Frame, Outlet, Refused, SessionNode, Way};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::attending::Attending;
use super::lane::Kept;
use super::outlets::Outlets;
use super::peer::Peer;
use super::routes::{Route, Routes};
use super::up::Address;
use super::{Config, Tls};
use crate::metrics;

/// Pause between two looks at frames that wait.
const RETRY_EVERY: Duration = Duration::from_millis(10);

/// How long is waited for this process to say what it had in hand for a shard
/// that is another's now. It does so as soon as it hears of that, and for a shard
/// that it waited for and was not given, when it looks again (`session`, every
/// tenth of a second); one that had nothing in hand has nothing to say.
const LEAVING_PATIENCE: Duration = Duration::from_secs(2);

/// How many times the bound of clients holds for stanzas that follow from work
/// already accepted, as within a node (`link::Mailbox`).
const FOLLOWING_FACTOR: usize = 8;

/// What the link of this process consists of.
pub(crate) struct Core {
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) placement: Placement,
    pub(super) membership: Arc<dyn Membership>,
    pub(super) incarnation: u64,
    local: OnceLock<Weak<dyn SessionNode>>,
    pub(super) peers: ArcSwap<HashMap<NodeId, Arc<Peer>>>,
    /// Whoever adds a peer holds this.
    pub(super) adding: Mutex<()>,
    pub(super) routes: Routes,
    /// Clients of this process whose sessions are in this process.
    pub(super) own: Outlets,
    /// Outlets whose sessions are no longer where they were, to be told so.
    lost: Mutex<Vec<Arc<dyn Outlet>>>,
    /// Whom new owners still wait for.
    pub(super) attending: Attending,
    /// Where spans go, once that is known.
    pub(super) sink: Arc<OnceLock<Arc<dyn SpanSink>>>,
    pub(super) runtime: Handle,
    pub(super) this: Weak<Self>,
}

impl Core {
    pub(crate) fn new(
        config: Config,
        tls: Tls,
        placement: Placement,
        membership: Arc<dyn Membership>,
        incarnation: u64,
        runtime: Handle,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            config,
            tls,
            placement,
            membership,
            incarnation,
            local: OnceLock::new(),
            peers: ArcSwap::default(),
            adding: Mutex::new(()),
            routes: Routes::new(),
            own: Outlets::default(),
            lost: Mutex::default(),
            attending: Attending::default(),
            sink: Arc::default(),
            runtime,
            this: Weak::clone(this),
        })
    }

    pub(crate) fn join(&self, node: Weak<dyn SessionNode>) {
        let _ = self.local.set(node);
    }

    pub(crate) fn trace_to(&self, sink: Arc<dyn SpanSink>) {
        let _ = self.sink.set(sink);
    }

    pub(crate) fn local(&self) -> Option<Arc<dyn SessionNode>> {
        self.local.get().and_then(Weak::upgrade)
    }

    pub(crate) fn is_local(&self, node: &NodeId) -> bool {
        node == self.membership.local()
    }

    /// Puts a frame on its way.
    pub(crate) fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let shard = self.placement.shard_of(frame.target());
        let mut route = self.routes.lock(shard);
        if !route.is_parked {
            match self.turn(shard, &mut route) {
                Some(owner) => return self.send(&mut route, shard, &owner, frame),
                None if matches!(frame, Frame::FromClient { .. }) => {
                    return Err(Refused::Unavailable(frame));
                }
                None => {}
            }
        }
        if let Frame::FromClient { .. } = frame {
            return Err(Refused::Unavailable(frame));
        }
        self.routes
            .park_new(shard, &mut route, frame)
            .map_err(Refused::Full)
    }

    /// Where a shard's frames go now. `None` while they have to wait: there is
    /// no owner, or earlier ones are still on their way to another.
    pub(super) fn turn(&self, shard: Shard, route: &mut Route) -> Option<Owner> {
        let owner = self.owner(shard, route)?;
        if route.is_to(&owner) {
            return Some(owner);
        }
        // Whoever asks may have heard of the new owner before the keeper has.
        // What the one before has not settled goes ahead of anything newer, and
        // would never go if nobody took it back now.
        if self.is_waiting(shard, route)
            || route.has_left_behind(shard)
            || self.is_leaving(&owner, route)
        {
            self.routes.park(shard, route);
            return None;
        }
        let before = match &route.peer {
            Some(before) => &before.lane(shard).outlets,
            None => &self.own,
        };
        self.lose(before.take(|other| other == shard));
        route.peer = if self.is_local(&owner.node) {
            None
        } else {
            Some(self.peer(&owner.node))
        };
        route.owner = Some(owner.clone());
        (route.is_left, route.leaving_since) = (false, None);
        route.is_to_restart = true;
        Some(owner)
    }

    /// Whether this process had the shard until now and has not sent on yet what
    /// waited for it here, which goes ahead of anything newer.
    fn is_leaving(&self, owner: &Owner, route: &mut Route) -> bool {
        let before = route.owner.as_ref().filter(|_| route.peer.is_none());
        let was_here = before.is_some_and(|before| self.is_local(&before.node));
        if !was_here || route.is_left || self.is_local(&owner.node) || self.local().is_none() {
            return false;
        }
        let since = *route.leaving_since.get_or_insert_with(Instant::now);
        since.elapsed() < LEAVING_PATIENCE
    }

    /// This process has let a shard go, or was not given it; what waited for it
    /// here goes first.
    pub(crate) fn left(&self, shard: Shard, frames: Vec<Frame>) {
        let mut route = self.routes.lock(shard);
        let owner = self.owner(shard, &route);
        // What it has let go for one that is to be here comes back.
        route.is_left = !owner.is_some_and(|owner| self.is_local(&owner.node));
        if route.is_parked || !frames.is_empty() {
            self.routes.park_left(shard, &mut route, frames);
        }
    }

    /// Takes note of where a shard's frames go, as a session is about to be
    /// there: it must learn when that changes. `None` if nobody owns it.
    pub(crate) fn touch(&self, shard: Shard) -> Option<Owner> {
        let mut route = self.routes.lock(shard);
        if route.is_parked {
            return None;
        }
        self.turn(shard, &mut route)
    }

    /// Where a shard's frames go at the moment.
    pub(crate) fn way(&self, shard: Shard) -> Way {
        let route = self.routes.lock(shard);
        if route.is_parked {
            return Way::Nowhere;
        }
        match self.owner(shard, &route) {
            None => Way::Nowhere,
            Some(owner) if self.is_local(&owner.node) => Way::Here,
            Some(owner) => {
                let peers = self.peers.load();
                let lane = peers.get(&owner.node).map(|peer| peer.lane(shard));
                match lane.is_some_and(|lane| lane.is_up()) {
                    true => Way::There,
                    false => Way::Nowhere,
                }
            }
        }
    }

    /// These are told soon, where no lock is held.
    pub(super) fn lose(&self, outlets: Vec<(Shard, Arc<dyn Outlet>)>) {
        if !outlets.is_empty() {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            for (shard, outlet) in outlets {
                self.attending.wait_for(shard, &outlet);
                lost.push(outlet);
            }
            self.routes.parked.notify_one();
        }
    }

    pub(super) fn tell_lost(&self) {
        let lost = std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        lost.iter().for_each(|outlet| outlet.lost());
    }

    /// The newest owner anybody has told of.
    fn owner(&self, shard: Shard, route: &Route) -> Option<Owner> {
        let known = self.membership.owner(shard);
        let hint = route.hint.as_ref().filter(|hint| {
            let is_newer = known.as_ref().is_none_or(|known| known.epoch < hint.epoch);
            is_newer && (self.is_local(&hint.node) || self.membership.address(&hint.node).is_some())
        });
        hint.cloned().or(known)
    }

    /// Whether frames are on their way to the owner before, who will say what
    /// became of them. One that cannot be reached will not.
    fn is_waiting(&self, shard: Shard, route: &Route) -> bool {
        let (Some(peer), Some(owner)) = (&route.peer, &route.owner) else {
            return false;
        };
        let lane = peer.lane(shard);
        lane.is_up() && lane.has_frames(shard, owner.epoch)
    }

    fn send(
        &self,
        route: &mut Route,
        shard: Shard,
        owner: &Owner,
        frame: Frame,
    ) -> Result<(), Refused<Frame>> {
        let Some(peer) = &route.peer else {
            if let Frame::Detach {
                session, attach, ..
            } = &frame
            {
                self.own.detach(session.id, *attach);
            }
            return match self.local() {
                Some(node) => node.push(frame),
                None => Err(Refused::Unavailable(frame)),
            };
        };
        let bytes_max = match &frame {
            Frame::FromClient { .. } => self.config.unacknowledged_bytes_max,
            Frame::Routed(_) => self.config.unacknowledged_bytes_max * FOLLOWING_FACTOR,
            // Bounded by the number of sessions.
            Frame::Answered { .. }
            | Frame::Acked { .. }
            | Frame::Enable { .. }
            | Frame::ClientState { .. }
            | Frame::Detach { .. } => usize::MAX,
        };
        let address = Address {
            shard,
            epoch: owner.epoch,
            is_restart: route.is_to_restart,
        };
        peer.lane(shard)
            .push(bytes_max, Kept { frame, address })
            .map_err(|kept| Refused::Full(kept.frame))?;
        route.is_to_restart = false;
        Ok(())
    }

    /// Looks after frames that wait, until the link is dropped.
    pub(crate) async fn keep(this: Weak<Self>) {
        let Some(core) = this.upgrade() else {
            return;
        };
        let mut changes = core.membership.changes();
        drop(core);
        loop {
            let Some(core) = this.upgrade() else {
                return;
            };
            let parked = core.routes.parked_shards();
            for shard in &parked {
                core.resume(*shard);
            }
            core.tell_lost();
            let is_attending = core.attend();
            metrics::parked_bytes(core.routes.parked_bytes());
            let is_parked = !core.routes.parked_shards().is_empty();
            let routes = Arc::clone(&core);
            drop(core);
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    routes.look();
                    routes.attending.look();
                }
                () = routes.routes.parked.notified() => {}
                () = sleep(RETRY_EVERY), if is_parked || is_attending => {}
            }
        }
    }

    /// Owners may have changed: what is on its way to one that is not any more
    /// will be sent again.
    fn look(&self) {
        for shard in Shard::all() {
            let mut route = self.routes.lock(shard);
            let is_used = route.peer.is_some() && !route.is_parked;
            if is_used && self.membership.owner(shard) != route.owner {
                // From here on frames wait, until it is known what became of
                // those before.
                self.routes.park(shard, &mut route);
            }
        }
        let known = self.peers.load();
        if known
            .keys()
            .any(|node| self.membership.address(node).is_none())
        {
            self.forget_peers();
        }
    }

    /// Sends what waits for a shard, if it can be sent.
    fn resume(&self, shard: Shard) {
        let mut route = self.routes.lock(shard);
        let Some(owner) = self.owner(shard, &route) else {
            return;
        };
        if !route.is_to(&owner) {
            if self.is_waiting(shard, &route) || self.is_leaving(&owner, &mut route) {
                return;
            }
            self.recall(shard, &mut route);
        }
        let Some(owner) = self.turn(shard, &mut route) else {
            return;
        };
        while let Some((frame, is_ahead)) = self.routes.next(&mut route) {
            if let Err(refused) = self.send(&mut route, shard, &owner, frame) {
                let frame = refused.into_inner();
                self.routes.put_back(&mut route, frame, is_ahead);
                return;
            }
        }
        self.routes.unpark(shard, &mut route);
    }

    /// Takes back from the owner before what it has not settled.
    fn recall(&self, shard: Shard, route: &mut Route) {
        let Some(peer) = route.peer.clone() else {
            return;
        };
        let frames = peer.lane(shard).take_all(shard);
        self.replay(shard, route, frames);
    }

    /// Sends again, ahead of everything newer, what an earlier owner or an
    /// earlier run of it had and did not settle.
    pub(super) fn replay(&self, shard: Shard, route: &mut Route, mut frames: Vec<Frame>) {
        for frame in &mut frames {
            if let Frame::Routed(routed) = frame {
                // It may have stored it and could not say so.
                routed.is_repeated = true;
            }
        }
        metrics::replayed(frames.len());
        self.routes.park_again(shard, route, frames);
    }
}
