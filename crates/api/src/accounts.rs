//! Accounts: making, changing, listing and removing them.

use std::time::Duration;

use starling_link::{CredentialChange, Registration, SessionInfo};
use starling_store::Account;
use starling_store::account::{ARCHIVE_ERASED, ARCHIVE_KEEP_DAYS};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::{BareJid, Jid};

use crate::{Administration, Error};

/// How long a change may take to be stored before the operator is told why it
/// is not: longer than a busy disk takes, shorter than people wait.
pub(crate) const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// "10 s".
pub(crate) fn shown(limit: Duration) -> String {
    format!("{} s", limit.as_secs())
}

fn attribute(name: &str, value: Option<String>) -> CredentialChange {
    CredentialChange::Attribute {
        name: name.into(),
        value,
    }
}

/// One account in detail.
#[derive(Debug, Clone)]
pub struct Detail {
    /// The account.
    pub account: Account,
    /// Its sessions.
    pub sessions: Vec<SessionInfo>,
    /// Contacts in its roster.
    pub roster_items: usize,
    /// Messages that wait for it.
    pub offline_messages: u64,
}

impl Administration {
    /// The account with this address, which may not exist; its host is served.
    pub fn address(&self, given: &str) -> Result<BareJid, Error> {
        let wrong = |reason: String| Error::Address {
            given: given.into(),
            reason,
        };
        let jid = Jid::parse(given).map_err(|error| wrong(error.to_string()))?;
        if jid.local().is_none() {
            return Err(wrong("write it as \"name@host\"".into()));
        }
        if jid.resource().is_some() {
            return Err(wrong("leave out the resource, from the / on".into()));
        }
        self.served(jid.domain())?;
        Ok(jid.to_bare())
    }

    /// Makes an account.
    pub async fn add(&self, account: BareJid, verifiers: Vec<ScramVerifier>) -> Result<(), Error> {
        let registration = Registration {
            account: account.clone(),
            verifiers,
        };
        let owner = self.link.owner(&account)?;
        if self.in_time(owner.register(registration)).await?? {
            Ok(())
        } else {
            Err(Error::Exists(account))
        }
    }

    /// Gives an account a new password. A store that cannot take it is told
    /// before: a password that changes by itself, hours later, would surprise.
    pub async fn set_verifiers(
        &self,
        account: &BareJid,
        verifiers: Vec<ScramVerifier>,
    ) -> Result<(), Error> {
        self.store_health().await?;
        self.change(account, CredentialChange::Password(verifiers))
            .await
    }

    /// Allows or forbids an account to log in. Forbidding ends its sessions;
    /// tells how many there were.
    pub async fn set_enabled(&self, account: &BareJid, is_enabled: bool) -> Result<usize, Error> {
        let sessions = self.sessions_of(account).await?.len();
        self.change(account, CredentialChange::Disabled(!is_enabled))
            .await?;
        Ok(if is_enabled { 0 } else { sessions })
    }

    /// Has the archive of an account kept for so many days, 0 for ever, or as
    /// its host's are.
    pub async fn keep_archive(&self, account: &BareJid, days: Option<u32>) -> Result<(), Error> {
        let days = days.map(|days| days.to_string());
        self.change(account, attribute(ARCHIVE_KEEP_DAYS, days))
            .await
    }

    /// The days that were set for an account's archive.
    pub async fn archive_days(&self, account: &BareJid) -> Result<Option<u32>, Error> {
        let Some(found) = self.store()?.account(account).await? else {
            return Err(Error::NoAccount(account.clone()));
        };
        let days = found.attributes.get(ARCHIVE_KEEP_DAYS);
        Ok(days.and_then(|days| days.parse().ok()))
    }

    /// Erases what is in an account's archive now and has arrived. Nobody sees
    /// it any more when this returns; it leaves the store soon after.
    pub async fn erase_archive(&self, account: &BareJid) -> Result<(), Error> {
        let now = Some("now".to_owned());
        self.change(account, attribute(ARCHIVE_ERASED, now)).await
    }

    /// Removes an account with everything stored for it; tells how many
    /// sessions ended.
    pub async fn remove(&self, account: &BareJid) -> Result<usize, Error> {
        let owner = self.link.owner(account)?;
        let sessions = self.sessions_of(account).await?.len();
        if self.in_time(owner.remove(account)).await?? {
            Ok(sessions)
        } else {
            Err(Error::NoAccount(account.clone()))
        }
    }

    /// Accounts of a host behind `after`, at most `limit` and at most what the
    /// store gives at once. An empty page is the end.
    pub async fn page(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Error> {
        self.served(host)?;
        Ok(self.store()?.accounts(host, after, limit).await?)
    }

    /// What is known of an account.
    pub async fn show(&self, account: &BareJid) -> Result<Detail, Error> {
        let Some(bundle) = self.store()?.login(account).await? else {
            return Err(Error::NoAccount(account.clone()));
        };
        Ok(Detail {
            account: bundle.account,
            sessions: self.sessions_of(account).await?,
            roster_items: bundle.roster.items.len(),
            offline_messages: bundle.offline.entries,
        })
    }

    async fn change(&self, account: &BareJid, change: CredentialChange) -> Result<(), Error> {
        let owner = self.link.owner(account)?;
        let change = owner.change_credentials(account, None, vec![change]);
        match self.in_time(change).await? {
            Ok(_) => Ok(()),
            Err(starling_link::Error::NoAccount) => Err(Error::NoAccount(account.clone())),
            Err(error) => Err(error.into()),
        }
    }

    /// The sessions of an account.
    pub(crate) async fn sessions_of(&self, account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        let owner = self.link.owner(account)?;
        Ok(self.in_time(owner.sessions(account)).await??)
    }

    /// Waits for a change to be stored, and tells what keeps it if it is not.
    pub(crate) async fn in_time<T>(&self, change: impl Future<Output = T>) -> Result<T, Error> {
        if let Ok(done) = tokio::time::timeout(CHANGE_TIMEOUT, change).await {
            return Ok(done);
        }
        let cause = match self.store_health().await {
            Err(error) => error.to_string(),
            Ok(_) => "the owner of the account does not answer".into(),
        };
        Err(Error::Late { cause })
    }

    fn served(&self, host: &str) -> Result<(), Error> {
        let hosts = self.hosts();
        if hosts.iter().any(|served| served == host) {
            return Ok(());
        }
        Err(Error::NotServed {
            host: host.into(),
            served: hosts.join(", "),
        })
    }
}
