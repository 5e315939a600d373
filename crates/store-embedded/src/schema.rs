//! The version of what is in the file, and how an older one is brought
//! forward; and up to which batch of the journal the file is. There is no way
//! back: a backup made before an upgrade is.

use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use crate::codec::Malformed;
use crate::fault::Fault;
use crate::journal::record::Id;
use crate::journal::{Journal, Medium, recovery};
use crate::pointer;
use crate::table::{self, Name};

/// The row that holds the version. Keys of others do not begin with a zero.
const VERSION_KEY: &[u8] = b"\0schema";

/// The row with the [`Mark`].
pub(crate) const JOURNAL_KEY: &[u8] = b"\0journal";

/// The steps from each version to the next; an empty file is version 0.
///
/// All steps a file needs run in one transaction: a crash on the way leaves
/// the old version. Steps are only ever added.
const MIGRATIONS: [Migration; 6] = [
    table::create_all,
    pointer::point_to_all,
    // The tables of the outbox; the others are there.
    table::create_all,
    // What accounts publish has tables of its own.
    table::create_all,
    with_journal,
    with_derived_pointers,
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

/// The journal holds no pointers any more; older programs would settle it
/// without making any.
#[expect(clippy::unnecessary_wraps, reason = "a step, as others are")]
fn with_derived_pointers(_: &WriteTransaction) -> Result<(), Fault> {
    Ok(())
}

/// What the tables know of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which one belongs to the file.
    pub(crate) id: Id,
    /// The tables hold its batches up to this one.
    pub(crate) number: u64,
    /// Whether it may hold more: the file alone is not the store then.
    pub(crate) is_needed: bool,
}

impl Mark {
    /// Of a file that never had a journal.
    fn new() -> Self {
        Mark {
            id: rand::random(),
            number: 0,
            is_needed: false,
        }
    }

    /// Writes it, together with what it is about.
    pub(crate) fn note(&self, transaction: &WriteTransaction) -> Result<(), Fault> {
        let number = self.number.to_be_bytes();
        let value = [&self.id[..], &number, &[u8::from(self.is_needed)]].concat();
        put(transaction, JOURNAL_KEY, &value)
    }

    /// `None` if there was no journal yet when the file was written.
    fn of(database: &Database, version: u32) -> Result<Option<Self>, Unfit> {
        if version == 0 {
            return Ok(None);
        }
        let meta = table::read(&database.begin_read()?, Name::Meta)?;
        let Some(row) = meta.get(JOURNAL_KEY)? else {
            return Ok(None);
        };
        let bad = Malformed("no mark of a journal");
        let (id, rest) = row.value().split_first_chunk().ok_or(bad)?;
        let (number, rest) = rest.split_first_chunk().ok_or(bad)?;
        Ok(Some(Mark {
            id: *id,
            number: u64::from_be_bytes(*number),
            is_needed: rest == [1],
        }))
    }
}

/// Puts what the journal holds into the tables, brings the file to the current
/// version, and begins an empty journal.
pub(crate) fn prepare(database: &Database, media: [Medium; 2]) -> Result<(Journal, Id), Unfit> {
    let version = version_of(database)?;
    if version > CURRENT {
        return Err(Unfit::Newer(version));
    }
    let known = Mark::of(database, version)?;
    let mark = known.unwrap_or_else(Mark::new);
    let found = recovery::read(&media, &mark)?;
    let settled = Mark {
        number: found.number,
        is_needed: false,
        ..mark
    };
    if version != CURRENT || known != Some(settled) {
        bring_forward(database, version, &found, settled)?;
    }
    // Cut short here, the next start finds half a journal and needs none.
    let journal = Journal::begin(media, mark.id, found.number).map_err(recovery::Unfit::Io)?;
    write(database, |transaction| {
        let is_needed = true;
        Mark {
            is_needed,
            ..settled
        }
        .note(transaction)
    })?;
    Ok((journal, mark.id))
}

/// From here on, the tables hold all there is.
fn bring_forward(
    database: &Database,
    version: u32,
    found: &recovery::Found,
    settled: Mark,
) -> Result<(), Fault> {
    write(database, |transaction| {
        if found.batches > 0 {
            let batches = found.batches;
            tracing::info!(batches, "taking up what was stored before an unclean end");
            let rows: Vec<_> = found.rows.all().collect();
            table::settle(transaction, &rows)?;
        }
        for (from, migrate) in MIGRATIONS.iter().enumerate().skip(version as usize) {
            if version == 0 {
                tracing::info!("making a new data file");
            } else {
                tracing::info!(from, to = from + 1, "migrating the data file");
            }
            migrate(transaction)?;
        }
        put(transaction, VERSION_KEY, &CURRENT.to_be_bytes())?;
        settled.note(transaction)
    })
}

/// Does everything in one transaction, or nothing.
fn write(
    database: &Database,
    act: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    act(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn put(transaction: &WriteTransaction, key: &[u8], value: &[u8]) -> Result<(), Fault> {
    let mut meta = transaction.open_table(Name::Meta.definition())?;
    meta.insert(key, value)?;
    Ok(())
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
