//! The way from a session to its client: a bounded queue of bytes that the
//! session fills and the connection empties.
//!
//! Stanzas are serialised as they come in, so that the connection writes many
//! with one call and an idle one holds no buffer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use starling_link::{ActiveSpan, Close, Downstream, Full, Management, Note, Outlet};
use starling_xmpp::{Stanza, ns};

use crate::config::Limits;
use crate::features::sm;
use crate::metrics;
use crate::mirror::Mirror;

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
    /// What another node needs to go on, where one may have to.
    mirror: Option<Box<Mirror>>,
    /// How often the session was lost, and whether it has a node again.
    losses: u32,
    is_lost: bool,
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
    /// The session is no longer where it was.
    pub(crate) is_lost: bool,
}

impl ClientOutlet {
    /// With a mirror where the session may come to be at another node.
    pub(crate) fn new(limits: &Limits, may_move: bool) -> Self {
        let state = State {
            mirror: may_move.then(Box::default),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
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

    /// The stream has its session: its stanzas are numbered from here, and the
    /// client counts from a base, if it does. Returns whether the session may
    /// move.
    pub(crate) fn begin(&self, acked: u32, base: Option<u32>) -> bool {
        let mut state = self.lock();
        if let Some(mirror) = &mut state.mirror {
            mirror.begin(acked, base);
        }
        state.mirror.is_some()
    }

    /// The client has everything up to a number.
    pub(crate) fn acknowledged(&self, acked: u32) {
        if let Some(mirror) = &mut self.lock().mirror {
            mirror.acknowledged(acked);
        }
    }

    /// What another node needs to go on with the session, if one can.
    pub(crate) fn snapshot(&self) -> Option<(Bytes, Downstream)> {
        self.lock().mirror.as_ref()?.snapshot()
    }

    /// How often the session was lost.
    pub(crate) fn losses(&self) -> u32 {
        self.lock().losses
    }

    /// The session has a node, unless it was lost again since.
    pub(crate) fn found(&self, losses: u32) -> bool {
        let mut state = self.lock();
        let is_found = state.losses == losses;
        state.is_lost &= !is_found;
        is_found
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
            is_lost: self.is_lost,
            ..Taken::default()
        }
    }
}

impl ClientOutlet {
    fn put(&self, stanza: &Stanza, note: &Note<'_>) -> Result<(), Full> {
        let mut guard = self.lock();
        let state = &mut *guard;
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
        if let Some(mirror) = &mut state.mirror {
            mirror.deliver(&state.queued[before..], note);
        }
        if let Some(trace) = note.trace {
            let watched = state.watched.get_or_insert_default();
            watched.queued.push(trace.start("deliver"));
        }
        Self::wake(guard);
        Ok(())
    }
}

impl Outlet for ClientOutlet {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.put(stanza, &Note::default())
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        self.put(stanza, &note)
    }

    fn remember(&self, summary: Bytes) {
        if let Some(mirror) = &mut self.lock().mirror {
            mirror.remember(summary);
        }
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
        if let Some(mirror) = &mut state.mirror {
            mirror.enabled(management.sent);
        }
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

    fn lost(&self) {
        let mut state = self.lock();
        if state
            .mirror
            .as_ref()
            .is_some_and(|mirror| mirror.is_whole())
        {
            state.is_lost = true;
            state.losses = state.losses.wrapping_add(1);
        } else {
            state.close.get_or_insert(Close::SystemShutdown);
        }
        Self::wake(state);
    }

    fn is_waiting(&self) -> bool {
        let state = self.lock();
        state.is_lost && !state.is_gone
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
        let outlet = ClientOutlet::new(&limits, false);
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
            let outlet = ClientOutlet::new(&Limits::default(), false);
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
