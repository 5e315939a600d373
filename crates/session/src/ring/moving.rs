//! A ring that moves with its session from one node to another, while the
//! client stays connected to its edge.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use starling_link::{Note, Outlet, SessionKey, is_ahead};

use super::{Ring, Slot, Stage, State};
use crate::outgoing::Outgoing;
use crate::takeover::place_of;

/// What an edge knows of the stanzas to its client.
pub(crate) struct Known {
    /// Where the client began to count, if it does.
    pub(crate) base: Option<u32>,
    pub(crate) sent: u32,
    pub(crate) acked: u32,
    /// Those between that can be had, by number.
    pub(crate) slots: Vec<(u32, Outgoing)>,
    /// The last one of those that cannot.
    pub(crate) gone_through: Option<u32>,
}

impl Ring {
    /// The ring of a session that another node had before.
    pub(crate) fn of_known(
        key: SessionKey,
        outlet: Arc<dyn Outlet>,
        known: Known,
        (stanzas_max, bytes_max): (usize, usize),
    ) -> Arc<Self> {
        let slots: VecDeque<Slot> = known
            .slots
            .into_iter()
            .map(|(number, outgoing)| Slot { number, outgoing })
            .collect();
        let bytes = slots.iter().map(|slot| slot.outgoing.stanza.len_estimate());
        let state = State {
            outlet: Some(outlet),
            stage: Stage::Open,
            is_managed: known.base.is_some(),
            base: known.base.unwrap_or_default(),
            sent: known.sent,
            acked: known.acked,
            gone_through: known.gone_through,
            awaited: None,
            bytes: bytes.sum(),
            slots,
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

    /// The edge of the session lost its way here and has another now: what did
    /// not reach it is handed over again. `false` if that is not possible.
    pub(crate) fn rejoin(&self, sent: u32, acked: u32, outlet: Arc<dyn Outlet>) -> bool {
        let mut state = self.lock();
        if state.stage != Stage::Open || is_ahead(sent, state.sent) {
            return false;
        }
        state.acked(acked);
        // What is not remembered did not need to be; numbers have no holes.
        let mut last = sent;
        let beyond = state
            .slots
            .iter_mut()
            .filter(|slot| is_ahead(slot.number, sent));
        for slot in beyond {
            let note = note(&slot.outgoing);
            if outlet.deliver_noted(&slot.outgoing.stanza, note).is_err() {
                return false;
            }
            last = last.wrapping_add(1);
            slot.number = last;
        }
        state.sent = last;
        if state.awaited.is_some() {
            state.awaited = Some(last);
            outlet.request_ack();
        }
        state.outlet = Some(outlet);
        true
    }

    /// The session is about to be another node's. Its edge is told behind all
    /// that was delivered, and the rest is found in the log. Should it stay, its
    /// edge comes back to it.
    pub(crate) fn move_away(&self) {
        let mut state = self.lock();
        let due = match &mut state.held {
            Some(held) => held.take(),
            None => Vec::new(),
        };
        // One too many ends a session that is about to end here anyway.
        let _ = self.pass_all(&mut state, due);
        let outlet = state.outlet.take();
        drop(state);
        if let Some(outlet) = outlet {
            outlet.lost();
        }
    }

    /// Has the edge remember what the session is like.
    pub(crate) fn remember(&self, summary: Bytes) {
        if let Some(outlet) = &self.lock().outlet {
            outlet.remember(summary);
        }
    }
}

/// What goes along with a stanza that nobody watches.
pub(super) fn note(outgoing: &Outgoing) -> Note<'static> {
    let place = outgoing.position().or(outgoing.copy_of.as_deref().copied());
    Note {
        trace: None,
        place: place.map(place_of),
        is_copy: outgoing.copy_of.is_some(),
    }
}
