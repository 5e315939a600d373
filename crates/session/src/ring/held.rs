//! Stanzas that a client need not see at once (XEP-0352 §5). Which those are, a
//! feature says; here they wait, in order, without a number yet.

use starling_xmpp::Stanza;

use crate::outgoing::Outgoing;

/// Stanzas that wait at most, and their bytes. One more lets all of them go.
const HELD_STANZAS_MAX: usize = 100;
pub(super) const HELD_BYTES_MAX: usize = 65_536;

/// What is to be done with a stanza for a client that nobody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It goes at once, behind all that waits.
    Never,
    /// It waits.
    Wait,
    /// It waits, and takes the place of an earlier one from the same sender
    /// that said this too.
    Replace,
}

/// Says it of each stanza.
pub type Holder = fn(&Stanza) -> Hold;

/// Those that wait.
pub(super) struct Held {
    holder: Holder,
    waiting: Vec<Outgoing>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(holder: Holder) -> Self {
        Self {
            holder,
            waiting: Vec::new(),
            bytes: 0,
        }
    }

    /// Keeps a stanza, or hands over what is to go now, in order.
    pub(super) fn add(&mut self, outgoing: Outgoing) -> Vec<Outgoing> {
        let hold = (self.holder)(&outgoing.stanza);
        if hold == Hold::Replace {
            let from = &outgoing.stanza.head.from;
            let holder = self.holder;
            let bytes = &mut self.bytes;
            self.waiting.retain(|waiting| {
                let stanza = &waiting.stanza;
                let is_kept = stanza.head.from != *from || holder(stanza) != Hold::Replace;
                *bytes -= if is_kept { 0 } else { stanza.len_estimate() };
                is_kept
            });
        }
        self.bytes += outgoing.stanza.len_estimate();
        self.waiting.push(outgoing);
        let is_full = self.waiting.len() > HELD_STANZAS_MAX || self.bytes > HELD_BYTES_MAX;
        match hold {
            Hold::Wait | Hold::Replace if !is_full => Vec::new(),
            _ => self.take(),
        }
    }

    /// All that waits.
    pub(super) fn take(&mut self) -> Vec<Outgoing> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn waiting(&self) -> &[Outgoing] {
        &self.waiting
    }
}
