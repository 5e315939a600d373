//! What a session has been sent, by number, and where that goes at the moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_link::{Close, Full, Management, Outlet, SessionKey, TraceContext, is_ahead};
use starling_xmpp::Stanza;

/// The way from an account to one of its clients. It outlives the streams of
/// its session.
pub(crate) struct Ring {
    /// The session.
    pub(crate) key: SessionKey,
    state: Mutex<State>,
}

struct State {
    outlet: Arc<dyn Outlet>,
    /// The number of the last stanza to the client.
    sent: u32,
    /// Somebody wants to know when the client has everything up to here.
    awaited: Option<u32>,
}

impl Ring {
    pub(crate) fn new(key: SessionKey, outlet: Arc<dyn Outlet>) -> Arc<Self> {
        let state = Mutex::new(State {
            outlet,
            sent: 0,
            awaited: None,
        });
        Arc::new(Self { key, state })
    }

    /// Puts a stanza behind all earlier ones.
    pub(crate) fn deliver(
        &self,
        stanza: &Stanza,
        trace: Option<&TraceContext>,
    ) -> Result<(), Full> {
        let mut state = self.lock();
        match trace {
            None => state.outlet.deliver(stanza)?,
            Some(trace) => state.outlet.deliver_watched(stanza, trace)?,
        }
        state.sent = state.sent.wrapping_add(1);
        Ok(())
    }

    /// Asks to be told when the client has all that was delivered so far.
    pub(crate) fn request_ack(&self) {
        let mut state = self.lock();
        state.awaited = Some(state.sent);
        state.outlet.request_ack();
    }

    /// The client has everything up to a number: whether that was awaited.
    pub(crate) fn acked(&self, number: u32) -> bool {
        let mut state = self.lock();
        let is_awaited = state
            .awaited
            .is_some_and(|awaited| !is_ahead(awaited, number));
        if is_awaited {
            state.awaited = None;
        }
        is_awaited
    }

    /// The number of the last stanza to the client.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn sent(&self) -> u32 {
        self.lock().sent
    }

    /// Stream management is on behind all stanzas so far.
    pub(crate) fn enable(&self, received: u32) {
        let state = self.lock();
        state.outlet.enabled(&Management {
            received,
            sent: state.sent,
            resumption: None,
        });
    }

    /// Ends the stream.
    pub(crate) fn close(&self, why: Close) {
        self.lock().outlet.close(why);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
