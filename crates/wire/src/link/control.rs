//! Questions of other nodes to the session node of this process.
//!
//! Each is checked against the certificate of whoever asks and against who owns
//! the account's shard, as a frame is.

use std::sync::{Arc, Weak};

use starling_cluster::{Epoch, Membership, Role, Shard};
use starling_link::{
    Attach, Bind, BindError, Detached, Error, Frame, Outlet, ReattachError, Registration, Resume,
    ResumeError, SessionId, SessionKey, SessionNode,
};
use starling_xmpp::BareJid;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::attached::{Attached, LaneKey};
use super::server::Lanes;
use super::v1::control_server::Control;
use super::{Identity, convert, reattach, v1};
use crate::status;

/// Sessions that one question may list, at most.
const SESSIONS_MAX: u64 = 100_000;

/// The service.
pub(super) struct Service {
    pub(super) node: Weak<dyn SessionNode>,
    pub(super) membership: Arc<dyn Membership>,
    pub(super) lanes: Arc<Lanes>,
}

/// Roles that may ask something.
#[derive(Clone, Copy)]
enum May {
    /// Whoever lets clients in.
    LetIn,
    /// Whoever does an administrator's work.
    Administer,
}

impl Service {
    /// The node, and the account that is asked about, if it may be.
    fn check<T>(
        &self,
        request: &Request<T>,
        target: Option<&v1::Target>,
        may: May,
    ) -> Result<(Arc<dyn SessionNode>, BareJid), Status> {
        let node = self.node_for(request, may)?;
        let target = target.ok_or_else(|| convert::bad("there is no account"))?;
        let shard = u16::try_from(target.shard).ok().and_then(Shard::new);
        let shard = shard.ok_or_else(|| convert::bad("there is no such shard"))?;
        let owner = self.membership.owner(shard);
        let is_ours = owner.is_some_and(|owner| {
            owner.node == *self.membership.local() && owner.epoch == Epoch(target.epoch)
        });
        if !is_ours {
            return Err(status::of_error(&Error::Unavailable));
        }
        Ok((node, convert::account(&target.account)?))
    }

    fn node_for<T>(&self, request: &Request<T>, may: May) -> Result<Arc<dyn SessionNode>, Status> {
        let peer = identity(request)?;
        let is_allowed = match may {
            May::LetIn => peer.has(Role::Edge) || peer.has(Role::Api),
            May::Administer => peer.has(Role::Api) || peer.has(Role::Session),
        };
        if !is_allowed {
            return Err(Status::permission_denied(
                "the certificate of this node has no role that may ask this",
            ));
        }
        let gone = || status::of_error(&Error::ShuttingDown);
        self.node.upgrade().ok_or_else(gone)
    }

    /// The lane that a session's stream will be behind.
    fn lane<T>(
        &self,
        request: &Request<T>,
        lane: u32,
        incarnation: u64,
    ) -> Result<Arc<Attached>, Status> {
        let peer = identity(request)?;
        if !peer.has(Role::Edge) {
            return Err(Status::permission_denied("only an edge has clients"));
        }
        let key = LaneKey {
            node: peer.node.clone(),
            incarnation,
            lane,
        };
        let gone = || status::of_error(&Error::Unavailable);
        self.lanes.get(&key).ok_or_else(gone)
    }
}

pub(super) fn identity<T>(request: &Request<T>) -> Result<Arc<Identity>, Status> {
    let peer = request.extensions().get::<Arc<Identity>>();
    peer.cloned()
        .ok_or_else(|| Status::unauthenticated("the connection has no certificate"))
}

/// A session is behind a lane from now on; if nobody is there any more to use
/// it, it has lost its stream.
fn attach(lane: &Attached, node: &Arc<dyn SessionNode>, session: &SessionKey, attach: Attach) {
    if !lane.attach(session.account.clone(), session.id, attach) {
        lose(node, session.clone(), attach);
    }
}

fn lose(node: &Arc<dyn SessionNode>, session: SessionKey, attach: Attach) {
    let frame = Frame::Detach {
        session,
        attach,
        how: Detached::Lost,
        acked: None,
    };
    // Refused only by a node that ends, and its sessions with it.
    let _ = node.push(frame);
}

#[tonic::async_trait]
impl Control for Service {
    async fn credentials(
        &self,
        request: Request<v1::CredentialsRequest>,
    ) -> Result<Response<v1::CredentialsResponse>, Status> {
        let target = request.get_ref().target.as_ref();
        let (node, account) = self.check(&request, target, May::LetIn)?;
        let found = node.credentials(&account).await;
        let found = found.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(convert::credentials(found)))
    }

    async fn change_credentials(
        &self,
        request: Request<v1::ChangeCredentialsRequest>,
    ) -> Result<Response<v1::ChangeCredentialsResponse>, Status> {
        let target = request.get_ref().target.as_ref();
        let (node, account) = self.check(&request, target, May::LetIn)?;
        let request = request.into_inner();
        let basis = convert::of_basis(&request.basis)?;
        let changes = request.changes.into_iter().map(convert::of_change);
        let changes = changes.collect::<Result<_, _>>()?;
        let changed = node.change_credentials(&account, basis, changes).await;
        let fingerprint = changed.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::ChangeCredentialsResponse {
            fingerprint: convert::fingerprint(fingerprint),
        }))
    }

    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let target = request.get_ref().target.as_ref();
        let (node, account) = self.check(&request, target, May::LetIn)?;
        let verifiers = convert::of_verifiers(request.into_inner().verifiers)?;
        let registration = Registration { account, verifiers };
        let is_made = node.register(registration).await;
        let is_made = is_made.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::RegisterResponse { is_made }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveRequest>,
    ) -> Result<Response<v1::RemoveResponse>, Status> {
        let target = request.get_ref().target.as_ref();
        let (node, account) = self.check(&request, target, May::Administer)?;
        let is_removed = node.remove(&account).await;
        let is_removed = is_removed.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::RemoveResponse { is_removed }))
    }

    async fn bind(
        &self,
        request: Request<v1::BindRequest>,
    ) -> Result<Response<v1::BindResponse>, Status> {
        let asked = request.get_ref();
        let (node, account) = self.check(&request, asked.target.as_ref(), May::LetIn)?;
        let lane = self.lane(&request, asked.lane, asked.incarnation)?;
        let outlet = lane.outlet(asked.outlet);
        let bind = bind(account.clone(), request.into_inner(), outlet)?;
        let (answer, answered) = oneshot::channel();
        // It runs to its end even if whoever asks does not wait: a session
        // without a stream has to be told so.
        tokio::spawn(async move {
            let result = node.bind(bind).await;
            let session = result.as_ref().ok().map(|bound| SessionKey {
                account,
                id: bound.session,
            });
            if let Some(session) = &session {
                attach(&lane, &node, session, Attach::default());
            }
            if let (Err(_), Some(session)) = (answer.send(result), session) {
                lane.detach(session.id, Attach::default());
                lose(&node, session, Attach::default());
            }
        });
        let gone = Err(BindError::Link(Error::ShuttingDown));
        let bound = answered.await.unwrap_or(gone);
        let bound = bound.map_err(|why| status::of_bind(&why))?;
        Ok(Response::new(v1::BindResponse {
            session: bound.session.0,
            jid: bound.jid.as_str().to_owned(),
            at_ms: bound.at.0,
            management: bound.management.map(convert::management),
            inline: convert::elements(&bound.inline),
        }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let asked = request.get_ref();
        let (node, account) = self.check(&request, asked.target.as_ref(), May::LetIn)?;
        let lane = self.lane(&request, asked.lane, asked.incarnation)?;
        let outlet = lane.outlet(asked.outlet);
        let asked = request.into_inner();
        let resume = Resume {
            account: account.clone(),
            token: asked.token.into(),
            h: asked.h,
            basis: convert::of_basis(&asked.basis)?,
            client: convert::of_client(asked.client)?,
            outlet,
        };
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let result = node.resume(resume).await;
            let session = result.as_ref().ok().map(|resumed| {
                let id = resumed.session;
                (SessionKey { account, id }, resumed.attach)
            });
            if let Some((session, number)) = &session {
                attach(&lane, &node, session, *number);
            }
            if let (Err(_), Some((session, number))) = (answer.send(result), session) {
                lane.detach(session.id, number);
                lose(&node, session, number);
            }
        });
        let gone = Err(ResumeError::Link(Error::ShuttingDown));
        let resumed = answered.await.unwrap_or(gone);
        let resumed = resumed.map_err(|why| status::of_resume(&why))?;
        Ok(Response::new(v1::ResumeResponse {
            session: resumed.session.0,
            attach: resumed.attach.0,
            jid: resumed.jid.as_str().to_owned(),
            committed: resumed.committed,
            acked: resumed.acked,
            management: Some(convert::management(resumed.management)),
        }))
    }

    async fn reattach(
        &self,
        request: Request<v1::ReattachRequest>,
    ) -> Result<Response<v1::ReattachResponse>, Status> {
        let asked = request.get_ref();
        let (node, account) = self.check(&request, asked.target.as_ref(), May::LetIn)?;
        let lane = self.lane(&request, asked.lane, asked.incarnation)?;
        let outlet = lane.outlet(asked.outlet);
        let asked = reattach::request(account, request.into_inner(), outlet)?;
        let session = asked.session.clone();
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let result = node.reattach(asked).await;
            let number = result.as_ref().ok().map(|reattached| reattached.attach);
            if let Some(number) = number {
                attach(&lane, &node, &session, number);
            }
            if let (Err(_), Some(number)) = (answer.send(result), number) {
                lane.detach(session.id, number);
                lose(&node, session, number);
            }
        });
        let gone = Err(ReattachError::Link(Error::ShuttingDown));
        let reattached = answered.await.unwrap_or(gone);
        let reattached = reattached.map_err(|why| status::of_reattach(&why))?;
        Ok(Response::new(v1::ReattachResponse {
            attach: reattached.attach.0,
            committed: reattached.committed,
        }))
    }

    async fn attended(
        &self,
        request: Request<v1::AttendedRequest>,
    ) -> Result<Response<v1::AttendedResponse>, Status> {
        let node = self.node_for(&request, May::LetIn)?;
        let edge = identity(&request)?.node.clone();
        let shards = request.get_ref().shards.iter().map(|one| {
            let shard = u16::try_from(one.shard).ok().and_then(Shard::new);
            let shard = shard.ok_or_else(|| convert::bad("there is no such shard"))?;
            Ok((shard, Epoch(one.epoch)))
        });
        node.attended(&edge, &shards.collect::<Result<Vec<_>, Status>>()?);
        Ok(Response::new(v1::AttendedResponse {}))
    }

    async fn sessions(
        &self,
        request: Request<v1::SessionsRequest>,
    ) -> Result<Response<v1::SessionsResponse>, Status> {
        let target = request.get_ref().target.as_ref();
        let (node, account) = self.check(&request, target, May::Administer)?;
        let sessions = node.sessions(&account).await;
        let sessions = sessions.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::SessionsResponse {
            sessions: sessions.into_iter().map(convert::info).collect(),
        }))
    }

    async fn all_sessions(
        &self,
        request: Request<v1::AllSessionsRequest>,
    ) -> Result<Response<v1::AllSessionsResponse>, Status> {
        let node = self.node_for(&request, May::Administer)?;
        let limit = request.get_ref().limit.min(SESSIONS_MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let sessions = node.all_sessions(limit).await;
        let sessions = sessions.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::AllSessionsResponse {
            sessions: sessions.into_iter().map(convert::info).collect(),
        }))
    }

    async fn tally(
        &self,
        request: Request<v1::TallyRequest>,
    ) -> Result<Response<v1::TallyResponse>, Status> {
        let node = self.node_for(&request, May::Administer)?;
        let tally = node.tally().await;
        let tally = tally.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::TallyResponse {
            sessions: tally.sessions,
            storing_ms: u64::try_from(tally.storing.as_millis()).unwrap_or(u64::MAX),
        }))
    }

    async fn kick(
        &self,
        request: Request<v1::KickRequest>,
    ) -> Result<Response<v1::KickResponse>, Status> {
        let target = request.get_ref().target.as_ref();
        let (node, account) = self.check(&request, target, May::Administer)?;
        let id = SessionId(request.get_ref().session);
        let is_kicked = node.kick(&SessionKey { account, id }).await;
        let is_kicked = is_kicked.map_err(|why| status::of_error(&why))?;
        Ok(Response::new(v1::KickResponse { is_kicked }))
    }
}

fn bind(account: BareJid, asked: v1::BindRequest, outlet: Arc<dyn Outlet>) -> Result<Bind, Status> {
    let conflict = convert::of_conflict(asked.conflict())?;
    Ok(Bind {
        account,
        resource: asked.resource.map(Into::into),
        tag: asked.tag.map(Into::into),
        basis: convert::of_basis(&asked.basis)?,
        is_anonymous: asked.is_anonymous,
        conflict,
        client: convert::of_client(asked.client)?,
        management: asked.management.map(convert::of_enable),
        inline: convert::of_elements(&asked.inline)?,
        outlet,
    })
}
