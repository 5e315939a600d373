//! Stanzas that a shard has promised to deliver and cannot yet: whoever serves
//! their recipients is out of reach. Who writes them when, and who sends them
//! on, is the engine's work.
//!
//! Rows are completed by marks, not by deletes: one for each peer, because each
//! comes back when it likes, and one for all. What is left is removed by the
//! hour, once nothing of that hour is owed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use smol_str::SmolStr;
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use crate::{Error, Position, Seal};

/// Rows that one read returns at most.
pub const PAGE_ROWS_MAX: usize = 500;

/// Where rows of one shard and one hour are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// The shard of their senders.
    pub shard: u16,
    /// Hours since 1970. It never goes back within a shard.
    pub hour: u32,
}

/// One stanza that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it is kept.
    pub bucket: Bucket,
    /// Its place in the order of the shard.
    pub position: Position,
    /// Which way it goes. Stanzas that go one way keep their order.
    pub peer: SmolStr,
    /// Whom it is for.
    pub target: BareJid,
    /// Its number, by which its recipient knows it when it comes again.
    pub id: u128,
    /// The stanza, standalone.
    pub stanza: Bytes,
    /// When it was stored.
    pub stored_at: UnixMillis,
}

/// The first and the last hour that have rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The first one.
    pub first: u32,
    /// The last one.
    pub last: u32,
}

/// How far a shard is, all peers together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Every row up to here is done.
    pub through: Position,
    /// Which hours have rows; `None` if nothing waits.
    pub hours: Option<Hours>,
    /// Where the rows of earlier epochs end: what was written behind was never
    /// promised to anybody.
    pub seals: Vec<Seal>,
}

/// What is known of a shard's rows without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// All of them.
    pub extent: Extent,
    /// Up to where those of each peer are done.
    pub peers: BTreeMap<SmolStr, Position>,
}

impl Outline {
    /// Whether a row is still owed.
    #[must_use]
    pub fn is_owed(&self, row: &Row) -> bool {
        let through = self.peers.get(&row.peer).copied().unwrap_or_default();
        let is_void = |seal: &Seal| seal.is_void(row.position);
        row.position > self.extent.through.max(through) && !self.extent.seals.iter().any(is_void)
    }
}

/// What happens to a shard's rows. The owner sees to it that no mark goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores a stanza.
    Put(Row),
    /// The rows of a peer are done up to here.
    Done {
        /// The shard.
        shard: u16,
        /// The peer.
        peer: SmolStr,
        /// The last one that is done.
        through: Position,
    },
    /// Says how far the shard is.
    Extend {
        /// The shard.
        shard: u16,
        /// How far.
        extent: Extent,
    },
    /// Forgets the marks of all peers.
    ForgetPeers {
        /// The shard.
        shard: u16,
    },
    /// Removes all rows of a bucket.
    Clear(Bucket),
}

/// Reads of what waits.
#[async_trait]
pub trait Read: Send + Sync {
    /// The marks of a shard.
    async fn outbox(&self, shard: u16) -> Result<Outline, Error>;

    /// Rows of a bucket behind a position, in order; no more than `limit` and
    /// [`PAGE_ROWS_MAX`]. Also those that are done.
    async fn outbox_page(
        &self,
        bucket: Bucket,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Row>, Error>;
}
