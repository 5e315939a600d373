//! Accounts: what proves them, whether they may log in, when they were last
//! here. Deriving and checking credentials is `auth`'s work.

use std::collections::BTreeMap;

use async_trait::async_trait;
use smol_str::SmolStr;
use starling_xmpp::credentials::{Credentials, FastSlot, FastToken, ScramVerifier};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use crate::Error;

/// Most accounts one page of a listing may hold, whatever is asked for.
pub const LIST_ACCOUNTS_MAX: usize = 1_000;

/// One account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its address.
    pub jid: BareJid,
    /// What proves it: verifiers, tokens by device and slot, and whether it is
    /// disabled.
    pub credentials: Credentials,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When its last resource left, once one has.
    pub last_activity: Option<LastActivity>,
    /// Settings of features and operators, by name.
    pub attributes: BTreeMap<SmolStr, String>,
}

/// Attribute: days for which an operator has the account's archive kept, as a
/// number; 0 for ever. Without it, what the host says holds.
pub const ARCHIVE_KEEP_DAYS: &str = "archive.keep_days";

/// Attribute: the last position of the archive that an operator has erased.
/// Anything else that an operator writes here stands for the end of the log.
pub const ARCHIVE_ERASED: &str = "archive.erased";

impl Account {
    /// A fresh account.
    #[must_use]
    pub fn new(jid: BareJid, credentials: Credentials, created_at: UnixMillis) -> Self {
        Account {
            jid,
            credentials,
            created_at,
            last_activity: None,
            attributes: BTreeMap::new(),
        }
    }

    /// The version of this account's roster before anything happens to it: see
    /// [`Roster::empty`](crate::roster::Roster::empty).
    #[must_use]
    pub fn roster_version_first(&self) -> u64 {
        u64::try_from(self.created_at.0).unwrap_or(0)
    }

    /// Does to this value what the store does to its rows. [`Change::Remove`]
    /// leaves the value as it is: the caller drops it.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::SetVerifiers(verifiers) => self.credentials.verifiers.clone_from(verifiers),
            Change::PutToken(token) => {
                let tokens = &mut self.credentials.tokens;
                tokens.retain(|old| (&old.device, old.slot) != (&token.device, token.slot));
                tokens.push(token.clone());
                tokens.sort_by(|a, b| (&a.device, a.slot).cmp(&(&b.device, b.slot)));
            }
            Change::RemoveToken { device, slot } => {
                self.credentials
                    .tokens
                    .retain(|old| (&old.device, old.slot) != (device, *slot));
            }
            Change::ClearTokens => self.credentials.tokens.clear(),
            Change::SetDisabled(is_disabled) => self.credentials.is_disabled = *is_disabled,
            Change::SetLastActivity(last) => self.last_activity = Some(last.clone()),
            Change::SetAttribute {
                name,
                value: Some(value),
            } => {
                self.attributes.insert(name.clone(), value.clone());
            }
            Change::SetAttribute { name, value: None } => {
                self.attributes.remove(name);
            }
            Change::Remove => {}
        }
    }
}

/// When and with which words the last resource left (XEP-0012, RFC 6121
/// §4.3.2: the stamp of the unavailable presence a probe is answered with).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastActivity {
    /// When.
    pub at: UnixMillis,
    /// The `<status/>` of its unavailable presence.
    pub status: Option<String>,
}

/// What happens to an account. Changes of an account that does not exist are
/// lost without an error, except [`Change::Remove`], which erases regardless.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Replaces all verifiers: a new password.
    SetVerifiers(Vec<ScramVerifier>),
    /// Stores a FAST token (XEP-0484) under its device and slot.
    PutToken(FastToken),
    /// Removes the token of one device and slot.
    RemoveToken {
        /// Whose token.
        device: SmolStr,
        /// Which of its tokens.
        slot: FastSlot,
    },
    /// Removes all tokens, as a new password should.
    ClearTokens,
    /// Forbids or allows logging in.
    SetDisabled(bool),
    /// Notes the departure of the last resource.
    SetLastActivity(LastActivity),
    /// Sets, or with `None` removes, one attribute.
    SetAttribute {
        /// Its name.
        name: SmolStr,
        /// Its new value.
        value: Option<String>,
    },
    /// Erases the account and everything of every domain that it owns.
    Remove,
}

/// Reads of accounts.
#[async_trait]
pub trait Read: Send + Sync {
    /// The account, if it exists.
    async fn account(&self, jid: &BareJid) -> Result<Option<Account>, Error>;

    /// Only what is needed to authenticate it.
    async fn credentials(&self, jid: &BareJid) -> Result<Option<Credentials>, Error> {
        Ok(self.account(jid).await?.map(|account| account.credentials))
    }

    /// The accounts of a host behind `after`, in the order of the bytes of
    /// their local parts; at most `limit`, capped at [`LIST_ACCOUNTS_MAX`].
    async fn accounts(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Error>;

    /// How many accounts a host has.
    async fn account_count(&self, host: &str) -> Result<u64, Error>;
}
