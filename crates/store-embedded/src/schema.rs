//! The version of what is in the file, and how an older one is brought
//! forward; and up to which batch of the journal the file is. There is no way
//! back: a backup made before an upgrade is.

use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use crate::apply::log;
use crate::codec::Malformed;
use crate::fault::Fault;
use crate::journal::record::Id;
use crate::journal::{Journal, Medium, recovery};
use crate::table::{self, Name};

/// The row that holds the version. Keys of others do not begin with a zero.
const VERSION_KEY: &[u8] = b"\0schema";

/// The row that says which journal belongs to the file, and which of its
/// batches are in the tables.
pub(crate) const JOURNAL_KEY: &[u8] = b"\0journal";

/// The steps from each version to the next; an empty file is version 0.
///
/// All steps a file needs run in one transaction: a crash on the way leaves
/// the old version. Steps are only ever added.
const MIGRATIONS: [Migration; 5] = [
    table::create_all,
    log::point_to_all,
    // The tables of the outbox; the others are there.
    table::create_all,
    // What accounts publish has tables of its own.
    table::create_all,
    with_journal,
];

type Migration = fn(&WriteTransaction) -> Result<(), Fault>;

/// The version this program writes.
pub(crate) const CURRENT: u32 = MIGRATIONS.len() as u32;

/// What [`prepare`] found wrong.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// A newer program wrote the file.
    Newer(u32),
    /// Another program did.
    Foreign,
    /// It could not be read or migrated.
    Fault(Fault),
    /// Its journal cannot be used.
    Journal(recovery::Unfit),
}

impl<F: Into<Fault>> From<F> for Unfit {
    fn from(fault: F) -> Self {
        Unfit::Fault(fault.into())
    }
}

impl From<recovery::Unfit> for Unfit {
    fn from(unfit: recovery::Unfit) -> Self {
        Unfit::Journal(unfit)
    }
}

/// A file from before there was a journal has everything in its tables; older
/// programs must not open it from here on.
#[expect(clippy::unnecessary_wraps, reason = "a step, as others are")]
fn with_journal(_: &WriteTransaction) -> Result<(), Fault> {
    Ok(())
}

/// Puts what the journal holds into the tables, brings the file to the current
/// version, and begins an empty journal.
pub(crate) fn prepare(database: &Database, media: [Medium; 2]) -> Result<(Journal, Id), Unfit> {
    let version = version_of(database)?;
    if version > CURRENT {
        return Err(Unfit::Newer(version));
    }
    let known = journal_of(database, version)?;
    let (id, settled) = known.unwrap_or_else(|| (rand::random(), 0));
    let found = recovery::read(&media, id, settled)?;
    if found.is_missing && settled > 0 {
        tracing::error!(
            "the journal of the data file is not there. After a clean end nothing is missing; \
             after another one stop now and put starling.journal.* back beside the data file, \
             because what was stored last is only there"
        );
    }
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    if found.batches > 0 {
        tracing::info!(
            batches = found.batches,
            "taking up what was stored before an unclean end"
        );
        table::settle(&transaction, &found.rows)?;
    }
    for (from, migrate) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        if version == 0 {
            tracing::info!("making a new data file");
        } else {
            tracing::info!(from, to = from + 1, "migrating the data file");
        }
        migrate(&transaction)?;
    }
    put(&transaction, VERSION_KEY, &CURRENT.to_be_bytes())?;
    note(&transaction, id, found.number)?;
    transaction.commit()?;
    let journal = Journal::begin(media, id, found.number).map_err(recovery::Unfit::Io)?;
    Ok((journal, id))
}

/// Notes that the tables hold the journal's batches up to this one.
pub(crate) fn note(transaction: &WriteTransaction, id: Id, number: u64) -> Result<(), Fault> {
    put(
        transaction,
        JOURNAL_KEY,
        &[&id[..], &number.to_be_bytes()].concat(),
    )
}

fn put(transaction: &WriteTransaction, key: &[u8], value: &[u8]) -> Result<(), Fault> {
    let mut meta = transaction.open_table(Name::Meta.definition())?;
    meta.insert(key, value)?;
    Ok(())
}

fn journal_of(database: &Database, version: u32) -> Result<Option<(Id, u64)>, Unfit> {
    if version == 0 {
        return Ok(None);
    }
    let meta = table::read(&database.begin_read()?, Name::Meta)?;
    let Some(row) = meta.get(JOURNAL_KEY)? else {
        return Ok(None);
    };
    let bad = Malformed("no number of a batch");
    let (id, number) = row.value().split_first_chunk().ok_or(bad)?;
    let number = number.try_into().map_err(|_| bad)?;
    Ok(Some((*id, u64::from_be_bytes(number))))
}

fn version_of(database: &Database) -> Result<u32, Unfit> {
    let transaction = database.begin_read()?;
    if transaction.list_tables()?.next().is_none() {
        return Ok(0);
    }
    let meta = match transaction.open_table(Name::Meta.definition()) {
        Ok(meta) => meta,
        Err(redb::TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(Unfit::Foreign),
    };
    let version = meta.get(VERSION_KEY)?.ok_or(Unfit::Foreign)?;
    let version = version
        .value()
        .try_into()
        .map_err(|_| Malformed("no schema version"))?;
    Ok(u32::from_be_bytes(version))
}
