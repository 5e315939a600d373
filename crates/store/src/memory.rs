//! The reference: a store in memory that loses everything with the process.
//! It exists to say in the fewest words what a backend must do, and to make
//! tests fast.

mod outbox_rows;
mod pep;
mod written;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use starling_xmpp::jid::BareJid;

use crate::archive::{self, Entry, Order, Page, Query, Tally};
use crate::blocklist::{self, Blocklist};
use crate::cursor::{self, Cursors};
use crate::roster::{self, Roster};
use crate::{
    Account, Backup, Change, Creation, Error, Fence, LoginBundle, Position, Seal, Stamp, Store,
    Write, account, meta, outbox, private_xml, vcard,
};

use written::{Row, Written};

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    is_silent: AtomicBool,
    is_hanging: AtomicBool,
    pages_read: AtomicU64,
}

impl Memory {
    /// How many pages of logs were read so far: for tests of what must not read
    /// many.
    pub fn pages_read(&self) -> u64 {
        self.pages_read.load(Ordering::Relaxed)
    }

    /// Whether it answers no more who reads accounts and logs, as a database
    /// that is away: for tests of those who have to wait.
    pub fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// Whether whoever begins to read an account or a log hears nothing any more,
    /// also not that it is away.
    pub fn set_hanging(&self, is_hanging: bool) {
        self.is_hanging.store(is_hanging, Ordering::Relaxed);
    }

    async fn answers(&self) -> Result<(), Error> {
        if self.is_hanging.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if !self.is_silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::Unavailable {
            reason: "it was told to be silent".to_owned(),
        })
    }
}

#[derive(Debug, Default)]
struct State {
    spaces: HashMap<BareJid, Space>,
    meta: BTreeMap<String, Bytes>,
    outbox: BTreeMap<(outbox::Bucket, Position), outbox::Row>,
    outlines: BTreeMap<u16, outbox::Outline>,
    /// Of the outbox.
    written: Written,
}

/// Everything of one owner.
#[derive(Debug, Default)]
struct Space {
    account: Option<Account>,
    archive: BTreeMap<Position, Entry>,
    blocklist: Blocklist,
    cursors: Cursors,
    pep: crate::pep::Shelf,
    private_xml: BTreeMap<private_xml::Key, Bytes>,
    roster: Roster,
    seals: Vec<Seal>,
    vcard: Option<Bytes>,
    written: Written,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Memory::default()
    }

    /// A panic elsewhere cannot leave half a change behind: changes do not
    /// panic. So a poisoned lock is as good as another.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T: Default>(&self, owner: &BareJid, read: impl FnOnce(&Space) -> T) -> T {
        self.state().spaces.get(owner).map(read).unwrap_or_default()
    }
}

impl Space {
    fn apply(&mut self, change: Change, stamp: Stamp) {
        if !self.written.admits(&change, stamp) {
            return;
        }
        match change {
            Change::Account(change) => {
                if let Some(account) = &mut self.account {
                    account.apply(&change);
                }
            }
            Change::Archive(archive::Change::Append(entry)) => {
                if !self.seals.iter().any(|seal| seal.is_void(entry.position)) {
                    self.archive.insert(entry.position, entry);
                }
            }
            Change::Archive(archive::Change::Purge { through }) => {
                let written = &mut self.written;
                self.archive.retain(|position, _| {
                    *position > through || !written.note(Row::Entry(*position), stamp)
                });
            }
            Change::Archive(archive::Change::Sweep {
                after,
                through,
                is_offline,
            }) => {
                let written = &mut self.written;
                self.archive.retain(|position, entry| {
                    *position <= after
                        || *position > through
                        || !entry.is_swept(is_offline)
                        || !written.note(Row::Entry(*position), stamp)
                });
            }
            Change::Blocklist(change) => change.apply_to(&mut self.blocklist),
            Change::Cursor(change) => self.cursors.apply(&change),
            // Not of one owner: see `State::put_out`.
            Change::Outbox(_) => {}
            Change::Pep(change) => self.pep.apply(change),
            Change::PrivateXml(private_xml::Change::Put { key, element }) => {
                self.private_xml.insert(key, element);
            }
            Change::PrivateXml(private_xml::Change::Remove { key }) => {
                self.private_xml.remove(&key);
            }
            Change::Roster(change) => self.roster.apply(&change),
            Change::VCard(vcard::Change::Put(element)) => self.vcard = Some(element),
            Change::VCard(vcard::Change::Remove) => self.vcard = None,
        }
    }

    fn roster(&self) -> Roster {
        let first = self
            .account
            .as_ref()
            .map_or(0, Account::roster_version_first);
        let mut roster = self.roster.clone();
        roster.version = roster.version.max(first);
        roster.floor = roster.floor.max(first);
        roster
    }

    fn page(&self, query: &Query) -> Vec<Entry> {
        let after = query.after.unwrap_or_default();
        if query.before.is_some_and(|before| before <= after) {
            return Vec::new();
        }
        let until = query.before.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.archive.range((Bound::Excluded(after), until));
        let entries = range.map(|(_, entry)| entry.clone());
        let mut page = Page::of(query);
        match query.order {
            Order::Ascending => page.extend(entries),
            Order::Descending => page.extend(entries.rev()),
        }
        page.into_entries()
    }

    fn offline_tally(&self, after: Position) -> Tally {
        let mut tally = Tally::default();
        let range = self
            .archive
            .range((Bound::Excluded(after), Bound::Unbounded));
        for (_, entry) in range.filter(|(_, entry)| entry.is_offline) {
            if tally.is_at_least() {
                break;
            }
            tally.add(entry.stanza.len());
        }
        tally
    }
}

#[async_trait]
impl Store for Memory {
    async fn commit(&self, batch: Vec<Write>) -> Result<(), Error> {
        let mut state = self.state();
        for write in batch {
            let (owner, stamp) = (write.owner, write.stamp);
            match write.change {
                Change::Account(account::Change::Remove) => drop(state.spaces.remove(&owner)),
                change @ Change::Outbox(_) if !state.written.admits(&change, stamp) => {}
                Change::Outbox(change) => state.put_out(change),
                change => state.spaces.entry(owner).or_default().apply(change, stamp),
            }
        }
        Ok(())
    }

    async fn create_account(&self, account: Account) -> Result<Creation, Error> {
        let mut state = self.state();
        let slot = &mut state.spaces.entry(account.jid.clone()).or_default().account;
        if slot.is_some() {
            return Ok(Creation::AlreadyExists);
        }
        *slot = Some(account);
        Ok(Creation::Created)
    }

    async fn login(&self, owner: &BareJid) -> Result<Option<LoginBundle>, Error> {
        self.answers().await?;
        Ok(self.read(owner, |space| {
            Some(LoginBundle {
                account: space.account.clone()?,
                roster: space.roster(),
                blocklist: space.blocklist.clone(),
                cursors: space.cursors.clone(),
                last_position: space.archive.keys().next_back().copied(),
                offline: space.offline_tally(space.cursors.offline_or_start()),
            })
        }))
    }

    async fn backup(&self, _to: &Path) -> Result<Backup, Error> {
        Err(Error::Refused {
            reason: "a store in memory has nothing to back up".to_owned(),
        })
    }
}

#[async_trait]
impl account::Read for Memory {
    async fn account(&self, jid: &BareJid) -> Result<Option<Account>, Error> {
        Ok(self.read(jid, |space| space.account.clone()))
    }

    async fn accounts(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Error> {
        let state = self.state();
        let accounts = state
            .spaces
            .values()
            .filter_map(|space| space.account.as_ref());
        let after = after.and_then(|after| after.local());
        let mut listed: Vec<_> = accounts
            .filter(|account| account.jid.domain() == host && account.jid.local() > after)
            .collect();
        listed.sort_unstable_by(|one, other| one.jid.local().cmp(&other.jid.local()));
        let limit = limit.min(account::LIST_ACCOUNTS_MAX);
        Ok(listed.into_iter().take(limit).cloned().collect())
    }

    async fn account_count(&self, host: &str) -> Result<u64, Error> {
        let state = self.state();
        let accounts = state
            .spaces
            .iter()
            .filter(|(owner, space)| owner.domain() == host && space.account.is_some());
        Ok(accounts.count() as u64)
    }
}

#[async_trait]
impl archive::Read for Memory {
    async fn archive_page(&self, owner: &BareJid, query: &Query) -> Result<Vec<Entry>, Error> {
        self.answers().await?;
        self.pages_read.fetch_add(1, Ordering::Relaxed);
        Ok(self.read(owner, |space| space.page(query)))
    }

    async fn archive_entry(&self, owner: &BareJid, at: Position) -> Result<Option<Entry>, Error> {
        Ok(self.read(owner, |space| space.archive.get(&at).cloned()))
    }

    async fn archive_last(&self, owner: &BareJid) -> Result<Option<Position>, Error> {
        Ok(self.read(owner, |space| space.archive.keys().next_back().copied()))
    }

    async fn offline_tally(&self, owner: &BareJid, after: Position) -> Result<Tally, Error> {
        Ok(self.read(owner, |space| space.offline_tally(after)))
    }
}

#[async_trait]
impl blocklist::Read for Memory {
    async fn blocklist(&self, owner: &BareJid) -> Result<Blocklist, Error> {
        Ok(self.read(owner, |space| space.blocklist.clone()))
    }
}

#[async_trait]
impl cursor::Read for Memory {
    async fn cursors(&self, owner: &BareJid) -> Result<Cursors, Error> {
        Ok(self.read(owner, |space| space.cursors.clone()))
    }
}

#[async_trait]
impl Fence for Memory {
    async fn seal(&self, owner: &BareJid, seal: Seal) -> Result<(), Error> {
        let mut state = self.state();
        let space = state.spaces.entry(owner.clone()).or_default();
        space.archive.retain(|position, _| !seal.is_void(*position));
        space.seals.push(seal);
        Ok(())
    }
}

#[async_trait]
impl meta::Meta for Memory {
    async fn meta(&self, key: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.state().meta.get(key).cloned())
    }

    async fn init_meta(&self, key: &str, value: Bytes) -> Result<Bytes, Error> {
        Ok(self
            .state()
            .meta
            .entry(key.to_owned())
            .or_insert(value)
            .clone())
    }

    async fn set_meta(&self, key: &str, value: Bytes) -> Result<(), Error> {
        self.state().meta.insert(key.to_owned(), value);
        Ok(())
    }
}

#[async_trait]
impl private_xml::Read for Memory {
    async fn private_xml(
        &self,
        owner: &BareJid,
        key: &private_xml::Key,
    ) -> Result<Option<Bytes>, Error> {
        Ok(self.read(owner, |space| space.private_xml.get(key).cloned()))
    }
}

#[async_trait]
impl roster::Read for Memory {
    async fn roster(&self, owner: &BareJid) -> Result<Roster, Error> {
        Ok(self.read(owner, Space::roster))
    }
}

#[async_trait]
impl vcard::Read for Memory {
    async fn vcard(&self, owner: &BareJid) -> Result<Option<Bytes>, Error> {
        Ok(self.read(owner, |space| space.vcard.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    crate::contract_suite!(Box::new(Memory::new()) as Box<dyn crate::Store>);
    crate::shared_contract_suite!(Box::new(Memory::new()) as Box<dyn crate::Store>);
}
