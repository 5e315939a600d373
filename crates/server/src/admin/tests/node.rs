//! A session node without sessions: accounts of a store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use starling_link::{
    Bind, BindError, Bound, CredentialChange, Error, Frame, Refused, Registration, Resume,
    ResumeError, Resumed, SessionInfo, SessionKey, SessionNode,
};
use starling_store::account::{Change, Read as _};
use starling_store::{Account, Creation, Memory, Stamp, Store as _, Write};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};
use starling_xmpp::time::UnixMillis;

pub(super) struct Node {
    store: Arc<Memory>,
}

impl Node {
    pub(super) fn new(store: Arc<Memory>) -> Self {
        Self { store }
    }

    async fn write(&self, account: &BareJid, changes: Vec<Change>) -> Result<(), Error> {
        let writes = changes
            .into_iter()
            .map(|change| Write::new(account.clone(), Stamp::default(), change));
        let committed = self.store.commit(writes.collect()).await;
        committed.map_err(|error| Error::Store(error.to_string()))
    }
}

#[async_trait]
impl SessionNode for Node {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        Err(Refused::Unavailable(frame))
    }

    async fn room(&self, _: &BareJid) {}

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, Error> {
        let found = self.store.credentials(account).await;
        found.map_err(|error| Error::Store(error.to_string()))
    }

    async fn change_credentials(
        &self,
        account: &BareJid,
        _basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        for change in changes {
            let changes = match change {
                CredentialChange::Password(verifiers) => {
                    vec![Change::SetVerifiers(verifiers), Change::ClearTokens]
                }
                CredentialChange::Disabled(is_disabled) => vec![Change::SetDisabled(is_disabled)],
                CredentialChange::Attribute { name, value } => {
                    vec![Change::SetAttribute { name, value }]
                }
                _ => Vec::new(),
            };
            self.write(account, changes).await?;
        }
        let credentials = self.credentials(account).await?;
        Ok(credentials.ok_or(Error::NoAccount)?.fingerprint())
    }

    async fn register(&self, registration: Registration) -> Result<bool, Error> {
        let credentials = Credentials {
            verifiers: registration.verifiers,
            ..Credentials::default()
        };
        let account = Account::new(registration.account, credentials, UnixMillis(1));
        match self.store.create_account(account).await {
            Ok(creation) => Ok(creation == Creation::Created),
            Err(error) => Err(Error::Store(error.to_string())),
        }
    }

    async fn remove(&self, account: &BareJid) -> Result<bool, Error> {
        let was_there = self.credentials(account).await?.is_some();
        self.write(account, vec![Change::Remove]).await?;
        Ok(was_there)
    }

    async fn bind(&self, _: Bind) -> Result<Bound, BindError> {
        Err(BindError::NoAccount)
    }

    async fn resume(&self, _: Resume) -> Result<Resumed, ResumeError> {
        Err(ResumeError::Unknown { h: None })
    }

    async fn sessions(&self, _: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        Ok(Vec::new())
    }

    async fn all_sessions(&self, _: usize) -> Result<Vec<SessionInfo>, Error> {
        Ok(Vec::new())
    }

    async fn kick(&self, _: &SessionKey) -> Result<bool, Error> {
        Ok(false)
    }
}
