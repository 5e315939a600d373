//! Opening the data file and its journal, and saying clearly why not.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};

use crate::error::OpenError;
use crate::fault::{Fault, is_full};
use crate::journal::record::Id;
use crate::journal::{Journal, Medium, recovery};
use crate::schema::{self, Unfit};
use crate::{FILE_NAME, JOURNAL_NAME};

/// What the name of a data file ends in until it is whole.
const DRAFT_EXTENSION: &str = "redb.new";

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
    let segments = [segment(folder, 0)?, segment(folder, 1)?];
    lock(&segments[0]).map_err(failed)?;
    begin(path, cache_bytes)?;
    let file = private_file(path).map_err(failed)?;
    // Always: an earlier start may have been cut short between making a file
    // and this.
    sync_folder(path).map_err(failed)?;
    refresh(&file, &segments).map_err(failed)?;
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    announce_repair(&mut builder);
    // Damage that redb does not expect may make it panic.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder
            .create_file(file)
            .map_err(|error| of_redb(path, error))?;
        let [one, other] = segments.map(|file| medium(path, file));
        Opened::of(database, [one?, other?]).map_err(|unfit| of_unfit(path, unfit))
    }));
    opened.unwrap_or_else(|_panic| {
        Err(corrupt(
            path,
            "reading it failed in a way no valid file does",
        ))
    })
}

/// Two that start at once would both begin a new file, and both read what the
/// other one writes. The lock ends with the journal.
fn lock(segment: &File) -> io::Result<()> {
    match segment.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        // Not every file system has locks; the data file is tried as well.
        Err(TryLockError::Error(_)) | Ok(()) => Ok(()),
    }
}

/// Makes a new data file if there is none. It gets its name when it is whole:
/// what a start that is cut short leaves would be taken for a damaged one.
fn begin(path: &Path, cache_bytes: usize) -> Result<(), OpenError> {
    let failed = |error: io::Error| of_io(path, error);
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        found => Some(found.map_err(failed)?),
    };
    match found {
        Some(found) if found.len() > 0 => return Ok(()),
        // A file system that has lost the file's content leaves this.
        Some(_) => tracing::warn!(
            file = %path.display(),
            "the data file was there and empty, so a new one begins; if there were accounts in \
             it, stop now and restore the newest backup"
        ),
        None => {}
    }
    let draft = path.with_extension(DRAFT_EXTENSION);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = private_file(&draft).map_err(failed)?;
    let mut builder = Database::builder();
    let database = builder.set_cache_size(cache_bytes).create_file(file);
    drop(database.map_err(|error| of_redb(path, error))?);
    let whole = File::open(&draft).and_then(|file| file.sync_all());
    whole.map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}

/// The path of a segment of the journal.
pub(crate) fn segment_path(folder: &Path, number: u8) -> PathBuf {
    folder.join(format!("{JOURNAL_NAME}.{number}"))
}

fn segment(folder: &Path, number: u8) -> Result<File, OpenError> {
    let path = segment_path(folder, number);
    private_file(&path).map_err(|error| of_io(&path, error))
}

fn medium(path: &Path, file: File) -> Result<Medium, OpenError> {
    let backend = FileBackend::new(file).map_err(|error| of_redb(path, error))?;
    Ok(Box::new(backend))
}

/// Has the system read the files from the disk again if the last end was
/// unclean. After a sync that failed it may still show what never reached the
/// disk, and say of it that it did: built upon, that would be lost with the
/// next power cut.
fn refresh(file: &File, segments: &[File; 2]) -> io::Result<()> {
    let mut was_clean = true;
    for segment in segments {
        let mut beginning = [0; recovery::BEGINNING_BYTES];
        match (&mut &*segment).read_exact(&mut beginning) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            result => {
                result?;
                was_clean &= !recovery::has_batches(&beginning);
            }
        }
    }
    if was_clean {
        return Ok(());
    }
    for file in [file, &segments[0], &segments[1]] {
        // What was written and not synced by then is not forgotten.
        file.sync_all()?;
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
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

/// The folder of a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the file's name in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // Not every system lets a folder be synced; those that need it do.
    match fs::File::open(folder_of(path))?.sync_all() {
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
                recovery::Unfit::Missing => OpenError::MissingJournal { path },
            }
        }
        Unfit::Fault(Fault::Malformed(malformed)) => corrupt(path, &malformed.to_string()),
        Unfit::Fault(Fault::Storage(error)) => match *error {
            redb::Error::Io(error) => of_io(path, error),
            error => corrupt(path, &error.to_string()),
        },
    }
}
