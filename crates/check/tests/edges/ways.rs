//! What the link of an edge knows: where the frames of each shard go, what waits,
//! which outlets have which session. What it does about it is in `edge`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

use starling_cluster::Shard;
use starling_link::{Attach, Frame, Outlet, SessionId};
use tokio::sync::Notify;

use crate::attached::Attached;
use crate::table::Row;
use crate::world::NODES;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) routes: BTreeMap<Shard, Route>,
    pub(crate) lanes: [LaneState; NODES],
    pub(crate) outlets: BTreeMap<u64, Entry>,
    last: u64,
    pub(crate) lost: Vec<Arc<dyn Outlet>>,
    pub(crate) waiting: BTreeMap<Shard, Vec<Weak<dyn Outlet>>>,
    pub(crate) told: BTreeMap<Shard, Row>,
    pub(crate) telling: BTreeSet<Shard>,
}

/// The way of one shard.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) to: Option<Row>,
    pub(crate) parked: VecDeque<Frame>,
    pub(crate) is_parked: bool,
}

/// The way to one node.
#[derive(Default)]
pub(crate) struct LaneState {
    pub(crate) frames: VecDeque<(Shard, Row, Frame)>,
    /// One is being handed over.
    pub(crate) flying: Option<Shard>,
    pub(crate) attached: Option<Arc<Attached>>,
    pub(crate) changed: Arc<Notify>,
}

pub(crate) struct Entry {
    pub(crate) shard: Shard,
    pub(crate) node: usize,
    pub(crate) outlet: Arc<dyn Outlet>,
    session: Option<(SessionId, Attach)>,
}

impl State {
    pub(crate) fn is_waiting(&self, shard: Shard, before: Row) -> bool {
        let lane = &self.lanes[before.node];
        lane.attached.is_some()
            && (lane.flying == Some(shard) || lane.frames.iter().any(|(of, ..)| *of == shard))
    }

    pub(crate) fn park(&mut self, shard: Shard) {
        self.routes.entry(shard).or_default().is_parked = true;
    }

    pub(crate) fn send(&mut self, shard: Shard, row: Row, frame: Frame) {
        if let Frame::Detach {
            session, attach, ..
        } = &frame
        {
            let key = Some((session.id, *attach));
            self.outlets.retain(|_, entry| entry.session != key);
        }
        let lane = &mut self.lanes[row.node];
        lane.frames.push_back((shard, row, frame));
        lane.changed.notify_one();
    }

    /// Whether all of a shard have found their owner, or ended.
    pub(crate) fn is_complete(&mut self, shard: Shard) -> bool {
        let Some(waiting) = self.waiting.get_mut(&shard) else {
            return true;
        };
        waiting.retain(|outlet| outlet.upgrade().is_some_and(|outlet| outlet.is_waiting()));
        waiting.is_empty()
    }

    /// Gives an outlet a number, before its session is asked for.
    pub(crate) fn add(&mut self, shard: Shard, node: usize, outlet: Arc<dyn Outlet>) -> u64 {
        self.last += 1;
        let entry = Entry {
            shard,
            node,
            outlet,
            session: None,
        };
        self.outlets.insert(self.last, entry);
        self.last
    }

    /// The session of an outlet is there. False if that was lost since.
    pub(crate) fn attach(&mut self, number: u64, session: (SessionId, Attach)) -> bool {
        let entry = self.outlets.get_mut(&number);
        let Some(entry) = entry else { return false };
        entry.session = Some(session);
        true
    }

    /// Forgets an outlet unless it has a session.
    pub(crate) fn remove_unattached(&mut self, number: u64) {
        if self
            .outlets
            .get(&number)
            .is_some_and(|entry| entry.session.is_none())
        {
            self.outlets.remove(&number);
        }
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.outlets.remove(&number);
    }

    pub(crate) fn outlet(&self, number: u64) -> Option<Arc<dyn Outlet>> {
        let entry = self.outlets.get(&number)?;
        Some(Arc::clone(&entry.outlet))
    }
}
