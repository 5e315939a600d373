//! The link of an edge to the nodes, which does as the real one: which way
//! frames go, and who has to move.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_cluster::Shard;
use starling_link::{Error, Frame, Link, Refused, SessionNode};
use starling_xmpp::BareJid;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::halt::{Halt, Held};
use crate::remote::RemoteNode;
use crate::table::{Row, View, edge_id};
use crate::ways::{Entry, State};
use crate::world::{NODES, Net};

/// How often the keeper looks again while something waits.
const RETRY_EVERY: Duration = Duration::from_millis(10);
/// The longest that it takes to tell a node that all sessions are there.
const TELL_MS_MAX: u64 = 20;
/// The link of an edge.
pub(crate) struct EdgeLink {
    pub(crate) net: Weak<Net>,
    pub(crate) number: usize,
    pub(crate) view: Arc<View>,
    pub(crate) gone: CancellationToken,
    pub(crate) this: Weak<Self>,
    pub(crate) halt: Arc<Halt>,
    state: Mutex<State>,
    dice: Mutex<Dice>,
    changed: Notify,
}

impl EdgeLink {
    pub(crate) fn start(net: &Arc<Net>, number: usize, gone: CancellationToken) -> Arc<Self> {
        let place = (NODES + number) as u64;
        let view = View::start(
            &net.table,
            edge_id(number),
            place,
            gone.clone(),
            net.dice(10),
        );
        let link = Arc::new_cyclic(|this| Self {
            net: Arc::downgrade(net),
            number,
            view,
            gone: gone.clone(),
            this: Weak::clone(this),
            halt: Arc::default(),
            state: Mutex::default(),
            dice: Mutex::new(net.dice(11)),
            changed: Notify::new(),
        });
        let weak = Arc::downgrade(&link);
        link.view.follow(move || {
            if let Some(link) = weak.upgrade() {
                link.look();
            }
        });
        let keeper = Arc::clone(&link);
        let until = gone.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                () = Held::new(&keeper.halt, Arc::clone(&keeper).keep()) => {}
            }
        });
        for to in 0..NODES {
            let (lane, dice, until) = (Arc::clone(&link), net.dice(12), gone.clone());
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = until.cancelled() => {}
                    () = Held::new(&lane.halt, Arc::clone(&lane).carry(to, dice)) => {}
                }
            });
        }
        link
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) async fn pause(&self, ms_max: u64) {
        let way = self.dice.lock().unwrap().within(0, ms_max);
        sleep(Duration::from_millis(way)).await;
    }

    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn shard_of(&self, account: &BareJid) -> Option<Shard> {
        Some(self.net.upgrade()?.placement.shard_of(account))
    }

    /// Where a shard's frames go now. None while they have to wait.
    pub(crate) fn turn(&self, state: &mut State, shard: Shard) -> Option<Row> {
        let row = self.view.row(shard)?;
        let before = state.routes.entry(shard).or_default().to;
        if before == Some(row) {
            return before;
        }
        if let Some(before) = before {
            if state.is_waiting(shard, before) {
                state.park(shard);
                self.wake();
                return None;
            }
            self.lose(state, |entry| {
                entry.shard == shard && entry.node == before.node
            });
        }
        state.routes.entry(shard).or_default().to = Some(row);
        Some(row)
    }

    /// The sessions of these are no longer where they were.
    fn lose(&self, state: &mut State, is_it: impl Fn(&Entry) -> bool) {
        let taken: Vec<_> = state
            .outlets
            .extract_if(.., |_, entry| is_it(entry))
            .collect();
        for (_, entry) in taken {
            let waiting = state.waiting.entry(entry.shard).or_default();
            waiting.push(Arc::downgrade(&entry.outlet));
            state.lost.push(entry.outlet);
        }
        self.wake();
    }

    /// Another node is about to have the session of an outlet.
    pub(crate) fn moved(&self, number: u64) {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(entry) = state.outlets.remove(&number) {
            let waiting = state.waiting.entry(entry.shard).or_default();
            waiting.push(Arc::downgrade(&entry.outlet));
            state.lost.push(entry.outlet);
            self.wake();
        }
    }

    /// A run of a node is gone, and all that was on its way to it.
    pub(crate) fn forgotten(&self, to: usize) {
        let mut state = self.state();
        let state = &mut *state;
        state.lanes[to].attached = None;
        state.lanes[to].frames.clear();
        self.lose(state, |entry| entry.node == to);
    }

    /// A node did not take a frame: it waits again, and all that are behind it.
    pub(crate) fn refused(&self, to: usize, shard: Shard, frame: Frame) {
        let mut state = self.state();
        let state = &mut *state;
        let mut back = vec![frame];
        let frames = std::mem::take(&mut state.lanes[to].frames);
        for (of, row, frame) in frames {
            if of == shard {
                back.push(frame);
            } else {
                state.lanes[to].frames.push_back((of, row, frame));
            }
        }
        let route = state.routes.entry(shard).or_default();
        for frame in back.into_iter().rev() {
            route.parked.push_front(frame);
        }
        state.park(shard);
        self.wake();
    }

    fn look(&self) {
        let mut state = self.state();
        for (shard, route) in &mut state.routes {
            route.is_parked |= route.to.is_some() && route.to != self.view.row(*shard);
        }
        self.wake();
    }

    async fn keep(self: Arc<Self>) {
        loop {
            let is_busy = self.attend();
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = sleep(RETRY_EVERY), if is_busy => {}
            }
        }
    }

    /// Sends what waits, tells whose session is lost, and new owners that all
    /// have found them. True while something is left to do.
    fn attend(&self) -> bool {
        let Some(net) = self.net.upgrade() else {
            return false;
        };
        let mut guard = self.state();
        let state = &mut *guard;
        let parked = state.routes.iter().filter(|(_, route)| route.is_parked);
        let parked: Vec<Shard> = parked.map(|(shard, _)| *shard).collect();
        for shard in parked {
            self.resume(state, shard);
        }
        let lost = std::mem::take(&mut state.lost);
        drop(guard);
        if !lost.is_empty() {
            tell!("edge {} has lost {} sessions", self.number, lost.len());
        }
        lost.iter().for_each(|outlet| outlet.lost());
        let mut guard = self.state();
        let state = &mut *guard;
        let mut is_left = state.routes.values().any(|route| route.is_parked);
        for shard in &net.shards {
            let row = self.view.row(*shard);
            if row.is_none() || state.told.get(shard) == row.as_ref() {
                continue;
            }
            is_left = true;
            let is_parked = state.routes.entry(*shard).or_default().is_parked;
            if is_parked || self.turn(state, *shard) != row {
                continue;
            }
            let is_ready = state.is_complete(*shard);
            if let (true, Some(row)) = (is_ready, row)
                && state.telling.insert(*shard)
            {
                self.tell(*shard, row);
            }
        }
        is_left
    }

    fn resume(&self, state: &mut State, shard: Shard) {
        let Some(row) = self.view.row(shard) else {
            return;
        };
        let before = state.routes.entry(shard).or_default().to;
        if let Some(before) = before.filter(|before| *before != row) {
            if state.is_waiting(shard, before) {
                return;
            }
            let frames = std::mem::take(&mut state.lanes[before.node].frames);
            let (back, others) = frames.into_iter().partition(|(of, ..)| *of == shard);
            state.lanes[before.node].frames = others;
            let back: VecDeque<(Shard, Row, Frame)> = back;
            let route = state.routes.entry(shard).or_default();
            for (_, _, frame) in back.into_iter().rev() {
                route.parked.push_front(frame);
            }
        }
        let Some(row) = self.turn(state, shard) else {
            return;
        };
        let route = state.routes.entry(shard).or_default();
        route.is_parked = false;
        for frame in std::mem::take(&mut route.parked) {
            state.send(shard, row, frame);
        }
    }

    fn tell(&self, shard: Shard, row: Row) {
        let (this, gone) = (Weak::clone(&self.this), self.gone.clone());
        tokio::spawn(async move {
            let Some(link) = this.upgrade() else { return };
            link.pause(TELL_MS_MAX).await;
            let node = link.net.upgrade().and_then(|net| net.node(row.node));
            let node = node.filter(|node| node.run == row.run && !node.end.is_cancelled());
            if gone.is_cancelled() {
                return;
            }
            if let Some(node) = &node {
                let shards = [(shard, row.epoch)];
                tell!("edge {} has all of {shard} at {row:?}", link.number);
                node.engine.attended(&edge_id(link.number), &shards);
            }
            let mut state = link.state();
            state.telling.remove(&shard);
            if node.is_some() {
                state.told.insert(shard, row);
            }
            drop(state);
            link.wake();
        });
    }
}

impl Link for EdgeLink {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let Some(shard) = self.shard_of(frame.target()) else {
            return Err(Refused::Unavailable(frame));
        };
        let mut state = self.state();
        let state = &mut *state;
        let is_parked = state.routes.entry(shard).or_default().is_parked;
        if !is_parked && let Some(row) = self.turn(state, shard) {
            state.send(shard, row, frame);
            return Ok(());
        }
        if let Frame::FromClient { .. } = frame {
            return Err(Refused::Unavailable(frame));
        }
        let route = state.routes.entry(shard).or_default();
        route.parked.push_back(frame);
        route.is_parked = true;
        self.wake();
        Ok(())
    }

    fn owner(&self, account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        let link = self.this.upgrade().ok_or(Error::ShuttingDown)?;
        let shard = self.shard_of(account).ok_or(Error::ShuttingDown)?;
        let row = self.view.row(shard).ok_or(Error::Unavailable)?;
        Ok(Arc::new(RemoteNode {
            link,
            node: row.node,
        }))
    }

    fn may_move(&self) -> bool {
        true
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}
