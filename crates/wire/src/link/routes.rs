//! Where the frames of each shard go, and those that cannot go anywhere yet.
//!
//! Invariant: frames for one shard go one way at a time. While there are frames
//! that wait, later ones wait behind them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_cluster::{NodeId, Owner, SHARDS, Shard};
use starling_link::Frame;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::peer::Peer;

/// Bytes of stanzas that may wait for shards without an owner, all together.
const PARKED_BYTES_MAX: usize = 64 * 1_048_576;

/// What a frame weighs besides its stanza.
const FRAME_BYTES: usize = 128;

/// The way of one shard.
#[derive(Default)]
pub(crate) struct Route {
    /// The owner that frames went to last.
    pub(crate) owner: Option<Owner>,
    /// Its lanes; `None` if it is this process.
    pub(crate) peer: Option<Arc<Peer>>,
    /// A newer owner that the one before told of.
    pub(crate) hint: Option<Owner>,
    /// This process had the shard, and what waited for it here is on its way.
    pub(crate) is_left: bool,
    /// Since when frames wait for this process to say so.
    pub(crate) leaving_since: Option<Instant>,
    /// The owner may refuse what comes until it is told that the order begins
    /// anew. Set only while nothing of the shard is on its way to it: else what
    /// it takes then would overtake what it refuses before.
    pub(crate) is_to_restart: bool,
    /// Frames that wait, oldest first.
    parked: VecDeque<Frame>,
    /// How many of the first of them came back, or waited in this process when it
    /// let the shard go.
    ahead: usize,
    /// Whether frames have to wait.
    pub(crate) is_parked: bool,
}

/// The ways of all shards.
pub(crate) struct Routes {
    routes: Vec<Mutex<Route>>,
    parked_bytes: AtomicUsize,
    parked_shards: Mutex<BTreeSet<Shard>>,
    /// Some shard has frames that wait.
    pub(crate) parked: Notify,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self {
            routes: (0..SHARDS).map(|_| Mutex::default()).collect(),
            parked_bytes: AtomicUsize::new(0),
            parked_shards: Mutex::default(),
            parked: Notify::new(),
        }
    }

    /// The way of a shard; nothing is sent to it by others meanwhile.
    pub(crate) fn lock(&self, shard: Shard) -> MutexGuard<'_, Route> {
        // Invariant: there is one for every shard.
        let route = &self.routes[usize::from(shard.number())];
        route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ways of all shards at once, in the order in which whoever needs more
    /// than one has to lock them.
    pub(crate) fn lock_all(&self) -> Vec<MutexGuard<'_, Route>> {
        Shard::all().map(|shard| self.lock(shard)).collect()
    }

    /// Shards with frames that wait.
    pub(crate) fn parked_shards(&self) -> Vec<Shard> {
        self.shards().iter().copied().collect()
    }

    /// Bytes of frames that wait.
    pub(crate) fn parked_bytes(&self) -> usize {
        self.parked_bytes.load(Ordering::Relaxed)
    }

    /// From now on frames of this shard wait.
    pub(crate) fn park(&self, shard: Shard, route: &mut Route) {
        route.is_parked = true;
        self.shards().insert(shard);
        self.parked.notify_one();
    }

    /// Lets a new frame wait behind the others, unless too much waits.
    pub(crate) fn park_new(
        &self,
        shard: Shard,
        route: &mut Route,
        frame: Frame,
    ) -> Result<(), Frame> {
        let is_owed = !matches!(frame, Frame::Routed(_) | Frame::FromClient { .. });
        if !is_owed && self.parked_bytes() >= PARKED_BYTES_MAX {
            return Err(frame);
        }
        self.parked_bytes
            .fetch_add(weight(&frame), Ordering::Relaxed);
        route.parked.push_back(frame);
        self.park(shard, route);
        Ok(())
    }

    /// Puts frames that came back before all that wait: they are older.
    pub(crate) fn park_again(&self, shard: Shard, route: &mut Route, frames: Vec<Frame>) {
        route.ahead += frames.len();
        for frame in frames.into_iter().rev() {
            self.put_first(route, frame);
        }
        self.park(shard, route);
    }

    /// Lets frames wait that waited in this process until it let the shard go:
    /// behind those that came back, and ahead of what is newer.
    pub(crate) fn park_left(&self, shard: Shard, route: &mut Route, frames: Vec<Frame>) {
        // Invariant: no more are ahead than there are.
        let newer = route.parked.split_off(route.ahead);
        route.ahead += frames.len();
        for frame in frames {
            self.parked_bytes
                .fetch_add(weight(&frame), Ordering::Relaxed);
            route.parked.push_back(frame);
        }
        route.parked.extend(newer);
        self.park(shard, route);
    }

    /// The oldest frame that waits, and whether it was one of those ahead.
    pub(crate) fn next(&self, route: &mut Route) -> Option<(Frame, bool)> {
        let frame = route.parked.pop_front()?;
        self.parked_bytes
            .fetch_sub(weight(&frame), Ordering::Relaxed);
        let is_ahead = route.ahead > 0;
        route.ahead -= usize::from(is_ahead);
        Some((frame, is_ahead))
    }

    /// Lets it wait again: there was no room for it.
    pub(crate) fn put_back(&self, route: &mut Route, frame: Frame, is_ahead: bool) {
        route.ahead += usize::from(is_ahead);
        self.put_first(route, frame);
    }

    fn put_first(&self, route: &mut Route, frame: Frame) {
        self.parked_bytes
            .fetch_add(weight(&frame), Ordering::Relaxed);
        route.parked.push_front(frame);
    }

    /// No frame waits any longer.
    pub(crate) fn unpark(&self, shard: Shard, route: &mut Route) {
        route.is_parked = false;
        self.shards().remove(&shard);
    }

    fn shards(&self) -> MutexGuard<'_, BTreeSet<Shard>> {
        self.parked_shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    /// Whether frames went to this owner last.
    pub(crate) fn is_to(&self, owner: &Owner) -> bool {
        self.owner.as_ref() == Some(owner)
    }

    /// Whether the owner before still has frames of a shard that are not settled.
    pub(crate) fn has_left_behind(&self, shard: Shard) -> bool {
        let peer = self.peer.as_ref();
        peer.is_some_and(|peer| peer.lane(shard).has_any(shard))
    }

    /// Whether frames went to this node last.
    pub(crate) fn is_by(&self, node: &NodeId) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.node() == node)
    }
}

/// What a frame counts against the bound.
pub(crate) fn weight(frame: &Frame) -> usize {
    FRAME_BYTES
        + match frame {
            Frame::FromClient { stanza, .. } => stanza.len_estimate(),
            Frame::Answered { answer, .. } => {
                answer.as_ref().map_or(0, |answer| answer.len_estimate())
            }
            Frame::Routed(routed) => routed.stanza.len_estimate(),
            Frame::Acked { .. }
            | Frame::Enable { .. }
            | Frame::ClientState { .. }
            | Frame::Detach { .. } => 0,
        }
}
