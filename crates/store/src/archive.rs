//! The log: every stored message of an owner, in the order the owner gave.
//! Delivery is a cursor over it (`cursor`), message archives and offline
//! storage are reads of it. What enters, and for how long, features decide.

mod page;

use async_trait::async_trait;
use bytes::Bytes;
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

pub use page::Page;

use crate::{Error, Position};

/// Most entries one page may hold, whatever the query asks for.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// Most entries a tally counts; a tally that reached it means "at least".
pub const TALLY_ENTRIES_MAX: u64 = 10_000;

/// One stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key and its place in the order.
    pub position: Position,
    /// The same in the sender's and in the recipient's log.
    pub id: u128,
    /// The other side.
    pub peer: Jid,
    /// Whether the owner sent or received it.
    pub direction: Direction,
    /// The whole stanza, standalone, as it was accepted.
    pub stanza: Bytes,
    /// When it was accepted; never goes back within a log, so that a time
    /// names a place in it.
    pub stored_at: UnixMillis,
    /// Whether it waits for a resource of the owner (XEP-0160) as long as the
    /// account's cursor stands before it.
    pub is_offline: bool,
    /// Whether it belongs to the archive that users read (XEP-0313). What only
    /// waits for delivery does not (XEP-0334 §4.1).
    pub is_archived: bool,
}

/// Who sent the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The owner received it.
    In,
    /// The owner sent it.
    Out,
}

/// What happens to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores the entry under its position. The same position again replaces
    /// it: a repeated commit stores nothing twice, a retraction leaves a
    /// tombstone in place.
    Append(Entry),
    /// Removes every entry up to and including this one. Logs are shortened
    /// only from the oldest end, so that paging never finds a hole.
    Purge {
        /// The last entry to go.
        through: Position,
    },
    /// Removes the entries of a range that are not archived and waited, or did
    /// not: what was kept only until it arrived.
    Sweep {
        /// The range begins behind this one.
        after: Position,
        /// And ends with this one.
        through: Position,
        /// Those that waited go, or those that were on their way.
        is_offline: bool,
    },
}

impl Entry {
    /// Whether [`Change::Sweep`] means it, if it is within its range.
    #[must_use]
    pub fn is_swept(&self, is_offline: bool) -> bool {
        !self.is_archived && self.is_offline == is_offline
    }
}

/// Which entries of a log to read: all that pass every one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only entries behind this one.
    pub after: Option<Position>,
    /// Only entries ahead of this one.
    pub before: Option<Position>,
    /// From which end the limit counts, and the order of the answer.
    pub order: Order,
    /// Most entries to return; capped at [`PAGE_ENTRIES_MAX`].
    pub limit: usize,
    /// Octets of stanzas after which the page ends, with the entry that takes
    /// it beyond: so a page has at least one, and what does not fit is not read.
    pub bytes_max: Option<usize>,
    /// Only entries that wait for delivery.
    pub is_offline_only: bool,
    /// Only entries of the archive that users read.
    pub is_archived_only: bool,
    /// Only entries that are not in it.
    pub is_unarchived_only: bool,
    /// Only entries whose other side is this: a bare JID stands for all of its
    /// resources, a full one for itself. Backends find archived entries this
    /// way without reading the others; without [`Query::is_archived_only`] they
    /// may read the whole range.
    pub with: Option<Jid>,
    /// Only entries accepted then or later.
    pub start: Option<UnixMillis>,
    /// Only entries accepted then or earlier.
    pub end: Option<UnixMillis>,
    /// Only entries at these positions, in whatever order they are named.
    pub only: Option<Vec<Position>>,
}

/// From which end of the range to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

impl Query {
    /// The oldest `limit` entries behind `after`, oldest first.
    #[must_use]
    pub fn after(after: Position, limit: usize) -> Self {
        Query {
            after: Some(after),
            limit,
            ..Query::default()
        }
    }

    /// The newest `limit` entries ahead of `before`, newest first; of the
    /// whole log without it.
    #[must_use]
    pub fn before(before: Option<Position>, limit: usize) -> Self {
        Query {
            before,
            order: Order::Descending,
            limit,
            ..Query::default()
        }
    }

    /// The same, of offline entries only.
    #[must_use]
    pub fn offline_only(mut self) -> Self {
        self.is_offline_only = true;
        self
    }

    /// The same, of archived entries only.
    #[must_use]
    pub fn archived_only(mut self) -> Self {
        self.is_archived_only = true;
        self
    }

    /// The same, of entries only that no archive has.
    #[must_use]
    pub fn unarchived_only(mut self) -> Self {
        self.is_unarchived_only = true;
        self
    }

    /// The same, but no more than these octets of stanzas and one entry.
    #[must_use]
    pub fn within_bytes(mut self, bytes_max: usize) -> Self {
        self.bytes_max = Some(bytes_max);
        self
    }

    /// The same, of entries with this other side only.
    #[must_use]
    pub fn with(mut self, with: Jid) -> Self {
        self.with = Some(with);
        self
    }

    /// The limit that holds.
    #[must_use]
    pub fn limit_capped(&self) -> usize {
        self.limit.min(PAGE_ENTRIES_MAX)
    }

    /// Whether it asks for this entry, as far as an entry alone can tell:
    /// backends find entries as they like and agree on which.
    #[must_use]
    pub fn admits(&self, entry: &Entry) -> bool {
        let position = entry.position;
        self.after.is_none_or(|after| position > after)
            && self.before.is_none_or(|before| position < before)
            && self.start.is_none_or(|start| entry.stored_at >= start)
            && self.end.is_none_or(|end| entry.stored_at <= end)
            && self.admits_kept(entry.is_offline, entry.is_archived)
            && self.admits_peer(&entry.peer)
            && self
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&position))
    }

    /// Whether it asks for entries that are kept for these reasons.
    #[must_use]
    pub fn admits_kept(&self, is_offline: bool, is_archived: bool) -> bool {
        (is_offline || !self.is_offline_only)
            && (is_archived || !self.is_archived_only)
            && !(is_archived && self.is_unarchived_only)
    }

    /// Whether it asks for entries with this other side.
    #[must_use]
    pub fn admits_peer(&self, peer: &Jid) -> bool {
        match &self.with {
            None => true,
            Some(with) if with.is_full() => peer == with,
            Some(with) => peer.is_same_bare(with),
        }
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entries, at most [`TALLY_ENTRIES_MAX`].
    pub entries: u64,
    /// Bytes of their stanzas.
    pub bytes: u64,
}

impl Tally {
    /// Counts one more stanza of this size.
    pub fn add(&mut self, stanza_bytes: usize) {
        self.entries += 1;
        self.bytes += stanza_bytes as u64;
    }

    /// Takes off what does not count any more.
    pub fn subtract(&mut self, gone: Self) {
        self.entries = self.entries.saturating_sub(gone.entries);
        self.bytes = self.bytes.saturating_sub(gone.bytes);
    }

    /// Whether counting stopped at the bound.
    #[must_use]
    pub fn is_at_least(&self) -> bool {
        self.entries >= TALLY_ENTRIES_MAX
    }
}

/// Reads of the log.
#[async_trait]
pub trait Read: Send + Sync {
    /// A page of entries. Ask for one more than you need to learn whether it
    /// was the last. An entry that cannot be read is logged and left out: it
    /// must not keep its owner from the others.
    async fn archive_page(&self, owner: &BareJid, query: &Query) -> Result<Vec<Entry>, Error>;

    /// The entry at exactly this position.
    async fn archive_entry(&self, owner: &BareJid, at: Position) -> Result<Option<Entry>, Error>;

    /// The newest position, of any entry.
    async fn archive_last(&self, owner: &BareJid) -> Result<Option<Position>, Error>;

    /// How many offline entries follow `after`.
    async fn offline_tally(&self, owner: &BareJid, after: Position) -> Result<Tally, Error>;
}
