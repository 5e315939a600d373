//! The bound connections of an edge, so that all of them can be ended, and
//! whether they are to be. In what order and how fast is `drain`'s matter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::seq::IndexedRandom as _;
use starling_link::{Close, Outlet as _};
use starling_xmpp::BareJid;
use tokio::sync::watch;

use crate::close::Ending;
use crate::drain::Elsewhere;
use crate::hosts::Hosts;
use crate::outlet::ClientOutlet;

/// All of them.
pub(crate) struct Live {
    state: Mutex<State>,
    /// Changed only under the lock of the state.
    is_draining: watch::Sender<bool>,
    /// None at the only edge there is.
    elsewhere: Option<Elsewhere>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// With the host of each.
    outlets: HashMap<u64, (BareJid, Arc<ClientOutlet>)>,
}

impl Live {
    pub(crate) fn new(elsewhere: Option<Elsewhere>) -> Self {
        Self {
            state: Mutex::default(),
            is_draining: watch::Sender::new(false),
            elsewhere,
        }
    }

    /// Adds one; it is taken out when the guard goes.
    pub(crate) fn add(self: &Arc<Self>, host: &BareJid, outlet: &Arc<ClientOutlet>) -> Lively {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state
            .outlets
            .insert(number, (host.clone(), Arc::clone(outlet)));
        let is_draining = self.is_draining();
        drop(state);
        if is_draining {
            outlet.close(Close::SystemShutdown);
        }
        Lively {
            live: Arc::clone(self),
            number,
        }
    }

    /// Whether clients are to go: those that come from now on do at once.
    pub(crate) fn set_draining(&self, is_draining: bool) {
        let _state = self.lock();
        let change = |known: &mut bool| std::mem::replace(known, is_draining) != is_draining;
        self.is_draining.send_if_modified(change);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.is_draining.borrow()
    }

    /// Tells when that changes.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.is_draining.subscribe()
    }

    /// Whether there is no other edge.
    pub(crate) fn is_alone(&self) -> bool {
        self.elsewhere.is_none()
    }

    /// Those there are.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.lock().outlets.keys().copied().collect()
    }

    /// Ends one, if it is still there.
    pub(crate) fn let_go(&self, number: u64) {
        let found = self.lock().outlets.get(&number).cloned();
        if let Some((_, outlet)) = found {
            outlet.close(Close::SystemShutdown);
        }
    }

    /// How a session's stream really ends that ends while clients are let go: with
    /// a hint where to go, if there is a place (RFC 6120 §4.9.3.19). Who comes
    /// back here all the same gets no other hint: clients that cannot follow it
    /// would try at once, and give up after a few times.
    pub(crate) fn redirected(&self, ending: Ending) -> Ending {
        if ending != Ending::Session(Close::SystemShutdown) || !self.is_draining() {
            return ending;
        }
        let places = self.elsewhere.as_ref().map(|elsewhere| elsewhere());
        let place = places
            .as_ref()
            .and_then(|some| some.choose(&mut rand::rng()));
        place.map_or(ending, |place| Ending::Elsewhere(place.clone()))
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
