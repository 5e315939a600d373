//! The way from a session to its client: a bounded queue of bytes that the
//! session fills and the connection empties.
//!
//! Stanzas are serialised as they come in, so that the connection writes many
//! with one call and an idle one holds no buffer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::BytesMut;
use starling_link::{ActiveSpan, Close, Full, Management, Outlet, TraceContext};
use starling_xmpp::{Stanza, ns};

use crate::config::Limits;
use crate::features::sm;
use crate::metrics;

/// The first allocation of an empty queue: one short message.
const FIRST_BYTES: usize = 512;

/// The queue of one connection.
pub(crate) struct ClientOutlet {
    state: Mutex<State>,
    stanzas_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    queued: BytesMut,
    stanzas: usize,
    /// What the connection has taken and not written yet: it counts too.
    taken_bytes: usize,
    taken_stanzas: usize,
    committed: Option<u32>,
    /// Stream management is on.
    enabled: Option<Box<Management>>,
    is_ack_requested: bool,
    close: Option<Close>,
    is_gone: bool,
    waker: Option<Waker>,
    /// None for nearly every connection, at nearly every moment.
    watched: Option<Box<Watched>>,
}

/// Watched stanzas until they are written.
#[derive(Default)]
struct Watched {
    queued: Vec<ActiveSpan>,
    taken: Vec<ActiveSpan>,
}

impl Watched {
    /// All that was taken is written, and what was queued is taken. True if
    /// nothing is left.
    fn turn(&mut self) -> bool {
        for written in std::mem::take(&mut self.taken) {
            metrics::delivered(written.context().received_at());
            written.end();
        }
        self.taken = std::mem::take(&mut self.queued);
        self.taken.is_empty()
    }
}

/// What the connection finds in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Stanzas among it.
    pub(crate) stanzas: u32,
    /// Everything of the client up to this number is dealt with, if that is
    /// news.
    pub(crate) committed: Option<u32>,
    /// Stream management is on; `<enabled/>` is among the bytes.
    pub(crate) enabled: Option<Box<Management>>,
    /// The session wants to know soon whether the client has this and all
    /// before it.
    pub(crate) is_ack_requested: bool,
    /// The session wants to end the stream once all is written.
    pub(crate) close: Option<Close>,
}

impl ClientOutlet {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::default(),
            stanzas_max: limits.outbound_stanzas_max,
            bytes_max: limits.outbound_bytes_max,
        }
    }

    /// Swaps what is queued into `into`, which must be empty because all of it
    /// has been written, and leaves `waker` to be called for more.
    pub(crate) fn take(&self, waker: &Waker, into: &mut BytesMut) -> Taken {
        debug_assert!(into.is_empty(), "what was taken is written first");
        let mut state = self.lock();
        if !state.queued.is_empty() {
            std::mem::swap(&mut state.queued, into);
        }
        state.taken_bytes = into.len();
        state.taken_stanzas = std::mem::take(&mut state.stanzas);
        if state.watched.as_mut().is_some_and(|watched| watched.turn()) {
            state.watched = None;
        }
        Taken {
            stanzas: u32::try_from(state.taken_stanzas).unwrap_or(u32::MAX),
            enabled: state.enabled.take(),
            is_ack_requested: std::mem::take(&mut state.is_ack_requested),
            ..state.look(waker)
        }
    }

    /// The same while earlier bytes are still being written.
    pub(crate) fn look(&self, waker: &Waker) -> Taken {
        self.lock().look(waker)
    }

    /// Puts bytes of the edge itself behind all that is queued. They follow
    /// from what the client sent, so they are taken in any case; `false` says
    /// that nothing more should be read from it until all is written.
    #[must_use]
    pub(crate) fn add(&self, write: impl FnOnce(&mut BytesMut)) -> bool {
        let mut state = self.lock();
        write(&mut state.queued);
        state.queued.len() + state.taken_bytes < self.bytes_max
    }

    /// Takes the rest, and how many stanzas it has; from now on nothing is
    /// accepted.
    pub(crate) fn end(&self) -> (BytesMut, u32) {
        let mut state = self.lock();
        state.is_gone = true;
        state.waker = None;
        let stanzas = std::mem::take(&mut state.stanzas);
        let stanzas = u32::try_from(stanzas).unwrap_or(u32::MAX);
        (std::mem::take(&mut state.queued), stanzas)
    }

    /// A writer that panicked cannot have left the bytes before its own torn:
    /// the stanza that was cut short ends with its connection.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn look(&mut self, waker: &Waker) -> Taken {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        Taken {
            committed: self.committed.take(),
            close: self.close,
            ..Taken::default()
        }
    }
}

impl ClientOutlet {
    fn put(&self, stanza: &Stanza, trace: Option<&TraceContext>) -> Result<(), Full> {
        let mut state = self.lock();
        let before = state.queued.len();
        let has_room = before + state.taken_bytes < self.bytes_max
            && state.stanzas + state.taken_stanzas < self.stanzas_max;
        if state.is_gone || state.close.is_some() {
            // Nothing may follow. It is not the client that is slow: the session
            // hears of the end, and has kept what it must not lose.
            return Ok(());
        }
        if !has_room {
            return Err(Full);
        }
        if before == 0 {
            let least = stanza.len_estimate().max(FIRST_BYTES);
            state.queued.reserve(least);
        }
        stanza.write(&mut state.queued);
        state.stanzas += 1;
        if let Some(trace) = trace {
            let watched = state.watched.get_or_insert_default();
            watched.queued.push(trace.start("deliver"));
        }
        Self::wake(state);
        Ok(())
    }
}

impl Outlet for ClientOutlet {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.put(stanza, None)
    }

    fn deliver_watched(&self, stanza: &Stanza, trace: &TraceContext) -> Result<(), Full> {
        self.put(stanza, Some(trace))
    }

    fn committed(&self, number: u32) {
        let mut state = self.lock();
        state.committed = Some(number);
        Self::wake(state);
    }

    fn enabled(&self, management: &Management) {
        let mut state = self.lock();
        sm::enabled(management).write(&mut state.queued, ns::CLIENT);
        state.enabled = Some(Box::new(management.clone()));
        Self::wake(state);
    }

    fn request_ack(&self) {
        let mut state = self.lock();
        state.is_ack_requested = true;
        Self::wake(state);
    }

    fn close(&self, why: Close) {
        let mut state = self.lock();
        state.close.get_or_insert(why);
        Self::wake(state);
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use bytes::BufMut as _;

    use super::*;

    #[test]
    fn answers_of_the_edge_count_against_the_bound_too() {
        // A client that sends what is answered at once and reads nothing.
        let limits = Limits {
            outbound_bytes_max: 100,
            ..Limits::default()
        };
        let outlet = ClientOutlet::new(&limits);
        let say = || outlet.add(|out| out.put_slice(&[b'x'; 60]));
        assert!(say(), "there is room");
        let mut taken = BytesMut::new();
        outlet.take(Waker::noop(), &mut taken);
        assert!(!say(), "what is taken and not written counts");
        taken.clear();
        outlet.take(Waker::noop(), &mut taken);
        taken.clear();
        outlet.take(Waker::noop(), &mut taken);
        assert!(say(), "all is written");
    }

    /// XEP-0198 §5: between the end of a connection and the moment at which its
    /// session hears of it, a message for it must not end the session, whose
    /// client is about to come back.
    #[test]
    fn a_stream_that_ends_does_not_count_as_full() {
        let ends: [fn(&ClientOutlet); 2] = [
            |outlet| drop(outlet.end()),
            |outlet| outlet.close(Close::SystemShutdown),
        ];
        for end in ends {
            let outlet = ClientOutlet::new(&Limits::default());
            let message = Stanza::message(starling_xmpp::Type::Chat);
            assert_eq!(outlet.deliver(&message), Ok(()));
            end(&outlet);
            assert_eq!(outlet.deliver(&message), Ok(()));
            let mut taken = BytesMut::new();
            let stanzas = outlet.take(Waker::noop(), &mut taken).stanzas;
            assert!(stanzas <= 1, "nothing follows");
        }
    }
}
