//! Waiting for what the cluster was asked to do, with its progress shown.
//!
//! What was asked is written down in etcd: it goes on when this command ends.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;
use starling_wire::ClusterAdminClient;
use starling_wire::admin::v1::{ClusterNode, GetClusterRequest, GetClusterResponse};
use starling_wire::grpc::Channel;
use tokio::time::sleep;

use super::exit::{Exit, Refused};
use super::output::{Output, count};

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    Going(String),
    /// It is done.
    Done(String),
    /// It will not be done as things are.
    Stuck(String),
}

/// Shows every step until the last.
pub(super) async fn follow(
    node: &mut ClusterAdminClient<Channel>,
    output: &Output,
    look: impl Fn(&GetClusterResponse) -> Step,
) -> anyhow::Result<Exit> {
    let mut told = String::new();
    loop {
        let request = GetClusterRequest { asks_nodes: false };
        let answer = node.get_cluster(request).await;
        let now = answer.map_err(|why| {
            anyhow::Error::from(Refused::from(why)).context(
                "the node that was asked tells no more; what it was asked is written down and \
                 goes on",
            )
        })?;
        match look(&now.into_inner()) {
            Step::Going(text) if text == told => {}
            Step::Going(text) => {
                output.print(&text, &json!({ "is_done": false, "text": text }))?;
                told = text;
            }
            Step::Done(text) => {
                output.print(&text, &json!({ "is_done": true, "text": text }))?;
                return Ok(Exit::Done);
            }
            Step::Stuck(text) => {
                // Standard error may be closed; the code still tells.
                let _ = writeln!(std::io::stderr(), "starling: {text}");
                return Ok(Exit::Failed);
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// How far the draining of a node is.
pub(super) fn of_drain(now: &GetClusterResponse, name: &str) -> Step {
    let Some(node) = now.nodes.iter().find(|node| node.node == name) else {
        return Step::Done(format!("{name} is gone, and nothing of it is left."));
    };
    if !node.is_draining {
        return Step::Stuck(format!(
            "{name} is not drained any more: somebody undrained it"
        ));
    }
    if is_empty(node) {
        return Step::Done(format!(
            "{name} is drained: it has no shards and no clients, and can be stopped."
        ));
    }
    let can_take = |other: &&ClusterNode| {
        let is_session = other.roles.iter().any(|role| role == "session");
        other.node != name && other.is_alive && is_session && !other.is_draining
    };
    if node.shards > 0 && !now.nodes.iter().any(|other| can_take(&other)) {
        let shards = count(node.shards.into(), "shard");
        return Step::Stuck(format!(
            "there is no other session node that could take the {shards} of {name}: start or \
             undrain one, and they will move; or undrain {name}"
        ));
    }
    let shards = count(node.shards.into(), "shard");
    let clients = match node.clients {
        Some(clients) => format!(" and {}", count(clients, "client")),
        None => String::new(),
    };
    Step::Going(format!("{name} still has {shards}{clients}."))
}

/// Whether a node that drains has nothing left. What an edge tells of its
/// clients counts once it says that it lets them go.
pub(super) fn is_empty(node: &ClusterNode) -> bool {
    let is_edge = node.roles.iter().any(|role| role == "edge");
    let is_told = !is_edge || node.is_letting_go;
    let has_nothing = node.shards == 0 && node.moving_in == 0 && node.moving_out == 0;
    has_nothing && is_told && node.clients.unwrap_or(0) == 0
}

/// How far the removal of a node is.
pub(super) fn of_removal(now: &GetClusterResponse, name: &str) -> Step {
    match now.nodes.iter().find(|node| node.node == name) {
        None => Step::Done(format!("{name} is removed; its shards are with others.")),
        Some(node) if node.shards > 0 => {
            let shards = count(node.shards.into(), "shard");
            Step::Going(format!("{shards} of {name} still go to others."))
        }
        Some(_) => Step::Going(format!(
            "{name} has no shards any more, and is being forgotten."
        )),
    }
}

/// How far the move of a shard is.
pub(super) fn of_move(now: &GetClusterResponse, shard: u32, to: &str) -> Step {
    if let Some(request) = now.requests.iter().find(|one| one.shard == shard) {
        if request.to != to {
            let other = &request.to;
            return Step::Stuck(format!("shard {shard} is asked to go to {other} by now"));
        }
        if !request.refusal.is_empty() {
            let why = &request.refusal;
            return Step::Stuck(format!("shard {shard} does not go to {to}: {why}"));
        }
    } else if !now.moves.iter().any(|one| one.shard == shard) {
        return Step::Done(format!("Shard {shard} is at {to}."));
    }
    match now.moves.iter().find(|one| one.shard == shard) {
        Some(one) => Step::Going(format!(
            "Shard {shard} is on its way from {} to {}.",
            one.from, one.to
        )),
        None => Step::Going(format!("Shard {shard} waits for its turn.")),
    }
}

#[cfg(test)]
mod tests;
