//! Why something was not done: one variant per thing an operator does next.

use starling_xmpp::BareJid;

/// An error of this crate. Each reads as a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(BareJid),
    /// There is no such session.
    #[error("there is no session {0}")]
    NoSession(String),
    /// The address is taken.
    #[error("the account {0} exists already")]
    Exists(BareJid),
    /// What was given is not the address of an account.
    #[error("\"{given}\" is not the address of an account: {reason}")]
    Address {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host of the address is none of this node's.
    #[error("this node does not serve \"{host}\": it serves {served}")]
    NotServed {
        /// The host of the address.
        host: String,
        /// What is served.
        served: String,
    },
    /// Some nodes did not answer, so that the answer would not be whole.
    #[error("{} did not answer: \"starling cluster status\" tells why", nodes.join(", "))]
    Silent {
        /// Their names.
        nodes: Vec<String>,
    },
    /// The request makes no sense as it is.
    #[error("{0}")]
    Refused(String),
    /// The change was not stored in time. It was accepted, so it still waits.
    #[error(
        "not stored within {}: {cause}. It waits and takes effect once the store goes on, unless \
         the node stops before that",
        crate::accounts::shown(crate::accounts::CHANGE_TIMEOUT)
    )]
    Late {
        /// What keeps it from being stored.
        cause: String,
    },
    /// The port for monitoring cannot be opened.
    #[error(
        "cannot listen on {address}, as api.http.listen says: {why}. Stop what uses the port, or \
         choose another"
    )]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        why: String,
    },
    /// The owner of the account could not be asked.
    #[error(transparent)]
    Link(#[from] starling_link::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] starling_store::Error),
}
