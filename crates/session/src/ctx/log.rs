//! The message in hand and the account's log: its place there, why it is kept,
//! and what becomes of one that comes back.

use starling_store::archive::{Direction, Entry};
use starling_store::{Position, archive, cursor};
use starling_xmpp::Stanza;

use starling_link::SessionId;

use super::{Ctx, Kept, Origin, Place};
use crate::account::Lasting;
use crate::outgoing::Logged;
use crate::{Side, Targets};

impl Ctx {
    /// The place that the message in hand has, or would have, in the account's
    /// log, and its time there. A place that stays unused is a harmless gap.
    pub fn place(&mut self) -> Place {
        if let Some(place) = self.place {
            return place;
        }
        let (position, at) = self.account.next_entry(self.epoch, self.now());
        *self.place.insert(Place { position, at })
    }

    /// Gives the message in hand the place it had on its first way through the
    /// phases; `false` if that is no place of this log. Where the place has
    /// passed and nobody would find the message any more, it waits at another
    /// under its old id.
    pub fn keep_place(&mut self, position: Position) -> bool {
        if position > self.account.last_position() {
            return false;
        }
        if position <= self.account.cursors.offline_or_start() {
            self.place = None;
            self.is_copy = true;
        } else if self.place.is_none_or(|place| place.position != position) {
            let at = self.now();
            self.place = Some(Place { position, at });
        }
        true
    }

    /// Takes up another message of this account within the same handling;
    /// returns where the one in hand came from.
    pub(crate) fn take_up(&mut self, origin: Origin, logged: Option<Logged>) -> Origin {
        self.targets = Targets::default();
        self.kept = None;
        self.in_transit = None;
        self.is_copy = false;
        self.is_archived = logged.is_some_and(|logged| logged.is_archived);
        self.is_refused = false;
        self.id = logged.map(|logged| logged.id);
        self.place = logged.map(|logged| logged.place);
        std::mem::replace(&mut self.origin, origin)
    }

    /// Whether the message in hand is in the archive that its owner reads
    /// (XEP-0313): from [`crate::Phase::Archive`] on, or since its first way.
    pub fn is_archived(&self) -> bool {
        self.is_archived
    }

    /// Whether the message in hand came back and its owner finds it in the
    /// archive whatever becomes of it: nobody is told that it was not taken.
    pub fn is_kept_anyway(&self) -> bool {
        self.origin == Origin::Returned && self.is_archived
    }

    /// Gives a session of this account a copy of the message in hand, which it
    /// does not get (XEP-0280). Whoever has the copy has the message: when the
    /// session that was to get that is lost, it goes to nobody else.
    pub fn deliver_copy(&mut self, session: SessionId, copy: Stanza) {
        match self.side {
            // What others get of it is not this account's to know.
            Side::Sender => self.deliver(session, copy),
            Side::Recipient | Side::Both => self.copies.push((session, copy)),
        }
    }

    /// Whether this handling changes what is stored: a read does not see it yet.
    pub fn has_written(&self) -> bool {
        !self.effects.writes.is_empty()
    }

    /// Where the message in hand stands in the log, if it is there only until
    /// it has arrived.
    pub(crate) fn in_transit(&mut self) -> Option<Logged> {
        self.in_transit.take()
    }

    /// Keeps the message in hand in the account's log, for one more reason:
    /// all that are given in [`crate::Phase::Archive`] together make one entry
    /// once the phase is over. None of the two flags means that it is on its
    /// way to a session, and waits there only in case the node dies.
    pub fn keep(&mut self, kept: Kept) {
        let reasons = self.kept.get_or_insert_default();
        reasons.is_offline |= kept.is_offline;
        reasons.is_archived |= kept.is_archived;
    }

    /// Appends the message in hand to the log, if anybody wants to keep it.
    pub(crate) fn append_kept(&mut self, message: &Stanza) {
        let Some(kept) = self.kept.take() else {
            return;
        };
        let (direction, peer) = match self.side {
            Side::Sender => (Direction::Out, &message.head.to),
            Side::Recipient | Side::Both => (Direction::In, &message.head.from),
        };
        let Some(peer) = peer.clone() else {
            return;
        };
        if self.account.lasting != Lasting::Stored {
            return;
        }
        if direction == Direction::Out && self.is_stored_already() {
            return;
        }
        let place = self.place();
        let Place { position, at } = place;
        let id = self.message_id();
        let stanza = message.to_bytes();
        // The archive has it at its first place.
        self.is_archived |= kept.is_archived;
        let is_archived = self.is_archived && !self.is_copy;
        if kept.is_offline {
            self.account.offline.add(stanza.len());
        } else if direction == Direction::In {
            self.in_transit = Some(Logged {
                place,
                id,
                is_archived,
            });
        }
        self.write(archive::Change::Append(Entry {
            position,
            id: id.0,
            peer,
            direction,
            stanza,
            stored_at: at,
            is_offline: kept.is_offline,
            is_archived,
        }));
        if kept.is_offline && !self.account.is_in_use() {
            // Nothing is on its way, so whoever reads the account next need
            // not look for it.
            let change = cursor::Change::SetDelivered(position);
            self.account.cursors.apply(&change);
            self.write(change);
        }
    }

    /// Whether an earlier owner stored the message in hand in the log of its
    /// sender, and came no further.
    fn is_stored_already(&self) -> bool {
        let stored = self.session().map(|session| &session.stored);
        let number = self.number;
        stored.is_some_and(|stored| number.is_some_and(|number| stored.contains(&number)))
    }
}
