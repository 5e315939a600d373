//! Questions of other nodes to the session node of this process that come as
//! calls of their own. What they are answered is `answers`' matter where lanes
//! ask it too.

use std::sync::{Arc, Weak};

use starling_cluster::{Epoch, Membership, Shard};
use starling_link::{Attach, Error, Registration, SessionId, SessionKey, SessionNode};
use starling_xmpp::BareJid;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::answers::{self, Access, May};
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

impl Service {
    /// The node, and the account that is asked about, if it may be.
    fn check<T>(
        &self,
        request: &Request<T>,
        target: Option<&v1::Target>,
        may: May,
    ) -> Result<(Arc<dyn SessionNode>, BareJid), Status> {
        self.access(&*identity(request)?).account(target, may)
    }

    fn node_for<T>(&self, request: &Request<T>, may: May) -> Result<Arc<dyn SessionNode>, Status> {
        self.access(&*identity(request)?).node(may)
    }

    fn access<'a>(&'a self, peer: &'a Identity) -> Access<'a> {
        Access {
            node: &self.node,
            membership: &*self.membership,
            peer,
        }
    }

    /// The lane that a session's stream will be behind.
    fn lane<T>(
        &self,
        request: &Request<T>,
        lane: u32,
        incarnation: u64,
    ) -> Result<Arc<Attached>, Status> {
        let peer = identity(request)?;
        self.access(&peer).clients()?;
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

/// What gives a stream its session runs to its end even if whoever asks does
/// not wait: a session without a stream has to be told so.
async fn to_the_end<T: Send + 'static>(
    lane: Arc<Attached>,
    giving: impl Future<Output = Result<(T, SessionKey, Attach), Status>> + Send + 'static,
) -> Result<Response<T>, Status> {
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let given = giving.await;
        if let Err(Ok((_, session, attach))) = answer.send(given) {
            lane.detach(session.id, attach);
            if let Some(node) = lane.node.upgrade() {
                answers::lose(&node, session, attach);
            }
        }
    });
    let gone = Err(status::of_error(&Error::ShuttingDown));
    let (response, ..) = answered.await.unwrap_or(gone)?;
    Ok(Response::new(response))
}

#[tonic::async_trait]
impl Control for Service {
    async fn credentials(
        &self,
        request: Request<v1::CredentialsRequest>,
    ) -> Result<Response<v1::CredentialsResponse>, Status> {
        let peer = identity(&request)?;
        let found = self.access(&peer).credentials(request.into_inner()).await;
        found.map(Response::new)
    }

    async fn change_credentials(
        &self,
        request: Request<v1::ChangeCredentialsRequest>,
    ) -> Result<Response<v1::ChangeCredentialsResponse>, Status> {
        let peer = identity(&request)?;
        let access = self.access(&peer);
        let changed = access.change_credentials(request.into_inner()).await;
        changed.map(Response::new)
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
        let asked = request.into_inner();
        to_the_end(Arc::clone(&lane), async move {
            let bound = answers::bind(&node, account.clone(), &lane, asked).await?;
            let id = SessionId(bound.session);
            Ok((bound, SessionKey { account, id }, Attach::default()))
        })
        .await
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let asked = request.get_ref();
        let (node, account) = self.check(&request, asked.target.as_ref(), May::LetIn)?;
        let lane = self.lane(&request, asked.lane, asked.incarnation)?;
        let asked = request.into_inner();
        to_the_end(Arc::clone(&lane), async move {
            let resumed = answers::resume(&node, account.clone(), &lane, asked).await?;
            let (id, number) = (SessionId(resumed.session), Attach(resumed.attach));
            Ok((resumed, SessionKey { account, id }, number))
        })
        .await
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
        to_the_end(Arc::clone(&lane), async move {
            let reattached = node.reattach(asked).await;
            let reattached = reattached.map_err(|why| status::of_reattach(&why))?;
            let number = reattached.attach;
            lane.attach_or_lose(&node, &session, number);
            let response = v1::ReattachResponse {
                attach: number.0,
                committed: reattached.committed,
            };
            Ok((response, session, number))
        })
        .await
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
