//! What the driver's errors mean: for who starts the server, and for who uses
//! the store.

use std::path::{Path, PathBuf};

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use starling_store::Error;

/// A store that could not be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The settings cannot be right.
    #[error("the settings of the CQL store are wrong: {}", .problems.join("; "))]
    Config {
        /// What is wrong, one sentence each.
        problems: Vec<String>,
    },
    /// A file that the settings name cannot be used.
    #[error("{} (store.cql.{setting}) cannot be used: {reason}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No node of the database could be talked to.
    #[error(
        "no node of the database answers at {contact_points}: {reason}. Check \
         store.cql.contact_points, and that the database runs and speaks CQL there"
    )]
    Unreachable {
        /// Where it was looked for.
        contact_points: String,
        /// What the driver says.
        reason: String,
    },
    /// No connection that both sides take to be safe came about.
    #[error("no connection to the database at {contact_points}: {reason}. {remedy}")]
    Tls {
        /// Where it was looked for.
        contact_points: String,
        /// What one side does not like of the other.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The user or the password is wrong, or missing.
    #[error("the database at {contact_points} does not let this node in: {reason}. {remedy}")]
    Credentials {
        /// Where it was looked for.
        contact_points: String,
        /// What the database says.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The user is known, and may not do what this server has to do.
    #[error("user \"{username}\" may not use keyspace {keyspace}: {reason}. {remedy}")]
    Forbidden {
        /// The keyspace.
        keyspace: String,
        /// The user.
        username: String,
        /// What the database says.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The keyspace is not there.
    #[error(
        "the keyspace {keyspace} does not exist. Create it with CREATE KEYSPACE {keyspace} WITH \
         replication = {{'class': 'NetworkTopologyStrategy', '<datacenter>': 3}}, or set \
         replication and let this server do it"
    )]
    NoKeyspace {
        /// Its name.
        keyspace: String,
    },
    /// Tables could not be created or changed.
    #[error(
        "the schema of keyspace {keyspace} could not be brought up to date: {reason}. ScyllaDB \
         before 2025.4 has no lightweight transactions with tablets: create the keyspace there \
         with tablets = {{'enabled': false}}"
    )]
    Schema {
        /// Its name.
        keyspace: String,
        /// What the database says.
        reason: String,
    },
    /// The database answers, but too few of its nodes are alive.
    #[error(
        "too few replicas of keyspace {keyspace} are alive: {reason}. Start the nodes of the \
         database that are down, or look there for why they do not see each other"
    )]
    NoMajority {
        /// The keyspace.
        keyspace: String,
        /// What the database says.
        reason: String,
    },
    /// A newer program has changed the schema beyond what this one knows.
    #[error(
        "keyspace {keyspace} has schema {found}, and this version of Starling cannot work with \
         what is newer than {known}. Start the newer version"
    )]
    Newer {
        /// The keyspace.
        keyspace: String,
        /// Its schema.
        found: i32,
        /// The newest schema this program knows.
        known: i32,
    },
}

/// A file that a setting of `[store.cql]` names, and what is wrong with it.
pub(crate) fn file(
    setting: &'static str,
    path: &Path,
    reason: impl std::fmt::Display,
) -> ConnectError {
    ConnectError::File {
        setting,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// What a failed statement means for who asked for it.
pub(crate) fn of_execution(error: &ExecutionError) -> Error {
    match error {
        ExecutionError::LastAttemptError(attempt) => of_attempt(attempt),
        ExecutionError::BadQuery(_) => refused(error),
        _ => unavailable(error),
    }
}

fn of_attempt(error: &RequestAttemptError) -> Error {
    match error {
        RequestAttemptError::DbError(db, text) => of_database(db, text),
        RequestAttemptError::SerializationError(_)
        | RequestAttemptError::CqlRequestSerialization(_) => refused(error),
        _ => unavailable(error),
    }
}

/// How both databases say that their disks are full.
const FULL: [&str; 2] = ["disk usage exceeds", "critical disk utilization"];

fn of_database(error: &DbError, text: &str) -> Error {
    if FULL.iter().any(|full| text.contains(full)) {
        return Error::Full {
            reason: text.to_owned(),
            remedy: "Add nodes or disks to the database".to_owned(),
        };
    }
    let reason = format!("{error}: {text}");
    match error {
        DbError::Unauthorized | DbError::AuthenticationError => Error::Failed {
            reason,
            remedy: "Give the database's user its rights back".to_owned(),
        },
        DbError::SyntaxError | DbError::Invalid | DbError::ConfigError => Error::Refused { reason },
        _ => Error::Unavailable { reason },
    }
}

fn unavailable(error: &dyn std::error::Error) -> Error {
    Error::Unavailable {
        reason: error.to_string(),
    }
}

fn refused(error: &dyn std::error::Error) -> Error {
    Error::Refused {
        reason: error.to_string(),
    }
}

/// A row that does not have the columns or the content it should have.
pub(crate) fn corrupt(place: impl std::fmt::Display, error: impl std::fmt::Display) -> Error {
    Error::Corrupt {
        place: place.to_string(),
        reason: error.to_string(),
    }
}
