//! What a session has been sent and its client has not acknowledged, by
//! number, and where that goes at the moment.
//!
//! A ring is the way of an account to one of its clients. It outlives the
//! streams of its session: while there is none (XEP-0198 §5) it only remembers,
//! and the next stream gets everything that its client lacks. What becomes of
//! the rest when a session ends is said in `returned`.

mod answer;
mod held;
mod moving;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_link::{
    Close, Management, Note, Outlet, Resumption, SessionKey, TraceContext, is_ahead,
};
use starling_store::Position;
use starling_xmpp::Stanza;
use starling_xmpp::stanza::Kind;

use crate::outgoing::Outgoing;
pub(crate) use answer::{Acked, Continued, Delivery, Unresumable};
use held::Held;
pub use held::{Hold, Holder};
pub(crate) use moving::Known;

/// The way to one client.
pub(crate) struct Ring {
    /// The session.
    pub(crate) key: SessionKey,
    /// Bounds of what is remembered.
    stanzas_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
}

struct State {
    /// The present stream, or the last one.
    outlet: Option<Arc<dyn Outlet>>,
    stage: Stage,
    /// Everything is remembered, because a client may ask for it again. If
    /// not, only what would be lost without.
    is_managed: bool,
    /// The number at which the client began to count.
    base: u32,
    /// The numbers of the last stanza to the client, and of the last one that
    /// it has.
    sent: u32,
    acked: u32,
    /// The last of those between that were lost with an earlier owner: a client
    /// that lacks it cannot be given it.
    gone_through: Option<u32>,
    /// Somebody wants to know when the client has everything up to here.
    awaited: Option<u32>,
    slots: VecDeque<Slot>,
    bytes: usize,
    /// Stanzas that wait for somebody to look at the client.
    held: Option<Box<Held>>,
    /// Places in the log of what will be delivered once it is stored.
    announced: VecDeque<Position>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Stanzas are passed on, if there is a stream.
    Open,
    /// The stream is to end, or a bound was reached: they are remembered for
    /// whoever takes them then.
    Ending,
    /// The session is over: they are handed back.
    Over,
}

struct Slot {
    number: u32,
    outgoing: Outgoing,
}

impl Ring {
    pub(crate) fn new(
        key: SessionKey,
        outlet: Arc<dyn Outlet>,
        is_managed: bool,
        (stanzas_max, bytes_max): (usize, usize),
    ) -> Arc<Self> {
        let state = State {
            outlet: Some(outlet),
            stage: Stage::Open,
            is_managed,
            base: 0,
            sent: 0,
            acked: 0,
            gone_through: None,
            awaited: None,
            slots: VecDeque::new(),
            bytes: 0,
            held: None,
            announced: VecDeque::new(),
        };
        Arc::new(Self {
            key,
            stanzas_max,
            bytes_max,
            state: Mutex::new(state),
        })
    }

    /// A stanza with this place in the log will be delivered: until then the
    /// log is not read up to there.
    pub(crate) fn announce(&self, position: Position) {
        self.lock().announced.push_back(position);
    }

    /// Puts a stanza behind all earlier ones: numbers it, remembers it, and
    /// passes it on if there is a stream.
    pub(crate) fn deliver(&self, outgoing: Outgoing, trace: Option<&TraceContext>) -> Delivery {
        let mut state = self.lock();
        if state.stage == Stage::Over {
            return Delivery::Over(outgoing);
        }
        if outgoing.position().is_some() {
            // Released in the order in which they were announced.
            state.announced.pop_front();
            if state.announced.is_empty() {
                state.announced = VecDeque::new();
            }
        }
        if state.held.is_none() {
            return self.pass(&mut state, outgoing, trace);
        }
        let due = match &mut state.held {
            Some(held) => held.add(outgoing),
            None => Vec::new(),
        };
        self.pass_all(&mut state, due)
    }

    /// From now on stanzas wait, as far as the holder says so; without one
    /// those that do are passed on, and no more wait.
    pub(crate) fn hold(&self, holder: Option<Holder>) -> Delivery {
        let mut state = self.lock();
        let due = match &mut state.held {
            Some(held) => held.take(),
            None => Vec::new(),
        };
        state.held = holder.map(|holder| Box::new(Held::new(holder)));
        self.pass_all(&mut state, due)
    }

    fn pass_all(&self, state: &mut State, due: Vec<Outgoing>) -> Delivery {
        let mut end = Delivery::Taken;
        for outgoing in due {
            if let Delivery::Overflowed = self.pass(state, outgoing, None) {
                end = Delivery::Overflowed;
            }
        }
        end
    }

    fn pass(
        &self,
        state: &mut State,
        outgoing: Outgoing,
        trace: Option<&TraceContext>,
    ) -> Delivery {
        state.sent = state.sent.wrapping_add(1);
        let is_passed = match &state.outlet {
            Some(outlet) if state.stage == Stage::Open => {
                let note = Note {
                    trace,
                    ..moving::note(&outgoing)
                };
                outlet.deliver_noted(&outgoing.stanza, note).is_ok()
            }
            _ => true,
        };
        // What the stream refused must not be forgotten.
        if state.is_managed || outgoing.is_returned() {
            state.bytes += outgoing.stanza.len_estimate();
            let number = state.sent;
            state.slots.push_back(Slot { number, outgoing });
        }
        let is_full = state.slots.len() > self.stanzas_max || state.bytes > self.bytes_max;
        if state.stage == Stage::Open && (is_full || !is_passed) {
            state.stage = Stage::Ending;
            return Delivery::Overflowed;
        }
        Delivery::Taken
    }

    /// The client has everything up to a number.
    pub(crate) fn acked(&self, number: u32) -> Acked {
        self.lock().acked(number)
    }

    /// Asks to be told when the client has all that was delivered so far. What
    /// waited for somebody to look is among it.
    pub(crate) fn request_ack(&self) -> Delivery {
        let mut state = self.lock();
        let due = match &mut state.held {
            Some(held) => held.take(),
            None => Vec::new(),
        };
        let delivery = self.pass_all(&mut state, due);
        state.awaited = Some(state.sent);
        if let Some(outlet) = &state.outlet {
            outlet.request_ack();
        }
        delivery
    }

    /// Stream management is on behind all stanzas so far.
    pub(crate) fn enable(&self, received: u32, resumption: Option<Resumption>) {
        let mut state = self.lock();
        state.is_managed = true;
        state.base = state.sent;
        if let Some(outlet) = &state.outlet {
            outlet.enabled(&Management {
                received,
                sent: state.base,
                resumption,
            });
        }
    }

    /// The stream is gone, or is to go, and the session waits for another.
    pub(crate) fn detach(&self) -> Option<Arc<dyn Outlet>> {
        self.lock().outlet.take()
    }

    /// Whether a session with this ring can wait for another stream.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().stage == Stage::Open
    }

    /// Goes on with another stream, whose client has `h` of the stanzas it
    /// counted: drops those, hands over the others, and closes the stream
    /// before, if there still is one.
    pub(crate) fn resume(&self, h: u32, outlet: Arc<dyn Outlet>) -> Result<Continued, Unresumable> {
        let mut state = self.lock();
        let number = state.base.wrapping_add(h);
        if is_ahead(number, state.sent) {
            let sent = state.sent.wrapping_sub(state.base);
            return Err(Unresumable::TooHigh { sent });
        }
        let is_gone = state
            .gone_through
            .is_some_and(|gone| is_ahead(gone, number));
        if is_gone || is_ahead(state.acked, number) || state.stage != Stage::Open {
            return Err(Unresumable::Forgotten);
        }
        let Acked { is_awaited, .. } = state.acked(number);
        let mut slots = state.slots.iter();
        if !slots.all(|slot| pass_again(&*outlet, &slot.outgoing)) {
            return Err(Unresumable::Forgotten);
        }
        if state.awaited.is_some() {
            outlet.request_ack();
        }
        if let Some(before) = state.outlet.replace(outlet) {
            before.close(Close::Conflict);
        }
        Ok(Continued {
            acked: number,
            base: state.base,
            is_awaited,
        })
    }

    /// Ends the stream behind all that was delivered before.
    pub(crate) fn close(&self, why: Close) {
        let mut state = self.lock();
        if state.stage == Stage::Open {
            state.stage = Stage::Ending;
        }
        if let Some(outlet) = &state.outlet {
            outlet.close(why);
        }
    }

    /// The session is over: what its client does not have, in order, and the
    /// places of what was announced and will be handed back one by one.
    pub(crate) fn end(&self) -> (Vec<Outgoing>, VecDeque<Position>) {
        let mut state = self.lock();
        state.stage = Stage::Over;
        state.outlet = None;
        state.bytes = 0;
        let slots = std::mem::take(&mut state.slots);
        let announced = std::mem::take(&mut state.announced);
        let held = state.held.take().map(|mut held| held.take());
        let slots = slots.into_iter().map(|slot| slot.outgoing);
        (slots.chain(held.into_iter().flatten()).collect(), announced)
    }

    /// The first place in the log that has not arrived.
    pub(crate) fn floor(&self) -> Option<Position> {
        let state = self.lock();
        let slots = state.slots.iter();
        let unacked = slots.filter_map(|slot| slot.outgoing.position());
        let held = state.held.iter().flat_map(|held| held.waiting());
        let held = held.filter_map(Outgoing::position);
        let announced = state.announced.iter().copied();
        unacked.chain(held).chain(announced).min()
    }

    /// The number of the last stanza to the client.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn sent(&self) -> u32 {
        self.lock().sent
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn acked(&mut self, number: u32) -> Acked {
        let mut acked = Acked::default();
        if is_ahead(number, self.sent) {
            // An edge has checked it; there is nothing to make of it here.
            return acked;
        }
        if is_ahead(number, self.acked) {
            self.acked = number;
        }
        while let Some(slot) = self.slots.front()
            && !is_ahead(slot.number, number)
        {
            self.bytes -= slot.outgoing.stanza.len_estimate();
            acked.has_moved |= slot.outgoing.position().is_some();
            slot.outgoing.arrived();
            self.slots.pop_front();
        }
        if self.slots.is_empty() {
            // An idle session holds no memory for it.
            self.slots = VecDeque::new();
        }
        if self
            .awaited
            .is_some_and(|awaited| !is_ahead(awaited, number))
        {
            self.awaited = None;
            acked.is_awaited = true;
        }
        acked
    }
}

fn pass_again(outlet: &dyn Outlet, outgoing: &Outgoing) -> bool {
    let note = moving::note(outgoing);
    outlet.deliver_noted(&outgoing.stanza, note).is_ok()
}

/// Whether a session that ends has to find another taker for a stanza of this
/// kind: presence and answers are nothing without it.
pub(crate) fn is_worth_returning(stanza: &Stanza) -> bool {
    match stanza.head.kind {
        Kind::Message => true,
        Kind::Iq => stanza.head.type_.is_request(),
        Kind::Presence => false,
    }
}

#[cfg(test)]
mod tests;
