//! What an account had under way when whoever served it before was gone: known
//! from its log, and held until the edges have brought the sessions that stayed
//! connected. What none of them claims is lost, and goes to the account again.

use std::sync::Arc;

use starling_link::{Downstream, LogPlace, MessageId, SessionId};
use starling_store::Position;
use starling_xmpp::Jid;

use crate::outgoing::{Outgoing, Sharing};
use crate::source;

/// All of it.
#[derive(Default)]
pub(crate) struct Takeover {
    /// Messages that nobody is known to have, oldest first.
    lost: Vec<Lost>,
    /// Numbers of messages that the account itself sent last.
    sent: Vec<MessageId>,
}

struct Lost {
    outgoing: Outgoing,
    /// The sessions that have it, or were sent it.
    sharing: Option<Arc<Sharing>>,
}

impl Takeover {
    pub(crate) fn new(lost: Vec<Outgoing>, sent: Vec<MessageId>) -> Self {
        let lost = lost.into_iter().map(|outgoing| Lost {
            outgoing,
            sharing: None,
        });
        Self {
            lost: lost.collect(),
            sent,
        }
    }

    /// Whether nothing of it has to be looked after.
    pub(crate) fn is_empty(&self) -> bool {
        self.lost.is_empty()
    }

    /// A session has what reached its edge: takes note of that, for one that
    /// has this full JID.
    pub(crate) fn claim(&mut self, id: SessionId, jid: &Jid, downstream: &Downstream) {
        for lost in &mut self.lost {
            let Some(position) = lost.outgoing.position() else {
                continue;
            };
            let place = place_of(position);
            let is_seen = downstream.seen.contains(&place)
                // Further back than the edge remembers: then by the rules.
                || downstream.seen_through.is_some_and(|through| place <= through)
                    && is_for(&lost.outgoing, jid);
            if is_seen {
                let sharing = lost.sharing.get_or_insert_with(Sharing::empty);
                sharing.join(id);
            }
        }
    }

    /// The message at a place, for a session that was sent it and has not
    /// acknowledged it.
    pub(crate) fn message(&mut self, id: SessionId, place: LogPlace) -> Option<Outgoing> {
        let mut lost = self.lost.iter_mut();
        let is_it = |lost: &Lost| lost.outgoing.position() == Some(position_of(place));
        let lost = lost.find(|lost| is_it(lost))?;
        let sharing = lost.sharing.get_or_insert_with(Sharing::empty);
        sharing.join(id);
        Some(lost.outgoing.clone().shared(sharing))
    }

    /// Of what a session claimed, it has everything that it does not still wait
    /// for.
    pub(crate) fn settle(&self, id: SessionId, downstream: &Downstream) {
        let waits = |place: LogPlace| {
            let mut waiting = downstream.unacknowledged.iter();
            waiting.any(|slot| slot.body == starling_link::Body::Logged(place))
        };
        for lost in &self.lost {
            if let (Some(sharing), Some(position)) = (&lost.sharing, lost.outgoing.position())
                && sharing.has(id)
                && !waits(place_of(position))
            {
                sharing.take();
            }
        }
    }

    /// Which of the stanzas of a session behind a number are in the log.
    pub(crate) fn stored(&self, id: SessionId) -> Vec<u32> {
        let sent = self.sent.iter();
        sent.filter_map(|message| source::number_in(id, *message))
            .collect()
    }

    /// The first place of what no session is known to have.
    pub(crate) fn floor(&self) -> Option<Position> {
        let unclaimed = self.lost.iter().filter(|lost| lost.sharing.is_none());
        unclaimed.filter_map(|lost| lost.outgoing.position()).min()
    }

    /// What no session has claimed.
    pub(crate) fn unclaimed(self) -> Vec<Outgoing> {
        let lost = self.lost.into_iter();
        lost.filter(|lost| lost.sharing.is_none())
            .map(|lost| lost.outgoing)
            .collect()
    }
}

/// RFC 6121 §8.5: whether a session with this full JID was among those that a
/// message went to, as far as its address tells.
fn is_for(outgoing: &Outgoing, jid: &Jid) -> bool {
    let to = outgoing.stanza.head.to.as_ref();
    to.is_none_or(|to| to.is_bare() || to == jid)
}

pub(crate) fn place_of(position: Position) -> LogPlace {
    LogPlace {
        epoch: position.epoch,
        seq: position.seq,
    }
}

pub(crate) fn position_of(place: LogPlace) -> Position {
    Position::new(place.epoch, place.seq)
}
