//! The version of what is in the file, and how an older one is brought
//! forward. There is no way back: a backup made before an upgrade is.

use redb::{Database, ReadableDatabase, WriteTransaction};

use crate::apply::log;
use crate::codec::Malformed;
use crate::fault::Fault;
use crate::table::{self, Name, Tables};

/// The row that holds the version. Keys of others do not begin with a zero.
const KEY: &[u8] = b"\0schema";

/// The steps from each version to the next; an empty file is version 0.
///
/// All steps a file needs run in one transaction: a crash on the way leaves
/// the old version. Steps are only ever added.
const MIGRATIONS: [Migration; 4] = [
    table::create_all,
    log::point_to_all,
    // The tables of the outbox; the others are there.
    table::create_all,
    // What accounts publish has tables of its own.
    table::create_all,
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
}

impl<F: Into<Fault>> From<F> for Unfit {
    fn from(fault: F) -> Self {
        Unfit::Fault(fault.into())
    }
}

/// Brings the file to the current version, writing only if it is not.
pub(crate) fn prepare(database: &Database) -> Result<(), Unfit> {
    let found = version_of(database)?;
    if found > CURRENT {
        return Err(Unfit::Newer(found));
    }
    if found == CURRENT {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    for (from, migrate) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        if found == 0 {
            tracing::info!("making a new data file");
        } else {
            tracing::info!(from, to = from + 1, "migrating the data file");
        }
        migrate(&transaction)?;
    }
    Tables::new(&transaction).put(Name::Meta, KEY, &CURRENT.to_be_bytes())?;
    transaction.commit()?;
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
    let version = meta.get(KEY)?.ok_or(Unfit::Foreign)?;
    let version = version
        .value()
        .try_into()
        .map_err(|_| Malformed("no schema version"))?;
    Ok(u32::from_be_bytes(version))
}
