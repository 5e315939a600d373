//! What an operator does on purpose: a node joins, every node restarts.

use std::time::Duration;

use starling_cluster::Role;

use crate::shared::CONFIGURATION;
use crate::stage::{Stage, play};

/// Many times the tenth of a second that a move may take.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Shards move to a new node until the load is even, and back when it leaves.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_session_node_joins_and_leaves() {
    let summary = play("a session node joins and leaves", async |stage, _| {
        let name = "session-9".to_owned();
        stage
            .nodes
            .site
            .configure(&name, Role::Session, CONFIGURATION);
        stage.nodes.run(std::slice::from_ref(&name)).await;
        stage.nodes.settle().await;
        stop(stage, &name).await;
        stage.nodes.settle().await;
    });
    summary.keeps_everybody(PAUSE_MAX);
}

/// Lets a node end, which it does not before it is rid of its shards.
async fn stop(stage: &mut Stage, name: &str) {
    let node = stage.nodes.take(name);
    node.signal("TERM").await;
    assert_eq!(node.ends().await, Some(0), "{name} had shards or clients");
}

async fn restart(stage: &mut Stage, role: Role) {
    for name in stage.nodes.of(role) {
        stop(stage, &name).await;
        stage.nodes.run(&[name]).await;
        stage.nodes.settle().await;
    }
}

/// A rolling upgrade of session nodes: every shard moves some times, and nobody
/// is disconnected.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn every_session_node_restarts_in_turn() {
    let summary = play("every session node restarts in turn", async |stage, _| {
        restart(stage, Role::Session).await;
    });
    summary.keeps_everybody(PAUSE_MAX);
}

/// A rolling upgrade of edges: everybody resumes at another.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn every_edge_restarts_in_turn() {
    let summary = play("every edge restarts in turn", async |stage, _| {
        restart(stage, Role::Edge).await;
    });
    assert_eq!(summary.ended, 0, "every session goes on: {}", summary.text);
    summary.pauses_at_most(PAUSE_MAX);
}
