//! The session node of this process, as an edge of the same process sees it: the
//! link knows the clients that it has there, as it knows those behind a lane, so
//! that they are told when their shard goes to another node, and that one waits
//! for them.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use starling_cluster::{Epoch, NodeId, Shard};
use starling_link::{
    Attach, Bind, BindError, Bound, Close, CredentialChange, Error, Frame, Full, Management, Note,
    Outlet, Reattach, ReattachError, Reattached, Refused, Registration, Resume, ResumeError,
    Resumed, SessionId, SessionInfo, SessionKey, SessionNode, Tally,
};
use starling_xmpp::credentials::{Credentials, Fingerprint};
use starling_xmpp::{BareJid, Stanza};

use super::keeper::Core;

/// The node.
pub(super) struct OwnNode {
    pub(super) core: Arc<Core>,
    pub(super) node: Arc<dyn SessionNode>,
}

/// The way to a client of this process, as long as its session is here. What is
/// said afterwards is dropped, as it is behind a lane: what the old owner still
/// deals with the new one has not, and the client's edge would not bring it there.
struct OwnOutlet {
    core: Weak<Core>,
    number: u64,
}

/// A stream that asks for a session. Only a session keeps its outlet.
struct Attaching {
    core: Arc<Core>,
    number: u64,
}

impl OwnNode {
    fn attaching(
        &self,
        account: &BareJid,
        outlet: &mut Arc<dyn Outlet>,
    ) -> Result<Attaching, Error> {
        let core = &self.core;
        let shard = core.placement.shard_of(account);
        let owner = core.touch(shard).ok_or(Error::Unavailable)?;
        if !core.is_local(&owner.node) {
            return Err(Error::Unavailable);
        }
        let number = core.own.add(shard, Arc::clone(outlet));
        *outlet = Arc::new(OwnOutlet {
            core: Arc::downgrade(core),
            number,
        });
        Ok(Attaching {
            core: Arc::clone(core),
            number,
        })
    }
}

impl Attaching {
    fn attached(&self, session: SessionId, attach: Attach) {
        // If the shard went to another node meanwhile, the outlet was told.
        self.core.own.attach(self.number, session, attach);
    }
}

impl Drop for Attaching {
    fn drop(&mut self) {
        self.core.own.remove_unattached(self.number);
    }
}

impl OwnOutlet {
    fn client(&self) -> Option<Arc<dyn Outlet>> {
        self.core.upgrade()?.own.get(self.number)
    }
}

impl Outlet for OwnOutlet {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.client()
            .map_or(Ok(()), |client| client.deliver(stanza))
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        self.client()
            .map_or(Ok(()), |client| client.deliver_noted(stanza, note))
    }

    fn remember(&self, summary: Bytes) {
        if let Some(client) = self.client() {
            client.remember(summary);
        }
    }

    fn committed(&self, number: u32) {
        if let Some(client) = self.client() {
            client.committed(number);
        }
    }

    fn enabled(&self, management: &Management) {
        if let Some(client) = self.client() {
            client.enabled(management);
        }
    }

    fn request_ack(&self) {
        if let Some(client) = self.client() {
            client.request_ack();
        }
    }

    fn close(&self, why: Close) {
        if let Some(client) = self.client() {
            client.close(why);
        }
    }

    fn lost(&self) {
        if let Some(core) = self.core.upgrade() {
            // One that is not there any more was told.
            core.lose(core.own.take_one(self.number).into_iter().collect());
        }
    }

    fn is_waiting(&self) -> bool {
        self.client().is_some_and(|client| client.is_waiting())
    }
}

#[async_trait]
impl SessionNode for OwnNode {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        self.node.push(frame)
    }

    async fn room(&self, account: &BareJid) {
        self.node.room(account).await;
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, Error> {
        self.node.credentials(account).await
    }

    async fn change_credentials(
        &self,
        account: &BareJid,
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        self.node.change_credentials(account, basis, changes).await
    }

    async fn register(&self, registration: Registration) -> Result<bool, Error> {
        self.node.register(registration).await
    }

    async fn remove(&self, account: &BareJid) -> Result<bool, Error> {
        self.node.remove(account).await
    }

    async fn bind(&self, mut bind: Bind) -> Result<Bound, BindError> {
        let attaching = self.attaching(&bind.account, &mut bind.outlet)?;
        let bound = self.node.bind(bind).await?;
        attaching.attached(bound.session, Attach::default());
        Ok(bound)
    }

    async fn resume(&self, mut resume: Resume) -> Result<Resumed, ResumeError> {
        let attaching = self.attaching(&resume.account, &mut resume.outlet)?;
        let resumed = self.node.resume(resume).await?;
        attaching.attached(resumed.session, resumed.attach);
        Ok(resumed)
    }

    async fn reattach(&self, mut request: Reattach) -> Result<Reattached, ReattachError> {
        let session = request.session.id;
        let attaching = self.attaching(&request.session.account, &mut request.outlet)?;
        let reattached = self.node.reattach(request).await?;
        attaching.attached(session, reattached.attach);
        Ok(reattached)
    }

    fn attended(&self, edge: &NodeId, shards: &[(Shard, Epoch)]) {
        self.node.attended(edge, shards);
    }

    async fn sessions(&self, account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        self.node.sessions(account).await
    }

    async fn tally(&self) -> Result<Tally, Error> {
        self.node.tally().await
    }

    fn name(&self) -> &str {
        self.node.name()
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<SessionInfo>, Error> {
        self.node.all_sessions(limit).await
    }

    async fn kick(&self, session: &SessionKey) -> Result<bool, Error> {
        self.node.kick(session).await
    }
}
