//! A consistent copy of the file while writes go on: one snapshot, read table
//! by table into a new file, which gets its name only when it is whole.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use redb::{Database, Durability};
use starling_store::archive::Order;
use starling_store::{Backup, Error};

use crate::fault::Fault;
use crate::layers::Layer;
use crate::snapshot::Snapshot;
use crate::space::Space;
use crate::table::{self, Name};
use crate::{open, schema};

/// Bytes copied in one transaction of the copy.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// Behind every key: those that begin with a number are shorter, in text there
/// is no such octet.
const KEYS_END: [u8; 64] = [u8::MAX; 64];

/// Memory for pages of the copy.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Copies the store to `to`, replacing an older copy there. If that is on the
/// disk of the store, `space` says as of when the rest of it is the store's.
pub(crate) fn write(
    snapshot: &Snapshot,
    to: &Path,
    space: Option<&Space>,
) -> Result<Backup, Error> {
    let partial = Backup::partial_name(to);
    let result = copy(snapshot, &partial, space).and_then(|()| {
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

/// Whether a file would be on the disk of another one.
#[cfg(unix)]
pub(crate) fn is_disk_shared(to: &Path, with: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let disk_of = |path: &Path| fs::metadata(open::folder_of(path)).map(|folder| folder.dev());
    match (disk_of(to), disk_of(with)) {
        (Ok(to), Ok(with)) => to == with,
        _ => false, // What is wrong with it is told when it is written.
    }
}

/// The same: as if it never were, where that cannot be told.
#[cfg(not(unix))]
pub(crate) fn is_disk_shared(_to: &Path, _with: &Path) -> bool {
    false
}

/// What went wrong, on either side.
enum Trouble {
    Io(io::Error),
    Full(Error),
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
            Trouble::Full(error) => error.to_string(),
            Trouble::Fault(Fault::Storage(error)) => error.to_string(),
            Trouble::Fault(Fault::Malformed(malformed)) => malformed.to_string(),
        };
        Error::Refused {
            reason: format!("no backup was written to {}: {reason}", to.display()),
        }
    }
}

fn copy(snapshot: &Snapshot, to: &Path, space: Option<&Space>) -> Result<(), Trouble> {
    has_room(space)?;
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
    for name in Name::ALL.into_iter().filter(|name| !name.is_derived()) {
        copy_table(snapshot, &database, name, space)?;
    }
    // Everything before was not synced; this transaction carries all of it.
    database.begin_write()?.commit()?;
    drop(database);
    fs::File::open(to)?.sync_all()?;
    Ok(())
}

fn copy_table(
    snapshot: &Snapshot,
    to: &Database,
    name: Name,
    space: Option<&Space>,
) -> Result<(), Trouble> {
    let (mut chunk, mut written) = (Layer::default(), Ok(()));
    let everything = Vec::new()..KEYS_END.to_vec();
    snapshot
        .view()
        .each(name, &everything, Order::Ascending, |key, value| {
            // The copy is another file: no journal belongs to it yet.
            if name == Name::Meta && key == schema::JOURNAL_KEY {
                return true;
            }
            let value = Some(Bytes::copy_from_slice(value));
            chunk.set(name, Bytes::copy_from_slice(key), value);
            if chunk.bytes() >= CHUNK_BYTES {
                let chunk = std::mem::take(&mut chunk);
                written = has_room(space).and_then(|()| write_chunk(to, &chunk));
            }
            written.is_ok()
        })?;
    written?;
    write_chunk(to, &chunk)
}

/// Whether the store can spare the next chunk.
fn has_room(space: Option<&Space>) -> Result<(), Trouble> {
    let taken = space.map_or(Ok(()), |space| space.budget(0).take(CHUNK_BYTES, false));
    taken.map_err(Trouble::Full)
}

fn write_chunk(to: &Database, chunk: &Layer) -> Result<(), Trouble> {
    let mut transaction = to.begin_write()?;
    transaction.set_durability(Durability::None)?;
    let rows: Vec<_> = chunk.all().collect();
    table::settle(&transaction, &rows)?;
    transaction.commit()?;
    Ok(())
}
