//! What can go wrong inside, and which of it stops the store for good.
//!
//! After a failed write or sync nobody knows what the disk holds: the kernel
//! may have dropped the pages and report success next time. So the first such
//! fault is the last: the store answers every later call with it, and the
//! process exits and starts again from what was synced.

use starling_store::Error;
use tokio::sync::watch;

use crate::codec::Malformed;

/// What to do about a store that has stopped.
const REMEDY_STOPPED: &str = "Nothing acknowledged is lost. Check the disk (dmesg, SMART, free \
                              space), then start the server again; if it stops again, restore the \
                              newest backup";

/// A fault before it is known whom it concerns.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file could not be read or written.
    Storage(Box<redb::Error>),
    /// One record is not what it should be.
    Malformed(Malformed),
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Fault::Malformed(malformed)
    }
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Fault::Storage(Box::new(error.into()))
            }
        })+
    };
}

from_redb!(
    CommitError,
    CursorError,
    DatabaseError,
    SetDurabilityError,
    StorageError,
    TableError,
    TransactionError
);

impl Fault {
    /// Whether only the record is bad, and not the store.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Fault::Malformed(_) => true,
            Fault::Storage(error) => {
                matches!(
                    **error,
                    redb::Error::Corrupted(_) | redb::Error::ValueTooLarge(_)
                )
            }
        }
    }

    /// As told to the caller, who knows what was asked for.
    pub(crate) fn at(self, place: String) -> Error {
        match self {
            Fault::Malformed(malformed) => Error::Corrupt {
                place,
                reason: malformed.to_string(),
            },
            Fault::Storage(error) => match *error {
                redb::Error::Corrupted(reason) => Error::Corrupt { place, reason },
                redb::Error::ValueTooLarge(bytes) => Error::Refused {
                    reason: format!("a value of {bytes} bytes for {place}"),
                },
                error => stopped(&error),
            },
        }
    }
}

fn stopped(error: &redb::Error) -> Error {
    let reason = match error {
        redb::Error::Io(io) if is_full(io) => {
            "the disk filled up during a write; nothing of that write was acknowledged".to_owned()
        }
        error => format!("the data file could not be read or written: {error}"),
    };
    Error::Failed {
        reason,
        remedy: REMEDY_STOPPED.to_owned(),
    }
}

/// Whether the cause is a lack of space.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Whether the store still works; shared by its writer and its readers.
#[derive(Debug)]
pub(crate) struct Health {
    failed: watch::Sender<Option<Error>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Health {
            failed: watch::Sender::new(None),
        }
    }

    /// The fault that stopped the store, if one has.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.failed.borrow().clone().map_or(Ok(()), Err)
    }

    /// Stops the store. The first fault is kept: the later ones follow from it.
    pub(crate) fn fail(&self, error: Error) -> Error {
        // Whatever it was about, nothing will succeed from here on.
        let error = match error {
            Error::Failed { .. } => error,
            error => Error::Failed {
                reason: error.to_string(),
                remedy: REMEDY_STOPPED.to_owned(),
            },
        };
        let mut first = error.clone();
        self.failed.send_if_modified(|failed| match failed {
            Some(earlier) => {
                first = earlier.clone();
                false
            }
            None => {
                tracing::error!(%error, "the store has stopped");
                *failed = Some(error);
                true
            }
        });
        first
    }

    /// Stops the store because code panicked that must not.
    pub(crate) fn fail_of_panic(&self, what: &str) -> Error {
        self.fail(Error::Failed {
            reason: format!("a fault in the program or damage in the data file, while {what}"),
            remedy: REMEDY_STOPPED.to_owned(),
        })
    }

    /// Waits until the store has stopped; never, as long as it works.
    pub(crate) async fn failed(&self) -> Error {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(error) => error.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| Error::Failed {
            reason: "it was closed".to_owned(),
            remedy: String::new(),
        })
    }
}
