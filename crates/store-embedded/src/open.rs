//! Opening the data file, and saying clearly why not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, DatabaseError, StorageError};

use crate::error::OpenError;
use crate::fault::{Fault, is_full};
use crate::schema::{self, Unfit};

/// Opens or creates the file and brings it to the current schema.
pub(crate) fn database(path: &Path, cache_bytes: usize) -> Result<Database, OpenError> {
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
        schema::prepare(&database).map_err(|unfit| of_unfit(path, unfit))?;
        Ok(database)
    }));
    opened.unwrap_or_else(|_panic| {
        Err(corrupt(
            path,
            "reading it failed in a way no valid file does",
        ))
    })
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
        Unfit::Fault(Fault::Malformed(malformed)) => corrupt(path, &malformed.to_string()),
        Unfit::Fault(Fault::Storage(error)) => match *error {
            redb::Error::Io(error) => of_io(path, error),
            error => corrupt(path, &error.to_string()),
        },
    }
}
