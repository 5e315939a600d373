//! What a ring answers to those who give it stanzas, bring news of its client,
//! or want to go on.

use crate::outgoing::Outgoing;

/// What became of a stanza.
pub(crate) enum Delivery {
    /// It is on its way, or waits for a stream.
    Taken,
    /// It was the one too many: the session has to end, and gives it back then.
    Overflowed,
    /// The session is over.
    Over(Outgoing),
}

/// What news of the client mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// It has everything that was awaited.
    pub(crate) is_awaited: bool,
    /// Something that is in the log arrived.
    pub(crate) has_moved: bool,
}

/// Where a client goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Continued {
    /// The number of the last stanza it has.
    pub(crate) acked: u32,
    /// The number at which it began to count.
    pub(crate) base: u32,
    /// It has everything that was awaited.
    pub(crate) is_awaited: bool,
}

/// Why a client cannot go on where it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresumable {
    /// It was sent less, counted as it counts.
    TooHigh { sent: u32 },
    /// It has said before that it has more, or there is more than its new
    /// stream can take.
    Forgotten,
}
