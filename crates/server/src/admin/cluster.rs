//! The calls about the cluster: each writes down what an operator wants, or
//! tells how the cluster is. Who carries it out is the controller, in
//! `cluster-etcd`; how far it is, the status shows.

use std::collections::HashMap;
use std::sync::Arc;

use starling_api::{Administration, Answer};
use starling_cluster::{Membership, NodeId, Placement, Role, Shard};
use starling_cluster_etcd::{Cluster, Error, NodeStatus};
use starling_wire::ClusterAdmin;
use starling_wire::admin::v1::{
    ClusterNode, DrainNodeRequest, DrainNodeResponse, FencedRun, FindShardRequest,
    FindShardResponse, GetClusterRequest, GetClusterResponse, MoveRequest, MoveShardRequest,
    MoveShardResponse, NodeAnswer, RemoveNodeRequest, RemoveNodeResponse, ShardMove,
    UndrainNodeRequest, UndrainNodeResponse,
};
use starling_wire::grpc::{Request, Response, Status};

use super::status;

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ClusterService {
    administration: Administration,
    membership: Arc<dyn Membership>,
    placement: Placement,
    /// None at a node that is alone.
    cluster: Option<Arc<Cluster>>,
}

impl ClusterService {
    /// The service of a node that is alone.
    pub(crate) fn alone(
        administration: Administration,
        membership: Arc<dyn Membership>,
        placement: Placement,
    ) -> Self {
        Self {
            administration,
            membership,
            placement,
            cluster: None,
        }
    }

    /// The service of one node of a cluster.
    pub(crate) fn of(
        administration: Administration,
        cluster: Arc<Cluster>,
        placement: Placement,
    ) -> Self {
        Self {
            administration,
            membership: Arc::clone(&cluster) as _,
            placement,
            cluster: Some(cluster),
        }
    }

    fn cluster(&self) -> Result<&Arc<Cluster>, Status> {
        self.cluster.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "this node is alone: there is no cluster, and it has every shard",
            )
        })
    }

    async fn answers(&self, asks_nodes: bool) -> HashMap<String, Answer> {
        let answers = match asks_nodes {
            true => self.administration.tallies().await,
            false => Vec::new(),
        };
        let named = answers.into_iter();
        named.map(|answer| (answer.node.clone(), answer)).collect()
    }
}

#[starling_wire::grpc::async_trait]
impl ClusterAdmin for ClusterService {
    async fn get_cluster(
        &self,
        request: Request<GetClusterRequest>,
    ) -> Result<Response<GetClusterResponse>, Status> {
        let cluster = self.cluster()?;
        let mut answers = self.answers(request.get_ref().asks_nodes).await;
        let now = cluster.status();
        let nodes = now.nodes.into_iter();
        let nodes = nodes.map(|node| {
            let answer = answers.remove(node.node.as_str());
            of_node(node, answer)
        });
        let moves = now.moves.into_iter().map(|one| ShardMove {
            shard: one.shard.number().into(),
            from: one.from.to_string(),
            to: one.to.to_string(),
        });
        let requests = now.requests.into_iter().map(|one| MoveRequest {
            shard: one.shard.number().into(),
            to: one.to.to_string(),
            refusal: one.refusal.unwrap_or_default(),
        });
        let fenced = now.fenced.into_iter().map(|one| FencedRun {
            node: one.instance.node.to_string(),
            run: one.instance.incarnation.to_string(),
            cause: one.cause,
        });
        Ok(Response::new(GetClusterResponse {
            name: now.name,
            told_by: cluster.local().to_string(),
            is_etcd_reachable: now.is_etcd_reachable,
            age_ms: u64::try_from(now.age.as_millis()).unwrap_or(u64::MAX),
            revision: now.revision,
            controller: now
                .controller
                .map(|node| node.to_string())
                .unwrap_or_default(),
            nodes: nodes.collect(),
            unassigned: number(now.unassigned),
            moves: moves.collect(),
            requests: requests.collect(),
            fenced: fenced.collect(),
        }))
    }

    async fn drain_node(
        &self,
        request: Request<DrainNodeRequest>,
    ) -> Result<Response<DrainNodeResponse>, Status> {
        let node = NodeId::new(request.into_inner().node);
        let asked = self.cluster()?.drain(&node).await;
        asked.map_err(|error| of_error(&error))?;
        tracing::info!(%node, "an administrator drains a node");
        Ok(Response::new(DrainNodeResponse {}))
    }

    async fn undrain_node(
        &self,
        request: Request<UndrainNodeRequest>,
    ) -> Result<Response<UndrainNodeResponse>, Status> {
        let node = NodeId::new(request.into_inner().node);
        let cluster = self.cluster()?;
        known(cluster, &node)?;
        let asked = cluster.undrain(&node).await;
        asked.map_err(|error| of_error(&error))?;
        tracing::info!(%node, "an administrator has a node used again");
        Ok(Response::new(UndrainNodeResponse {}))
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let node = NodeId::new(request.into_inner().node);
        let cluster = self.cluster()?;
        let found = known(cluster, &node)?;
        // Only what owns shards is fenced; anything else would stay for ever.
        if found.info.is_some() && found.shards == 0 {
            return Err(Status::failed_precondition(format!(
                "{node} is alive and owns no shard: stop its process, and it is forgotten by itself"
            )));
        }
        let asked = cluster.remove(&node).await;
        asked.map_err(|error| of_error(&error))?;
        tracing::warn!(%node, "an administrator gives a node up");
        Ok(Response::new(RemoveNodeResponse {}))
    }

    async fn move_shard(
        &self,
        request: Request<MoveShardRequest>,
    ) -> Result<Response<MoveShardResponse>, Status> {
        let MoveShardRequest { shard, to } = request.into_inner();
        let cluster = self.cluster()?;
        let shard = u16::try_from(shard).ok().and_then(Shard::new);
        let shard = shard.ok_or_else(|| {
            Status::invalid_argument("there is no such shard: their numbers are 0 to 1023")
        })?;
        let asked = match to.as_str() {
            "" => cluster.forget_move(shard).await,
            to => {
                let to = NodeId::new(to);
                let found = known(cluster, &to)?;
                may_own(&found)?;
                tracing::info!(shard = shard.number(), %to, "an administrator moves a shard");
                cluster.move_shard(shard, &to).await
            }
        };
        asked.map_err(|error| of_error(&error))?;
        Ok(Response::new(MoveShardResponse {}))
    }

    async fn find_shard(
        &self,
        request: Request<FindShardRequest>,
    ) -> Result<Response<FindShardResponse>, Status> {
        let given = request.into_inner().address;
        let address = self.administration.address(&given);
        let address = address.map_err(|error| status::of(&error))?;
        let shard = self.placement.shard_of(&address);
        let owner = self.membership.owner(shard);
        Ok(Response::new(FindShardResponse {
            address: address.to_string(),
            shard: shard.number().into(),
            epoch: owner.as_ref().map_or(0, |owner| owner.epoch.0),
            owner: owner
                .map(|owner| owner.node.to_string())
                .unwrap_or_default(),
        }))
    }
}

fn known(cluster: &Cluster, node: &NodeId) -> Result<NodeStatus, Status> {
    let mut nodes = cluster.status().nodes.into_iter();
    let found = nodes.find(|known| known.node == *node);
    found.ok_or_else(|| of_error(&Error::NoSuchNode(node.clone())))
}

/// Refuses a target at once that the controller would refuse later.
fn may_own(node: &NodeStatus) -> Result<(), Status> {
    let name = &node.node;
    let why = match &node.info {
        None => format!("{name} is not alive"),
        Some(info) if !info.has_role(Role::Session) => {
            format!("{name} has not the role \"session\": it cannot own shards")
        }
        Some(_) if node.is_draining => {
            format!("{name} is draining: \"starling node undrain {name}\" lets it have shards")
        }
        Some(_) => return Ok(()),
    };
    Err(Status::failed_precondition(why))
}

fn of_node(node: NodeStatus, answer: Option<Answer>) -> ClusterNode {
    let info = node.info.as_ref();
    let roles = info.map(|info| info.roles.as_slice()).unwrap_or_default();
    let link = info.and_then(|info| info.link.as_ref());
    ClusterNode {
        node: node.node.to_string(),
        is_alive: info.is_some(),
        roles: roles.iter().map(ToString::to_string).collect(),
        version: info.map(|info| info.version.clone()).unwrap_or_default(),
        link: link.map(ToString::to_string).unwrap_or_default(),
        started_at_s: info.map_or(0, |info| info.started),
        shards: number(node.shards),
        moving_in: number(node.moving_in),
        moving_out: number(node.moving_out),
        is_draining: node.is_draining,
        is_letting_go: info.is_some_and(|info| info.is_draining),
        is_removed: node.is_removed,
        is_store_lost: info.is_some_and(|info| info.is_store_lost),
        reported_by: node.reported_by.iter().map(ToString::to_string).collect(),
        clients: info.and_then(|info| info.clients),
        answer: answer.map(of_answer),
    }
}

fn of_answer(answer: Answer) -> NodeAnswer {
    let tally = answer.tally.as_ref().copied().unwrap_or_default();
    NodeAnswer {
        took_micros: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        silence: answer.tally.err().unwrap_or_default(),
        sessions: tally.sessions,
        storing_ms: u64::try_from(tally.storing.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The status of an error of the cluster.
fn of_error(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::NoSuchNode(_) => Status::not_found(message),
        Error::Unreachable { .. } => Status::unavailable(message),
        Error::Name(_) => Status::invalid_argument(message),
        Error::Config(_)
        | Error::File { .. }
        | Error::Credentials(_)
        | Error::Forbidden { .. }
        | Error::WrongCluster { .. }
        | Error::WrongFormat { .. }
        | Error::IdentityTaken { .. } => Status::failed_precondition(message),
        Error::Store(_) | Error::Refused(_) => Status::internal(message),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
