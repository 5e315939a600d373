//! Why the store could not be opened, each with what to do about it.

use std::io;
use std::path::PathBuf;

/// A store that did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file.
    #[error(
        "{} is in use by another process. Stop the other server, or give this one its own data \
         folder", path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what this program wrote.
    #[error(
        "{} is damaged or is not a Starling data file: {reason}. Move it and \
         starling.journal.* aside, copy the newest backup to its place, and start again; keep the \
         damaged files until that works",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal belongs to another data file.
    #[error(
        "{}.* holds what was stored last in another data file than the one beside it. Put that \
         data file back; or, to go on with this one and without that, as after restoring a \
         backup, move {}.* away", path.display(), path.display()
    )]
    ForeignJournal {
        /// The journal.
        path: PathBuf,
    },
    /// Something acknowledged cannot be read from the journal.
    #[error(
        "{}.* is damaged: something between what was stored last cannot be read. Move it and the \
         data file aside, copy the newest backup to its place, and start again; keep the damaged \
         files until that works", path.display()
    )]
    DamagedJournal {
        /// The journal.
        path: PathBuf,
    },
    /// The journal is not there, though the last end was unclean.
    #[error(
        "{}.0 and {}.1 are not both there as they were, and only they hold what was stored last. \
         Put them back beside the data file; if they are gone for good, copy the newest backup \
         to its place, and start again",
        path.display(), path.display()
    )]
    MissingJournal {
        /// The journal.
        path: PathBuf,
    },
    /// A newer program wrote the file.
    #[error(
        "{} was written by a newer version of Starling (schema {found}, this program knows up to \
         {known}). Start the newer version, or restore a backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema this program knows.
        known: u32,
    },
    /// There is no room to open it.
    #[error(
        "the disk of {} is full. Make room there and start again; nothing is lost",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be used.
    #[error(
        "{} cannot be opened. The folder must exist on a working disk and be writable \
         for the user the server runs as", path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
