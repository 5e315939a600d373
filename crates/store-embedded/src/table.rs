//! The tables of the file, all from bytes to bytes. Keys are made in `key`,
//! values in `record`.

use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::fault::Fault;

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// One row per account.
    Account,
    /// Attributes, last activity and tokens of accounts.
    AccountExtra,
    /// The logs.
    Archive,
    /// Pointers into the logs, by the other side.
    ArchivePeer,
    /// One row per blocked address.
    Blocklist,
    /// Offline and device cursors.
    Cursor,
    /// Secrets and settings of the deployment.
    Meta,
    /// What shards owe to recipients out of reach.
    Outbox,
    /// How far they are with that.
    OutboxMark,
    /// Items that accounts publish.
    PepItem,
    /// The nodes they are at.
    PepNode,
    /// One row per private element.
    PrivateXml,
    /// Contacts, removals, and the state of versions.
    Roster,
    /// One row per vCard.
    VCard,
}

impl Name {
    /// How many there are.
    const COUNT: usize = 14;

    /// Every table.
    pub(crate) const ALL: [Name; Name::COUNT] = [
        Name::Account,
        Name::AccountExtra,
        Name::Archive,
        Name::ArchivePeer,
        Name::Blocklist,
        Name::Cursor,
        Name::Meta,
        Name::Outbox,
        Name::OutboxMark,
        Name::PepItem,
        Name::PepNode,
        Name::PrivateXml,
        Name::Roster,
        Name::VCard,
    ];

    /// Whether its keys begin with an owner.
    pub(crate) fn is_owned(self) -> bool {
        !matches!(self, Name::Meta | Name::Outbox | Name::OutboxMark)
    }

    /// How the file calls it. Never renamed.
    pub(crate) fn definition(self) -> Definition {
        TableDefinition::new(match self {
            Name::Account => "account",
            Name::AccountExtra => "account_extra",
            Name::Archive => "archive",
            Name::ArchivePeer => "archive_peer",
            Name::Blocklist => "blocklist",
            Name::Cursor => "cursor",
            Name::Meta => "meta",
            Name::Outbox => "outbox",
            Name::OutboxMark => "outbox_mark",
            Name::PepItem => "pep_item",
            Name::PepNode => "pep_node",
            Name::PrivateXml => "private_xml",
            Name::Roster => "roster",
            Name::VCard => "vcard",
        })
    }
}

/// An open table of a running transaction.
pub(crate) type Open<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// The tables of one write transaction, each opened when first used: most
/// batches touch only the log.
pub(crate) struct Tables<'txn> {
    transaction: &'txn WriteTransaction,
    open: [Option<Open<'txn>>; Name::COUNT],
}

impl<'txn> Tables<'txn> {
    pub(crate) fn new(transaction: &'txn WriteTransaction) -> Self {
        Tables {
            transaction,
            open: Default::default(),
        }
    }

    /// The table for writing.
    pub(crate) fn get(&mut self, name: Name) -> Result<&mut Open<'txn>, Fault> {
        let slot = &mut self.open[name as usize];
        match slot {
            Some(table) => Ok(table),
            None => Ok(slot.insert(self.transaction.open_table(name.definition())?)),
        }
    }

    /// A copy of one value.
    pub(crate) fn value(&mut self, name: Name, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self
            .get(name)?
            .get(key)?
            .map(|value| value.value().to_vec()))
    }

    /// Puts a value.
    pub(crate) fn put(&mut self, name: Name, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.get(name)?.insert(key, value)?;
        Ok(())
    }

    /// Puts a value and returns a copy of the one it replaces.
    pub(crate) fn replace(
        &mut self,
        name: Name,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let old = self.get(name)?.insert(key, value)?;
        Ok(old.map(|old| old.value().to_vec()))
    }

    /// Removes a value, if there is one.
    pub(crate) fn remove(&mut self, name: Name, key: &[u8]) -> Result<(), Fault> {
        self.get(name)?.remove(key)?;
        Ok(())
    }

    /// Removes every key from `from` up to, but without, `to`.
    pub(crate) fn remove_range(&mut self, name: Name, from: &[u8], to: &[u8]) -> Result<(), Fault> {
        self.remove_range_unless(name, from, to, |_, _| false)
    }

    /// Removes every row of a range except those that are to be kept.
    pub(crate) fn remove_range_unless(
        &mut self,
        name: Name,
        from: &[u8],
        to: &[u8],
        is_kept: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Fault> {
        self.get(name)?.retain_in::<&[u8], _>(from..to, is_kept)?;
        Ok(())
    }
}

/// Creates every table that is not there, so that readers always find them.
pub(crate) fn create_all(transaction: &WriteTransaction) -> Result<(), Fault> {
    for name in Name::ALL {
        transaction.open_table(name.definition())?;
    }
    Ok(())
}

/// A table for reading.
pub(crate) fn read(
    transaction: &ReadTransaction,
    name: Name,
) -> Result<redb::ReadOnlyTable<&'static [u8], &'static [u8]>, Fault> {
    Ok(transaction.open_table(name.definition())?)
}
