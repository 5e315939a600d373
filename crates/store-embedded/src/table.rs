//! The tables of the file, all from bytes to bytes. Keys are made in `key`,
//! values in `record`.

mod settling;

use std::cell::OnceCell;

use bytes::Bytes;
use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, WriteTransaction};
use starling_store::archive::Order;

use crate::fault::Fault;
use crate::layers::Layer;
use crate::view::View;

pub(crate) use settling::{Row, settle, settle_slowly};

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
    /// Pointers into the logs, by the other side: `pointer` makes them.
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
    pub(crate) const COUNT: usize = 14;

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

    /// Whether its rows follow from those of another one, and come and go with
    /// them in the file: nobody else writes any.
    pub(crate) fn is_derived(self) -> bool {
        self == Name::ArchivePeer
    }

    /// How the journal calls it: its place in [`Name::ALL`], which only grows
    /// at its end.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The table that the journal calls so.
    pub(crate) fn of_number(number: u8) -> Option<Name> {
        Name::ALL.get(usize::from(number)).copied()
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

/// What one batch does to the tables: its own changes over what was before it.
/// They become durable in the journal, and reach the file later.
pub(crate) struct Tables<'a> {
    before: View<'a>,
    changes: Layer,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(before: View<'a>) -> Self {
        Tables {
            before,
            changes: Layer::default(),
        }
    }

    /// What is to be made durable.
    pub(crate) fn into_changes(self) -> Layer {
        self.changes
    }

    /// About how much that is.
    pub(crate) fn changes_bytes(&self) -> usize {
        self.changes.bytes()
    }

    /// All rows, with what is changed so far.
    pub(crate) fn now(&self) -> View<'_> {
        now(&self.before, &self.changes)
    }

    /// A copy of one value.
    pub(crate) fn value(&self, name: Name, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.look(name, key, <[u8]>::to_vec)
    }

    /// Whether there is such a row.
    pub(crate) fn has(&self, name: Name, key: &[u8]) -> Result<bool, Fault> {
        Ok(self.look(name, key, |_| ())?.is_some())
    }

    /// Gives a value, as it is after what is changed so far, to `read`.
    fn look<T>(
        &self,
        name: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Fault> {
        match self.changes.get(name, key) {
            Some(said) => Ok(said.as_deref().map(read)),
            None => self.before.value(name, key, read),
        }
    }

    /// Puts a value.
    pub(crate) fn put(&mut self, name: Name, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.changes.set(name, key, Some(value));
        Ok(())
    }

    /// The same without copying it.
    pub(crate) fn put_owned(&mut self, name: Name, key: Vec<u8>, value: Vec<u8>) {
        self.changes.set(name, key.into(), Some(value.into()));
    }

    /// Removes a value, if there is one.
    pub(crate) fn remove(&mut self, name: Name, key: &[u8]) -> Result<(), Fault> {
        self.changes.set(name, Bytes::copy_from_slice(key), None);
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
        mut is_kept: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Fault> {
        let (range, mut gone) = (from.to_vec()..to.to_vec(), Vec::new());
        self.now()
            .each(name, &range, Order::Ascending, |key, value| {
                if !is_kept(key, value) {
                    gone.push(Bytes::copy_from_slice(key));
                }
                true
            })?;
        for key in gone {
            self.changes.set(name, key, None);
        }
        Ok(())
    }
}

/// All rows as they were before, with what is changed so far.
fn now<'a>(before: &View<'a>, changes: &'a Layer) -> View<'a> {
    let layers = before.layers.iter().copied();
    View {
        layers: std::iter::once(changes).chain(layers).collect(),
        tables: before.tables,
    }
}

/// The tables of the file at one moment.
///
/// Each is opened when it is first looked at, and stays open: opening one takes
/// longer than finding a row in it, and a batch looks for many.
pub(crate) struct File {
    transaction: ReadTransaction,
    opened: [OnceCell<Box<Opened>>; Name::COUNT],
}

/// A table for reading.
pub(crate) type Opened = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl File {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        File {
            transaction,
            opened: [const { OnceCell::new() }; Name::COUNT],
        }
    }

    /// One of them.
    pub(crate) fn table(&self, name: Name) -> Result<&Opened, Fault> {
        let place = &self.opened[name as usize];
        if let Some(table) = place.get() {
            return Ok(table);
        }
        let table = read(&self.transaction, name)?;
        Ok(place.get_or_init(|| Box::new(table)))
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
pub(crate) fn read(transaction: &ReadTransaction, name: Name) -> Result<Opened, Fault> {
    Ok(transaction.open_table(name.definition())?)
}
