//! `starling cluster status`: nodes, shards, moves, and what is wrong.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use starling_wire::ClusterAdminClient;
use starling_wire::admin::v1::{ClusterNode, GetClusterRequest, GetClusterResponse};
use starling_wire::grpc::Channel;

use crate::cli::exit::{Exit, Refused};
use crate::cli::output::{Output, Table, count};

/// Shards there are.
const SHARDS: u32 = starling_cluster::SHARDS as u32;

/// Moves that are listed for people; scripts get all of them.
const MOVES_SHOWN_MAX: usize = 20;

/// Older knowledge is pointed out: etcd says something every few seconds.
const AGE_MS_MAX: u64 = 15_000;

pub(super) async fn run(
    mut node: ClusterAdminClient<Channel>,
    output: &Output,
) -> anyhow::Result<Exit> {
    let request = GetClusterRequest { asks_nodes: true };
    let answer = node.get_cluster(request).await;
    let status = answer.map_err(Refused::from)?.into_inner();
    output.print(&as_text(&status), &as_json(&status))?;
    Ok(Exit::Done)
}

fn as_text(status: &GetClusterResponse) -> String {
    let mut text = format!("cluster {}, as {} sees it", status.name, status.told_by);
    let age = Duration::from_millis(status.age_ms);
    let _ = match status.is_etcd_reachable && status.age_ms <= AGE_MS_MAX {
        true => write!(text, "; etcd answers (revision {})", status.revision),
        false => write!(
            text,
            "\n  etcd does NOT answer: what follows was true {} s ago. Service goes on, nothing is \
             moved or failed over",
            age.as_secs()
        ),
    };
    let controller = match status.controller.as_str() {
        "" => "none: nothing is moved or failed over",
        controller => controller,
    };
    let _ = write!(text, "\n  controller  {controller}\n  shards      ");
    let _ = write!(text, "{} served", SHARDS - status.unassigned.min(SHARDS));
    if status.unassigned > 0 {
        let _ = write!(text, ", {} WITHOUT AN OWNER", status.unassigned);
    }
    if !status.moves.is_empty() {
        let _ = write!(text, ", {} on their way", status.moves.len());
    }
    let mut table = Table::new([
        "NODE", "STATE", "ROLES", "VERSION", "SHARDS", "CLIENTS", "SESSIONS", "LAG", "ANSWER",
    ]);
    for node in &status.nodes {
        table.row(row(node));
    }
    let _ = write!(text, "\n\n{}", table.text());
    let remarks = remarks(status);
    if !remarks.is_empty() {
        let _ = write!(text, "\n\n{}", remarks.join("\n"));
    }
    text
}

fn row(node: &ClusterNode) -> [String; 9] {
    let none = || "-".to_owned();
    let is_session = node.roles.iter().any(|role| role == "session");
    let shards = match (node.moving_in, node.moving_out) {
        _ if !is_session && node.shards == 0 => none(),
        (0, 0) => node.shards.to_string(),
        (coming, going) => format!("{} (+{coming} -{going})", node.shards),
    };
    let answer = node.answer.as_ref();
    let heard = answer.filter(|answer| answer.silence.is_empty());
    [
        node.node.clone(),
        state(node).to_owned(),
        node.roles.join(", "),
        node.version.clone(),
        shards,
        node.clients
            .map_or_else(none, |clients| clients.to_string()),
        heard.map_or_else(none, |answer| answer.sessions.to_string()),
        heard.map_or_else(none, |answer| format!("{} ms", answer.storing_ms)),
        heard.map_or_else(none, |answer| {
            format!("{:.1?}", Duration::from_micros(answer.took_micros))
        }),
    ]
}

/// How a node is, in a word; capitals ask for somebody.
fn state(node: &ClusterNode) -> &'static str {
    let is_silent = |node: &ClusterNode| {
        let answer = node.answer.as_ref();
        answer.is_some_and(|answer| !answer.silence.is_empty())
    };
    match node {
        node if node.is_removed => "removed",
        node if !node.is_alive => "GONE",
        node if is_silent(node) => "SILENT",
        node if node.is_store_lost => "NO DATABASE",
        node if node.is_draining && super::super::progress::is_empty(node) => "drained",
        node if node.is_draining => "draining",
        _ => "running",
    }
}

fn remarks(status: &GetClusterResponse) -> Vec<String> {
    let mut remarks = Vec::new();
    for node in &status.nodes {
        let name = &node.node;
        if let Some(answer) = node.answer.as_ref().filter(|one| !one.silence.is_empty()) {
            remarks.push(format!(
                "{name} does not tell how it is: {}",
                answer.silence
            ));
        }
        if node.is_store_lost {
            remarks.push(format!("{name} cannot read the database"));
        }
        if !node.reported_by.is_empty() {
            let by = node.reported_by.join(", ");
            remarks.push(format!("{name} does not answer {by}"));
        }
        if !node.is_alive && node.shards > 0 {
            let shards = count(node.shards.into(), "shard");
            remarks.push(format!("{name} is gone and still has {shards}"));
        }
    }
    for one in status.moves.iter().take(MOVES_SHOWN_MAX) {
        let (shard, from, to) = (one.shard, &one.from, &one.to);
        remarks.push(format!("shard {shard} is on its way from {from} to {to}"));
    }
    if status.moves.len() > MOVES_SHOWN_MAX {
        let more = status.moves.len() - MOVES_SHOWN_MAX;
        remarks.push(format!("{more} more are on their way"));
    }
    for one in &status.requests {
        let why = match one.refusal.as_str() {
            "" => "waits for its turn".to_owned(),
            refusal => format!("REFUSED, {refusal}"),
        };
        remarks.push(format!(
            "shard {} is asked to go to {}: {why}",
            one.shard, one.to
        ));
    }
    for one in &status.fenced {
        let (node, run, cause) = (&one.node, &one.run, &one.cause);
        remarks.push(format!("run {run} of {node} was given up lately: {cause}"));
    }
    remarks
}

fn as_json(status: &GetClusterResponse) -> Value {
    let nodes = status.nodes.iter().map(node_as_json);
    let moves = status.moves.iter();
    let moves = moves.map(|one| json!({ "shard": one.shard, "from": one.from, "to": one.to }));
    let requests = status.requests.iter();
    let requests =
        requests.map(|one| json!({ "shard": one.shard, "to": one.to, "refusal": one.refusal }));
    let fenced = status.fenced.iter();
    let fenced = fenced.map(|one| json!({ "node": one.node, "run": one.run, "cause": one.cause }));
    json!({
        "name": status.name,
        "told_by": status.told_by,
        "is_etcd_reachable": status.is_etcd_reachable,
        "age_ms": status.age_ms,
        "revision": status.revision,
        "controller": status.controller,
        "unassigned": status.unassigned,
        "nodes": nodes.collect::<Vec<_>>(),
        "moves": moves.collect::<Vec<_>>(),
        "requests": requests.collect::<Vec<_>>(),
        "fenced": fenced.collect::<Vec<_>>(),
    })
}

fn node_as_json(node: &ClusterNode) -> Value {
    let answer = node.answer.as_ref().map(|answer| {
        json!({
            "took_micros": answer.took_micros,
            "silence": answer.silence,
            "sessions": answer.sessions,
            "storing_ms": answer.storing_ms,
        })
    });
    json!({
        "node": node.node,
        "state": state(node),
        "is_alive": node.is_alive,
        "roles": node.roles,
        "version": node.version,
        "link": node.link,
        "started_at_s": node.started_at_s,
        "shards": node.shards,
        "moving_in": node.moving_in,
        "moving_out": node.moving_out,
        "is_draining": node.is_draining,
        "is_removed": node.is_removed,
        "is_store_lost": node.is_store_lost,
        "reported_by": node.reported_by,
        "clients": node.clients,
        "answer": answer,
    })
}

#[cfg(test)]
mod tests {
    use starling_wire::admin::v1::NodeAnswer;

    use super::*;

    fn session(name: &str) -> ClusterNode {
        ClusterNode {
            node: name.to_owned(),
            is_alive: true,
            roles: vec!["session".to_owned()],
            version: "1".to_owned(),
            shards: 512,
            ..ClusterNode::default()
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        let mut silent = session("session-2");
        silent.answer = Some(NodeAnswer {
            silence: "no answer within 2s".to_owned(),
            ..NodeAnswer::default()
        });
        silent.reported_by = vec!["session-1".to_owned()];
        let mut gone = session("session-3");
        gone.is_alive = false;
        let status = GetClusterResponse {
            name: "prod".to_owned(),
            told_by: "session-1".to_owned(),
            age_ms: 90_000,
            nodes: vec![session("session-1"), silent, gone],
            unassigned: 3,
            ..GetClusterResponse::default()
        };
        let text = as_text(&status);
        for told in [
            "cluster prod, as session-1 sees it",
            "etcd does NOT answer: what follows was true 90 s ago",
            "controller  none",
            "1021 served, 3 WITHOUT AN OWNER",
            "session-2  SILENT",
            "session-2 does not tell how it is: no answer within 2s",
            "session-2 does not answer session-1",
            "session-3 is gone and still has 512 shards",
        ] {
            assert!(text.contains(told), "{told} is not in:\n{text}");
        }
    }
}
