//! Sessions: listing and ending them.

use std::time::Duration;

use starling_link::{SessionInfo, SessionKey};
use starling_xmpp::{BareJid, Jid};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Administration, Error};

/// Most sessions one listing returns, whatever is asked for.
pub const LIST_SESSIONS_MAX: usize = 1_000_000;

/// How long a node may take to list its sessions.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

impl Administration {
    /// Sessions of an account, of a host, or of everybody; at most `limit`.
    pub async fn sessions(&self, of: &str, limit: usize) -> Result<Vec<SessionInfo>, Error> {
        let limit = limit.min(LIST_SESSIONS_MAX);
        if of.contains('@') {
            let account = self.address(of)?;
            let mut sessions = self.sessions_of(&account).await?;
            sessions.truncate(limit);
            return Ok(sessions);
        }
        let mut asked = JoinSet::new();
        for node in self.link.nodes() {
            asked.spawn(async move {
                let listed = timeout(LIST_TIMEOUT, node.all_sessions(LIST_SESSIONS_MAX)).await;
                // Whatever keeps it: without it the list is not whole.
                listed
                    .ok()
                    .and_then(Result::ok)
                    .ok_or_else(|| node.name().to_owned())
            });
        }
        let (mut sessions, mut silent) = (Vec::new(), Vec::new());
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok(Ok(listed)) => sessions.extend(listed),
                Ok(Err(node)) => silent.push(node),
                Err(_) => {}
            }
        }
        if !silent.is_empty() {
            silent.sort();
            return Err(Error::Silent { nodes: silent });
        }
        sessions.retain(|session| of.is_empty() || session.jid.domain() == of);
        sessions.truncate(limit);
        Ok(sessions)
    }

    /// Ends one session (a full JID) or all of an account (a bare JID); tells
    /// how many.
    pub async fn kick(&self, given: &str) -> Result<usize, Error> {
        let wrong = |reason: String| Error::Address {
            given: given.into(),
            reason,
        };
        let jid = Jid::parse(given).map_err(|error| wrong(error.to_string()))?;
        if jid.local().is_none() {
            return Err(wrong(
                "write it as \"name@host\" or \"name@host/resource\"".into(),
            ));
        }
        let account = jid.to_bare();
        let ended = if jid.resource().is_some() {
            self.end(&account, |session| session.jid == jid).await?
        } else {
            self.kick_all(&account).await?
        };
        if ended == 0 {
            return Err(Error::NoSession(given.into()));
        }
        Ok(ended)
    }

    /// Ends every session of an account.
    pub(crate) async fn kick_all(&self, account: &BareJid) -> Result<usize, Error> {
        self.end(account, |_| true).await
    }

    async fn end(
        &self,
        account: &BareJid,
        is_meant: impl Fn(&SessionInfo) -> bool,
    ) -> Result<usize, Error> {
        let owner = self.link.owner(account)?;
        let sessions = self.sessions_of(account).await?;
        let mut ended = 0;
        for session in sessions.iter().filter(|session| is_meant(session)) {
            let key = SessionKey {
                account: account.clone(),
                id: session.session,
            };
            ended += usize::from(self.in_time(owner.kick(&key)).await??);
        }
        Ok(ended)
    }
}
