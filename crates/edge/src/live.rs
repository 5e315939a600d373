//! The bound connections of an edge, so that all of them can be ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_link::{Close, Outlet as _};
use starling_xmpp::BareJid;

use crate::hosts::Hosts;
use crate::outlet::ClientOutlet;

/// All of them.
#[derive(Default)]
pub(crate) struct Live {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// With the host of each.
    outlets: HashMap<u64, (BareJid, Arc<ClientOutlet>)>,
    is_draining: bool,
}

impl Live {
    /// Adds one; it is taken out when the guard goes.
    pub(crate) fn add(self: &Arc<Self>, host: &BareJid, outlet: &Arc<ClientOutlet>) -> Lively {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state
            .outlets
            .insert(number, (host.clone(), Arc::clone(outlet)));
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
        for (_, outlet) in outlets {
            outlet.close(Close::SystemShutdown);
        }
    }

    /// Ends those of hosts that are not among these (RFC 6120 §4.9.3.7).
    pub(crate) fn keep(&self, hosts: &Hosts) {
        let state = self.lock();
        let gone = |(host, _): &&(BareJid, _)| hosts.get(host.domain()).is_none();
        let outlets: Vec<_> = state.outlets.values().filter(gone).cloned().collect();
        drop(state);
        for (_, outlet) in outlets {
            outlet.close(Close::HostGone);
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
