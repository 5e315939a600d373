//! Opening the data file and its journal, and saying clearly why not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};

use crate::error::OpenError;
use crate::fault::{Fault, is_full};
use crate::journal::record::Id;
use crate::journal::{Journal, Medium, recovery};
use crate::schema::{self, Unfit};
use crate::{FILE_NAME, JOURNAL_NAME};

/// A store that is open, and has everything that was acknowledged.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) journal: Journal,
    pub(crate) id: Id,
}

impl Opened {
    /// With what the journal holds put into the tables.
    pub(crate) fn of(database: Database, media: [Medium; 2]) -> Result<Self, Unfit> {
        let (journal, id) = schema::prepare(&database, media)?;
        Ok(Opened {
            database,
            journal,
            id,
        })
    }
}

/// Opens or creates the files and brings them to the current schema.
pub(crate) fn store(folder: &Path, cache_bytes: usize) -> Result<Opened, OpenError> {
    let path = &folder.join(FILE_NAME);
    let failed = |error: io::Error| of_io(path, error);
    let is_new = !path.try_exists().map_err(failed)?;
    let file = private_file(path).map_err(failed)?;
    if !is_new && file.metadata().map_err(failed)?.len() == 0 {
        // A first start that was cut short leaves this, and so does a file
        // system that has lost the file's content.
        tracing::warn!(
            file = %path.display(),
            "the data file was there and empty, so a new one begins; if there were accounts in \
             it, stop now and restore the newest backup"
        );
    }
    if is_new {
        sync_folder(path).map_err(failed)?;
    }
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    announce_repair(&mut builder);
    // Damage that redb does not expect may make it panic.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder
            .create_file(file)
            .map_err(|error| of_redb(path, error))?;
        let media = [medium(folder, 0)?, medium(folder, 1)?];
        Opened::of(database, media).map_err(|unfit| of_unfit(path, unfit))
    }));
    opened.unwrap_or_else(|_panic| {
        Err(corrupt(
            path,
            "reading it failed in a way no valid file does",
        ))
    })
}

/// A segment of the journal.
fn medium(folder: &Path, number: u8) -> Result<Medium, OpenError> {
    let path = &folder.join(format!("{JOURNAL_NAME}.{number}"));
    let failed = |error: io::Error| of_io(path, error);
    let is_new = !path.try_exists().map_err(failed)?;
    let file = private_file(path).map_err(failed)?;
    if is_new {
        sync_folder(path).map_err(failed)?;
    }
    let backend = FileBackend::new(file).map_err(|error| of_redb(path, error))?;
    Ok(Box::new(backend))
}

/// Opens or creates a file that only its owner may read: it holds verifiers,
/// tokens and messages.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Makes the file's name in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Not every system lets a folder be synced; those that need it do.
    match fs::File::open(folder)?.sync_all() {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

fn announce_repair(builder: &mut Builder) {
    builder.set_repair_callback(|repair| {
        let percent = repair.progress() * 100.0;
        tracing::info!(percent, "checking the data file after an unclean end");
    });
}

fn corrupt(path: &Path, reason: &str) -> OpenError {
    OpenError::Corrupt {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn of_io(path: &Path, error: io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        _ if is_full(&error) => OpenError::Full { path },
        // How redb says that a file is not what it expects.
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => OpenError::Corrupt {
            path,
            reason: error.to_string(),
        },
        ErrorKind::WouldBlock => OpenError::Locked { path },
        _ => OpenError::Io {
            path,
            source: error,
        },
    }
}

fn of_redb(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked {
            path: path.to_owned(),
        },
        DatabaseError::Storage(StorageError::Io(error)) => of_io(path, error),
        error => corrupt(path, &error.to_string()),
    }
}

fn of_unfit(path: &Path, unfit: Unfit) -> OpenError {
    match unfit {
        Unfit::Newer(found) => OpenError::Newer {
            path: path.to_owned(),
            found,
            known: schema::CURRENT,
        },
        Unfit::Foreign => corrupt(path, "another program wrote it"),
        Unfit::Journal(unfit) => {
            let path = path.with_file_name(JOURNAL_NAME);
            match unfit {
                recovery::Unfit::Io(error) => of_io(&path, error),
                recovery::Unfit::Foreign => OpenError::ForeignJournal { path },
                recovery::Unfit::Damaged => OpenError::DamagedJournal { path },
            }
        }
        Unfit::Fault(Fault::Malformed(malformed)) => corrupt(path, &malformed.to_string()),
        Unfit::Fault(Fault::Storage(error)) => match *error {
            redb::Error::Io(error) => of_io(path, error),
            error => corrupt(path, &error.to_string()),
        },
    }
}
