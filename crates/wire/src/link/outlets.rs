//! The clients of this node behind one lane: which outlet a number names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_cluster::Shard;
use starling_link::{Attach, Outlet, SessionId};

/// The outlets that one lane of one peer speaks to.
#[derive(Default)]
pub(crate) struct Outlets {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    outlets: HashMap<u64, Entry>,
    sessions: HashMap<(SessionId, Attach), u64>,
}

struct Entry {
    shard: Shard,
    outlet: Arc<dyn Outlet>,
    is_attached: bool,
}

impl Outlets {
    /// Gives an outlet a number, before its session is asked for: what the
    /// session says may come before the answer.
    pub(crate) fn add(&self, shard: Shard, outlet: Arc<dyn Outlet>) -> u64 {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let entry = Entry {
            shard,
            outlet,
            is_attached: false,
        };
        state.outlets.insert(number, entry);
        number
    }

    /// The session of an outlet is there. `false` if the lane was lost since.
    pub(crate) fn attach(&self, number: u64, session: SessionId, attach: Attach) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.outlets.get_mut(&number) else {
            return false;
        };
        entry.is_attached = true;
        state.sessions.insert((session, attach), number);
        true
    }

    /// Forgets an outlet unless it has a session.
    pub(crate) fn remove_unattached(&self, number: u64) {
        let mut state = self.lock();
        if state.outlets.get(&number).is_some_and(|e| !e.is_attached) {
            state.outlets.remove(&number);
        }
    }

    /// Forgets an outlet that takes nothing more.
    pub(crate) fn remove(&self, number: u64) {
        self.lock().outlets.remove(&number);
    }

    /// Forgets the outlet of a stream that has ended.
    pub(crate) fn detach(&self, session: SessionId, attach: Attach) {
        let mut state = self.lock();
        if let Some(number) = state.sessions.remove(&(session, attach)) {
            state.outlets.remove(&number);
        }
    }

    /// The outlet of this number, if it is still there.
    pub(crate) fn get(&self, number: u64) -> Option<Arc<dyn Outlet>> {
        let state = self.lock();
        let entry = state.outlets.get(&number)?;
        Some(Arc::clone(&entry.outlet))
    }

    /// Takes one outlet: its session is no longer where it was.
    pub(crate) fn take_one(&self, number: u64) -> Option<(Shard, Arc<dyn Outlet>)> {
        let mut state = self.lock();
        let entry = state.outlets.remove(&number)?;
        state.sessions.retain(|_, known| *known != number);
        Some((entry.shard, entry.outlet))
    }

    /// Takes the outlets of the shards that `is_lost` picks: their sessions are
    /// no longer where they were.
    pub(crate) fn take(&self, is_lost: impl Fn(Shard) -> bool) -> Vec<(Shard, Arc<dyn Outlet>)> {
        let mut state = self.lock();
        let State {
            outlets, sessions, ..
        } = &mut *state;
        let taken = outlets
            .extract_if(|_, entry| is_lost(entry.shard))
            .map(|(_, entry)| (entry.shard, entry.outlet))
            .collect();
        sessions.retain(|_, number| outlets.contains_key(number));
        taken
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
