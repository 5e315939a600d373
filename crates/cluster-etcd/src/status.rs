//! What an administrator sees of the cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use starling_cluster::{Instance, NodeId, NodeInfo, Shard, State};

use crate::mirror::Mirror;
use crate::shared::Shared;

/// The cluster as one node sees it.
#[derive(Clone, Debug)]
pub struct Status {
    /// The cluster's name.
    pub name: String,
    /// Whether etcd answers this node.
    pub is_etcd_reachable: bool,
    /// How long ago etcd last said something to this node: what is told here
    /// may be that old.
    pub age: Duration,
    /// The revision of etcd up to which everything is known.
    pub revision: i64,
    /// The node that places the shards.
    pub controller: Option<NodeId>,
    /// Every node that is alive or was given a task.
    pub nodes: Vec<NodeStatus>,
    /// Shards without an owner.
    pub unassigned: usize,
    /// Shards on their way.
    pub moves: Vec<Move>,
    /// Requests to move a shard that are not done.
    pub requests: Vec<MoveRequest>,
    /// Runs of nodes that were given up lately.
    pub fenced: Vec<Fenced>,
}

/// A run of a node that was given up.
#[derive(Clone, Debug)]
pub struct Fenced {
    /// Which.
    pub instance: Instance,
    /// Why, in a word.
    pub cause: String,
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Its name.
    pub node: NodeId,
    /// What it tells of itself; none if it is not alive.
    pub info: Option<NodeInfo>,
    /// Shards it owns, in any run.
    pub shards: usize,
    /// Shards that are moving to it.
    pub moving_in: usize,
    /// Shards that are moving away from it.
    pub moving_out: usize,
    /// Whether it is to own nothing. It is drained when `shards` is 0.
    pub is_draining: bool,
    /// Whether it was given up and is not forgotten yet.
    pub is_removed: bool,
    /// Whom it does not answer.
    pub reported_by: Vec<NodeId>,
}

/// A shard on its way.
#[derive(Clone, Debug)]
pub struct Move {
    /// The shard.
    pub shard: Shard,
    /// Its owner until the move is committed.
    pub from: NodeId,
    /// Its next owner.
    pub to: NodeId,
}

/// A request to move a shard.
#[derive(Clone, Debug)]
pub struct MoveRequest {
    /// The shard.
    pub shard: Shard,
    /// Where it is to go.
    pub to: NodeId,
    /// Why it will not go there; none while it may.
    pub refusal: Option<String>,
}

pub(crate) fn of(shared: &Shared, name: &str) -> Status {
    let mirror = shared.mirror();
    let table = mirror.table();
    let moves = table.iter().filter_map(|(shard, row)| match &row.state {
        State::Moving { from, to, .. } => Some(Move {
            shard,
            from: from.node.clone(),
            to: to.node.clone(),
        }),
        State::Unassigned | State::Owned(_) => None,
    });
    let requests = mirror.move_requests().map(|(shard, request)| MoveRequest {
        shard,
        to: NodeId::new(request.to.as_str()),
        refusal: request.refusal.clone(),
    });
    Status {
        name: name.to_owned(),
        is_etcd_reachable: shared.etcd.is_reachable(),
        age: shared.heard.borrow().elapsed(),
        revision: mirror.revision,
        controller: mirror.leader().map(|leader| leader.instance.node),
        nodes: nodes(&mirror),
        unassigned: table
            .iter()
            .filter(|(_, row)| row.owner().is_none())
            .count(),
        moves: moves.collect(),
        requests: requests.collect(),
        fenced: mirror.causes().collect(),
    }
}

fn nodes(mirror: &Mirror) -> Vec<NodeStatus> {
    let (alive, table) = (mirror.nodes(), mirror.table());
    let (requests, reports) = (mirror.requests(), mirror.reports());
    let mut names: BTreeSet<NodeId> = alive.keys().cloned().collect();
    names.extend(requests.draining.iter().cloned());
    names.extend(requests.removed.iter().cloned());
    let owners = table.iter().filter_map(|(_, row)| row.owner());
    names.extend(owners.map(|owner| owner.node.clone()));
    let status = |node: NodeId| {
        let is_it = |instance: Option<&Instance>| instance.is_some_and(|one| one.node == node);
        let rows = || table.iter().map(|(_, row)| row);
        let info = alive.get(&node);
        let reported = reports.iter().filter(|(of, _)| of.node == node);
        NodeStatus {
            shards: rows().filter(|row| is_it(row.owner())).count(),
            moving_in: rows().filter(|row| is_it(row.target())).count(),
            moving_out: rows()
                .filter(|row| row.target().is_some() && is_it(row.owner()))
                .count(),
            is_draining: requests.draining.contains(&node)
                || info.is_some_and(|info| info.is_draining),
            is_removed: requests.removed.contains(&node),
            reported_by: reported.flat_map(|(_, by)| by.iter().cloned()).collect(),
            info: info.map(|info| NodeInfo::clone(info)),
            node,
        }
    };
    names.into_iter().map(status).collect()
}
