//! The administration of a node: accounts, sessions, backup, and how it is.
//!
//! - [`Administration`]: what an operator may do, over the link and the store.
//! - [`accounts`], [`sessions`]: its two larger subjects.
//! - [`nodes`]: which session nodes answer.
//! - [`check`]: whether each part of the node can do its work.
//! - [`http`]: metrics and health, for monitoring.
//! - [`error`]: why something was not done.
//!
//! Changes to an account go through the link to the node that owns it, so that
//! its sessions learn of them; lists are read from the store. How the calls
//! arrive (gRPC) is `wire`'s and `server`'s work, and so is making
//! verifiers of passwords: a password never gets here.

pub mod accounts;
pub mod check;
pub mod error;
pub mod http;
pub mod nodes;
pub mod sessions;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starling_link::Link;
use starling_store::{Health, Store};
use tokio::time::{Instant, timeout, timeout_at};

pub use accounts::Detail;
pub use check::{Check, Checks, Finding, Readiness};
pub use error::Error;
pub use nodes::Answer;

/// How long the store may take to tell how it is. Longer than the two seconds
/// that one of its statements may take would hide why.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// What an operator may do to a node. Cheap to clone.
#[derive(Clone)]
pub struct Administration {
    link: Arc<dyn Link>,
    /// None at a node that keeps nothing.
    store: Option<Arc<dyn Store>>,
    hosts: Arc<Mutex<Vec<String>>>,
}

/// How many accounts a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCount {
    /// The host.
    pub host: String,
    /// Its accounts; none if the store did not tell in time.
    pub accounts: Option<u64>,
}

impl Administration {
    /// Administers the accounts of `hosts`.
    pub fn new(link: Arc<dyn Link>, store: Arc<dyn Store>, hosts: Vec<String>) -> Self {
        let administration = Self {
            link,
            store: Some(store),
            hosts: Arc::default(),
        };
        administration.set_hosts(hosts);
        administration
    }

    /// The same at a node without a store: what only a store knows is refused.
    pub fn without_store(link: Arc<dyn Link>, hosts: Vec<String>) -> Self {
        let administration = Self {
            link,
            store: None,
            hosts: Arc::default(),
        };
        administration.set_hosts(hosts);
        administration
    }

    pub(crate) fn store(&self) -> Result<&Arc<dyn Store>, Error> {
        self.store.as_ref().ok_or_else(|| {
            Error::Refused("this node keeps no accounts: ask one with the role \"session\"".into())
        })
    }

    /// Administers the accounts of these hosts from now on.
    pub fn set_hosts(&self, mut hosts: Vec<String>) {
        hosts.sort();
        *self.hosts.lock().unwrap_or_else(PoisonError::into_inner) = hosts;
    }

    /// The hosts that are served, in the order of their names.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.clone()
    }

    /// How the store is.
    ///
    /// # Errors
    /// What a write would be told.
    pub async fn store_health(&self) -> Result<Health, Error> {
        match &self.store {
            Some(store) => match timeout(STORE_TIMEOUT, store.check()).await {
                Ok(health) => Ok(health?),
                Err(_) => Err(starling_store::Error::Unavailable {
                    reason: format!("no answer within {STORE_TIMEOUT:?}"),
                }
                .into()),
            },
            // What is not there is not ill.
            None => Ok(Health::default()),
        }
    }

    /// How many accounts each host has; nothing at a node without a store. What
    /// a store that is away does not tell is left open.
    pub async fn counts(&self) -> Vec<HostCount> {
        let mut counts = Vec::new();
        let Some(store) = &self.store else {
            return counts;
        };
        let deadline = Instant::now() + STORE_TIMEOUT;
        for host in self.hosts() {
            let counted = timeout_at(deadline, store.account_count(&host)).await;
            let accounts = counted.ok().and_then(Result::ok);
            counts.push(HostCount { host, accounts });
        }
        counts
    }

    /// Writes a consistent copy of the store to `to`, which must not exist, and
    /// tells its size in bytes. The node goes on serving.
    pub async fn backup(&self, to: &Path) -> Result<u64, Error> {
        if !to.is_absolute() {
            return Err(Error::Refused(format!(
                "{} is not an absolute path: the node and you may be in different folders",
                to.display()
            )));
        }
        if to.exists() {
            return Err(Error::Refused(format!(
                "{} exists already: a backup never overwrites a file",
                to.display()
            )));
        }
        Ok(self.store()?.backup(to).await?.bytes)
    }
}
