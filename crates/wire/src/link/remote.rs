//! A session node in another process, as its callers see it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use starling_cluster::Shard;
use starling_link::{
    Attach, Bind, BindError, Bound, CredentialChange, Error, Frame, Outlet, Reattach,
    ReattachError, Reattached, Refused, Registration, Resume, ResumeError, Resumed, SessionId,
    SessionInfo, SessionKey, SessionNode, Tally,
};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};
use starling_xmpp::time::UnixMillis;
use tokio::sync::oneshot;

use super::keeper::Core;
use super::peer::Peer;
use super::up::Address;
use super::v1::question::What;
use super::v1::reply::What as Reply;
use super::{asking, convert, v1};
use crate::status;

/// Another node.
#[derive(Clone)]
pub(super) struct RemoteNode {
    pub(super) core: Arc<Core>,
    pub(super) peer: Arc<Peer>,
}

/// A stream that asks for a session, and may not wait for the answer.
pub(super) struct Attaching {
    node: RemoteNode,
    account: BareJid,
    pub(super) shard: Shard,
    pub(super) outlet: u64,
}

impl RemoteNode {
    pub(super) fn new(core: &Arc<Core>, peer: Arc<Peer>) -> Self {
        Self {
            core: Arc::clone(core),
            peer,
        }
    }

    /// Names an account to its owner; there is no use in asking another.
    fn addressed(&self, account: &BareJid) -> Result<(Address, Option<v1::Target>), Error> {
        let shard = self.core.placement.shard_of(account);
        let owner = self.core.membership.owner(shard);
        let owner = owner.filter(|owner| owner.node == *self.peer.node());
        let address = Address {
            shard,
            epoch: owner.ok_or(Error::Unavailable)?.epoch,
            is_restart: false,
        };
        let target = v1::Target {
            account: account.as_str().to_owned(),
            shard: u32::from(shard.number()),
            epoch: address.epoch.0,
        };
        Ok((address, Some(target)))
    }

    pub(super) fn target(&self, account: &BareJid) -> Result<Option<v1::Target>, Error> {
        self.addressed(account).map(|(_, target)| target)
    }

    /// Makes everything ready for a session of this account.
    pub(super) async fn attaching(
        &self,
        account: &BareJid,
        outlet: Arc<dyn Outlet>,
    ) -> Result<Attaching, Error> {
        let shard = self.core.placement.shard_of(account);
        let owner = self.core.touch(shard).ok_or(Error::Unavailable)?;
        if owner.node != *self.peer.node() {
            return Err(Error::Unavailable);
        }
        let lane = self.peer.lane(shard);
        let up = asking::up(lane).await;
        up.map_err(|why| status::error(&why))?;
        Ok(Attaching {
            node: self.clone(),
            account: account.clone(),
            shard,
            outlet: lane.outlets.add(shard, outlet),
        })
    }
}

impl Attaching {
    /// `false` if the lane was lost meanwhile: then the outlet was told.
    pub(super) fn attached(&self, session: SessionId, attach: Attach) -> bool {
        let lane = self.node.peer.lane(self.shard);
        lane.outlets.attach(self.outlet, session, attach)
    }

    /// Nobody wants the session any more.
    fn abandon(self, session: SessionId, attach: Attach) {
        self.node
            .core
            .abandon_session(self.account.clone(), session, attach);
    }
}

/// Only a session keeps its outlet.
impl Drop for Attaching {
    fn drop(&mut self) {
        let lane = self.node.peer.lane(self.shard);
        lane.outlets.remove_unattached(self.outlet);
    }
}

fn infos(infos: Vec<v1::SessionInfo>) -> Result<Vec<SessionInfo>, Error> {
    let infos = infos.into_iter().map(convert::of_info);
    infos
        .collect::<Result<_, _>>()
        .map_err(|why| status::error(&why))
}

#[async_trait]
impl SessionNode for RemoteNode {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        self.core.push(frame)
    }

    async fn room(&self, account: &BareJid) {
        let lane = self.peer.lane(self.core.placement.shard_of(account));
        loop {
            let room = lane.outbox.room.notified();
            if lane.outbox.bytes() < self.core.config.unacknowledged_bytes_max {
                return;
            }
            room.await;
        }
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, Error> {
        let (address, target) = self.addressed(account)?;
        let question = What::Credentials(v1::CredentialsRequest { target });
        let is_found = |reply| match reply {
            Reply::Credentials(answer) => Some(answer),
            _ => None,
        };
        let answer = self.ask(address, question, is_found).await;
        answer
            .and_then(convert::of_credentials)
            .map_err(|why| status::error(&why))
    }

    async fn change_credentials(
        &self,
        account: &BareJid,
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        let (address, target) = self.addressed(account)?;
        let question = What::ChangeCredentials(v1::ChangeCredentialsRequest {
            target,
            basis: convert::basis(basis),
            changes: changes.into_iter().map(convert::change).collect(),
        });
        let is_changed = |reply| match reply {
            Reply::ChangeCredentials(answer) => Some(answer),
            _ => None,
        };
        let answer = self.ask(address, question, is_changed).await;
        answer
            .and_then(|answer| convert::of_fingerprint(&answer.fingerprint))
            .map_err(|why| status::error(&why))
    }

    async fn register(&self, registration: Registration) -> Result<bool, Error> {
        let request = v1::RegisterRequest {
            target: self.target(&registration.account)?,
            verifiers: convert::verifiers(registration.verifiers),
        };
        let answer = self.peer.control().register(request).await;
        let answer = answer.map_err(|why| status::error(&why))?;
        Ok(answer.into_inner().is_made)
    }

    async fn remove(&self, account: &BareJid) -> Result<bool, Error> {
        let target = self.target(account)?;
        let request = v1::RemoveRequest { target };
        let answer = self.peer.control().remove(request).await;
        let answer = answer.map_err(|why| status::error(&why))?;
        Ok(answer.into_inner().is_removed)
    }

    async fn bind(&self, bind: Bind) -> Result<Bound, BindError> {
        let outlet = Arc::clone(&bind.outlet);
        let attaching = self.attaching(&bind.account, outlet).await?;
        let (address, target) = self.addressed(&bind.account)?;
        let question = v1::BindRequest {
            target,
            lane: self.peer.lane(attaching.shard).index,
            outlet: attaching.outlet,
            incarnation: self.core.incarnation,
            resource: bind.resource.map(Into::into),
            tag: bind.tag.map(Into::into),
            basis: convert::basis(bind.basis),
            is_anonymous: bind.is_anonymous,
            conflict: convert::conflict(bind.conflict).into(),
            client: Some(convert::client(&bind.client)),
            management: bind.management.map(convert::enable),
            inline: convert::elements(&bind.inline),
        };
        let is_bound = |reply| match reply {
            Reply::Bind(answer) => Some(answer),
            _ => None,
        };
        let answer = self.ask(address, What::Bind(question), is_bound).await;
        let bound = answer.and_then(|answer| {
            let session = SessionId(answer.session);
            attaching.attached(session, Attach::default());
            Ok(Bound {
                session,
                jid: convert::jid(&answer.jid)?,
                at: UnixMillis(answer.at_ms),
                management: answer.management.map(convert::of_management),
                inline: convert::of_elements(&answer.inline)?,
            })
        });
        bound.map_err(|why| status::bind_error(&why))
    }

    async fn resume(&self, resume: Resume) -> Result<Resumed, ResumeError> {
        let outlet = Arc::clone(&resume.outlet);
        let attaching = self.attaching(&resume.account, outlet).await?;
        let (address, target) = self.addressed(&resume.account)?;
        let question = v1::ResumeRequest {
            target,
            lane: self.peer.lane(attaching.shard).index,
            outlet: attaching.outlet,
            incarnation: self.core.incarnation,
            token: resume.token.into(),
            h: resume.h,
            basis: convert::basis(resume.basis),
            client: Some(convert::client(&resume.client)),
        };
        let is_resumed = |reply| match reply {
            Reply::Resume(answer) => Some(answer),
            _ => None,
        };
        let answer = self.ask(address, What::Resume(question), is_resumed).await;
        let resumed = answer.and_then(|answer| {
            let (session, attach) = (SessionId(answer.session), Attach(answer.attach));
            attaching.attached(session, attach);
            let management = answer.management.map(convert::of_management);
            Ok(Resumed {
                session,
                attach,
                jid: convert::jid(&answer.jid)?,
                committed: answer.committed,
                acked: answer.acked,
                management: management.ok_or_else(|| convert::bad("no management"))?,
            })
        });
        resumed.map_err(|why| status::resume_error(&why))
    }

    async fn reattach(&self, request: Reattach) -> Result<Reattached, ReattachError> {
        let (answer, answered) = oneshot::channel();
        let this = self.clone();
        tokio::spawn(async move {
            let session = request.session.id;
            let (result, attaching) = match this.reattach_now(request).await {
                Ok((reattached, attaching)) => (Ok(reattached), Some(attaching)),
                Err(why) => (Err(why), None),
            };
            if let (Err(Ok(reattached)), Some(attaching)) = (answer.send(result), attaching) {
                attaching.abandon(session, reattached.attach);
            }
        });
        let unavailable = Err(ReattachError::Link(Error::Unavailable));
        answered.await.unwrap_or(unavailable)
    }

    async fn sessions(&self, account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        let target = self.target(account)?;
        let request = v1::SessionsRequest { target };
        let answer = self.peer.control().sessions(request).await;
        let answer = answer.map_err(|why| status::error(&why))?.into_inner();
        infos(answer.sessions)
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<SessionInfo>, Error> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let request = v1::AllSessionsRequest { limit };
        let answer = self.peer.control().all_sessions(request).await;
        let answer = answer.map_err(|why| status::error(&why))?.into_inner();
        infos(answer.sessions)
    }

    async fn tally(&self) -> Result<Tally, Error> {
        let answer = self.peer.control().tally(v1::TallyRequest {}).await;
        let answer = answer.map_err(|why| status::error(&why))?.into_inner();
        Ok(Tally {
            sessions: answer.sessions,
            storing: Duration::from_millis(answer.storing_ms),
        })
    }

    fn name(&self) -> &str {
        self.peer.node().as_str()
    }

    async fn kick(&self, session: &SessionKey) -> Result<bool, Error> {
        let request = v1::KickRequest {
            target: self.target(&session.account)?,
            session: session.id.0,
        };
        let answer = self.peer.control().kick(request).await;
        let answer = answer.map_err(|why| status::error(&why))?;
        Ok(answer.into_inner().is_kicked)
    }
}
