//! The bound connections of an edge, so that all of them can be ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_link::{Close, Outlet as _};

use crate::outlet::ClientOutlet;

/// All of them.
#[derive(Default)]
pub(crate) struct Live {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    outlets: HashMap<u64, Arc<ClientOutlet>>,
    is_draining: bool,
}

impl Live {
    /// Adds one; it is taken out when the guard goes.
    pub(crate) fn add(self: &Arc<Self>, outlet: &Arc<ClientOutlet>) -> Lively {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.outlets.insert(number, Arc::clone(outlet));
        let is_draining = state.is_draining;
        drop(state);
        if is_draining {
            outlet.close(Close::SystemShutdown);
        }
        Lively {
            live: Arc::clone(self),
            number,
        }
    }

    /// Ends all there are and all that come.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        state.is_draining = true;
        let outlets: Vec<_> = state.outlets.values().cloned().collect();
        drop(state);
        for outlet in outlets {
            outlet.close(Close::SystemShutdown);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of one connection.
pub(crate) struct Lively {
    live: Arc<Live>,
    number: u64,
}

impl Drop for Lively {
    fn drop(&mut self) {
        self.live.lock().outlets.remove(&self.number);
    }
}
