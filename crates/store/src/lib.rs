//! What Starling keeps, as traits: one file per domain with its records, its
//! changes and its reads, plus an in-memory reference and a contract suite.
//!
//! This crate knows no database. `store-embedded` keeps everything in one
//! file, a CQL backend keeps it in tables; both obey what is written here and
//! prove it with `contract`.
//!
//! How a backend is used:
//!
//! * The shard that owns an account reads its [`LoginBundle`] once, keeps it in
//!   memory, and from then on only writes. No write ever reads first, so every
//!   [`Change`] is an idempotent put or delete under a key the owner chose.
//! * [`Store::commit`] returns `Ok` only when all of the batch is durable.
//!   Whatever depends on it is released afterwards, never before.
//! * The owner, a bare JID with its domain, is part of every key: hosts are
//!   tenants and share nothing. Only the outbox is kept by shard, because whoever
//!   takes a shard over has to find it.

pub mod account;
pub mod archive;
pub mod blocklist;
pub mod codec;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod cursor;
pub mod error;
pub mod fence;
pub mod memory;
pub mod meta;
pub mod outbox;
pub mod pep;
pub mod position;
pub mod private_xml;
pub mod record;
pub mod roster;
pub mod vcard;
pub mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use starling_xmpp::jid::BareJid;

pub use account::Account;
pub use error::Error;
pub use fence::{Fence, Seal};
pub use memory::Memory;
pub use position::{Position, Stamp};
pub use write::{Change, Write};

/// A durable home for everything that outlives a process.
///
/// Cheap reads come from the domains' `Read` traits; this trait adds what
/// concerns several domains at once.
#[async_trait]
pub trait Store:
    account::Read
    + archive::Read
    + blocklist::Read
    + cursor::Read
    + fence::Fence
    + meta::Meta
    + outbox::Read
    + pep::Read
    + private_xml::Read
    + roster::Read
    + vcard::Read
    + Send
    + Sync
    + 'static
{
    /// Makes every write of the batch durable, in order.
    ///
    /// `Ok` means all of them survive a crash from now on. On a backend with a
    /// single writer all writes of one owner in the batch appear together or
    /// not at all; on one that is shared, the small rows of an owner do (account,
    /// roster, block list, cursors) and what it publishes, and the others each by
    /// themselves. After
    /// an error the batch may or may not have been stored, also in part;
    /// committing the same batch again is always safe.
    async fn commit(&self, batch: Vec<Write>) -> Result<(), Error>;

    /// Creates an account unless it exists: the only compare-and-set on
    /// accounts, so that of two who ask at once exactly one is told
    /// [`Creation::Created`].
    async fn create_account(&self, account: Account) -> Result<Creation, Error>;

    /// Everything the owner of an account needs to serve it, in one read;
    /// `None` when there is no such account.
    async fn login(&self, owner: &BareJid) -> Result<Option<LoginBundle>, Error>;

    /// Writes a consistent copy of the whole store to `to` while writes go on.
    async fn backup(&self, to: &Path) -> Result<Backup, Error>;

    /// How it is: whether it would take a write at this moment, found out
    /// without writing. For those who look after it; nobody may rely on the
    /// answer for the next write.
    ///
    /// # Errors
    /// What a write would be told.
    async fn check(&self) -> Result<Health, Error> {
        Ok(Health::default())
    }
}

/// How a store is that takes writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How long the last write took to become durable; none before the first.
    pub last_commit: Option<Duration>,
    /// Bytes left on its disk, if it has one of its own.
    pub free_bytes: Option<u64>,
}

/// What became of [`Store::create_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The account is new and durable.
    Created,
    /// The account was there before and is untouched.
    AlreadyExists,
}

/// What a finished backup amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Size of the copy.
    pub bytes: u64,
}

impl Backup {
    /// What the copy is called until it is whole.
    #[must_use]
    pub fn partial_name(to: &Path) -> PathBuf {
        let mut name = to.as_os_str().to_owned();
        name.push(".partial");
        PathBuf::from(name)
    }
}

/// Everything read at login or at an account's first touch.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginBundle {
    /// The account itself, with its credentials.
    pub account: Account,
    /// All contacts, and what is needed to answer a stale roster version.
    pub roster: roster::Roster,
    /// Everyone the account has blocked.
    pub blocklist: blocklist::Blocklist,
    /// How far the account, and each of its devices, has been delivered.
    pub cursors: cursor::Cursors,
    /// The last entry of the log; the owner appends after it.
    pub last_position: Option<Position>,
    /// Offline entries after the account's cursor, for the quota.
    pub offline: archive::Tally,
}
