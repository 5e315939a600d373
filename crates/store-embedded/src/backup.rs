//! A consistent copy of the file while writes go on: one snapshot, read table
//! by table into a new file, which gets its name only when it is whole.

use std::fs;
use std::io;
use std::path::Path;

use redb::{Database, Durability, ReadableTable};
use starling_store::{Backup, Error};

use crate::fault::Fault;
use crate::open;
use crate::snapshot::Snapshot;
use crate::table::{self, Name, Tables};

/// Bytes copied in one transaction of the copy.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// Memory for pages of the copy.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Copies the store to `to`, replacing an older copy there.
pub(crate) fn write(snapshot: &Snapshot, to: &Path) -> Result<Backup, Error> {
    let partial = Backup::partial_name(to);
    let result = copy(snapshot, &partial).and_then(|()| {
        let bytes = fs::metadata(&partial)?.len();
        fs::rename(&partial, to)?;
        open::sync_folder(to)?;
        Ok(Backup { bytes })
    });
    result.map_err(|trouble| {
        // What is left of it is of no use; that it stays is no new error.
        let _ = fs::remove_file(&partial);
        trouble.into_error(to)
    })
}

/// What went wrong, on either side.
enum Trouble {
    Io(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Io(error)
    }
}

impl<F: Into<Fault>> From<F> for Trouble {
    fn from(fault: F) -> Self {
        Trouble::Fault(fault.into())
    }
}

impl Trouble {
    /// Never fatal: the store itself may be fine, and if not, its next use
    /// tells.
    fn into_error(self, to: &Path) -> Error {
        let reason = match self {
            Trouble::Io(error) => error.to_string(),
            Trouble::Fault(Fault::Storage(error)) => error.to_string(),
            Trouble::Fault(Fault::Malformed(malformed)) => malformed.to_string(),
        };
        Error::Refused {
            reason: format!("no backup was written to {}: {reason}", to.display()),
        }
    }
}

fn copy(snapshot: &Snapshot, to: &Path) -> Result<(), Trouble> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = open::private_file(to)?;
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_file(file)?;
    let transaction = database.begin_write()?;
    table::create_all(&transaction)?;
    transaction.commit()?;
    for name in Name::ALL {
        copy_table(snapshot, &database, name)?;
    }
    // Everything before was not synced; this transaction carries all of it.
    database.begin_write()?.commit()?;
    drop(database);
    fs::File::open(to)?.sync_all()?;
    Ok(())
}

fn copy_table(snapshot: &Snapshot, to: &Database, name: Name) -> Result<(), Trouble> {
    let table = table::read(snapshot.transaction(), name)?;
    let mut rows = table.iter()?.peekable();
    while rows.peek().is_some() {
        let mut transaction = to.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let (mut tables, mut bytes) = (Tables::new(&transaction), 0);
        while bytes < CHUNK_BYTES {
            let Some(row) = rows.next() else { break };
            let (key, value) = row?;
            tables.put(name, key.value(), value.value())?;
            bytes += key.value().len() + value.value().len();
        }
        drop(tables);
        transaction.commit()?;
    }
    Ok(())
}
