//! Why the store could not do it, told apart by what the caller does next.
//! Errors of opening a backend belong to that backend.

/// A failed read or write.
///
/// `Clone`, because one failed sync is told to every commit that waited for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Try the same write again; the peer gets `wait` meanwhile.
    #[error("the store did not answer: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// Nothing was written and nothing can be until there is room again.
    #[error("the store is full: {reason}. {remedy}")]
    Full {
        /// What ran out.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// The store has stopped for good: the process must exit with this message.
    #[error("the store has stopped: {reason}. {remedy}")]
    Failed {
        /// What happened.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// One record cannot be read. The rest of the store is fine.
    #[error("a stored record cannot be read ({place}): {reason}")]
    Corrupt {
        /// Table and owner.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The backend does not do this, or not with such a value.
    #[error("the store refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Whether the process has to exit: no later call will succeed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Failed { .. })
    }
}
