//! What can go wrong between two nodes, one variant per thing a caller does
//! differently. Stanza and stream errors are made from these at the borders.

/// A request to a session node failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The shard is between two owners, or its owner cannot be reached: try
    /// again in a moment.
    #[error("no node serves this account at the moment")]
    Unavailable,
    /// The owner could not read or write what was asked; the text is for a log.
    #[error("the store failed: {0}")]
    Store(String),
    /// The account's credentials are no longer those the request was based on.
    #[error("the account's credentials have changed in the meantime")]
    Stale,
    /// There is no such account any more.
    #[error("the account does not exist")]
    NoAccount,
    /// The node is draining and takes no new work.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// Why a stream was not given a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// RFC 6120 §7.7.2.1: the resource is not a valid one.
    #[error("the requested resource is not a valid resourcepart")]
    BadResource,
    /// RFC 6120 §7.7.2.2, under [`crate::ConflictPolicy::Refuse`].
    #[error("the requested resource is in use")]
    Conflict,
    /// RFC 6120 §7.6.2.1: the account has as many sessions as it may.
    #[error("the account has too many sessions")]
    TooManySessions,
    /// The account is gone or disabled.
    #[error("the account does not exist or is disabled")]
    NoAccount,
    /// The password was changed after the stream had authenticated.
    #[error("the account's credentials have changed in the meantime")]
    Stale,
    /// The node could not answer.
    #[error(transparent)]
    Link(#[from] Error),
}

/// Why a stream was not given a session that it wanted back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// XEP-0198 §5: there is no such session of this account, or no more.
    #[error("there is no session to resume")]
    Unknown {
        /// How many stanzas of the client were dealt with, where that is still
        /// known, counted as the client counts them.
        h: Option<u32>,
    },
    /// XEP-0198 §6: the client says that it has what it was never sent.
    #[error("the client acknowledged {h} stanzas of {sent}")]
    TooHigh {
        /// What it says.
        h: u32,
        /// What it was sent, counted the same way.
        sent: u32,
    },
    /// The password was changed after the stream had authenticated.
    #[error("the account's credentials have changed in the meantime")]
    Stale,
    /// The node could not answer.
    #[error(transparent)]
    Link(#[from] Error),
}

/// Why a session could not be brought to the new owner of its account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReattachError {
    /// The new owner waited for its sessions, and went on without this one.
    #[error("the account is served again without this session")]
    Late,
    /// The summary of the session says nothing to the new owner: another
    /// version of the program wrote it.
    #[error("the session's summary cannot be read: {0}")]
    Unreadable(String),
    /// The account is gone or disabled.
    #[error("the account does not exist or is disabled")]
    NoAccount,
    /// The node could not answer.
    #[error(transparent)]
    Link(#[from] Error),
}

/// A frame that was not taken, handed back so that nothing is lost.
#[derive(Debug)]
pub enum Refused<T> {
    /// The receiver has as much as it can hold: wait for [`crate::Mailbox::room`].
    Full(T),
    /// Nobody serves the shard at the moment.
    Unavailable(T),
}

impl<T> Refused<T> {
    /// The frame that was refused.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(frame) | Self::Unavailable(frame) => frame,
        }
    }
}
