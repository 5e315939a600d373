//! What an operator does on purpose: a node joins, every node restarts.

use std::io::Write as _;

use starling_cluster::Role;

use crate::shared::CONFIGURATION;
use crate::stage::{Stage, play};

/// Shards move to a new node until the load is even, and back when it leaves.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_session_node_joins_and_leaves() {
    play("a session node joins and leaves", async |stage, _| {
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
}

/// Lets a node end. One that cannot give its shards away within its own bound, as
/// on a machine that is very busy, says so by its exit code; the others take them
/// over as from a node that died, and nothing may be lost by that either.
async fn stop(stage: &mut Stage, name: &str) {
    let node = stage.nodes.take(name);
    node.signal("TERM").await;
    if node.ends().await != Some(0) {
        let _ = writeln!(
            std::io::stderr(),
            "{name} was not rid of its shards in time"
        );
    }
}

/// One after the other, session nodes first.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn every_node_restarts_in_turn() {
    play("every node restarts in turn", async |stage, _| {
        for role in [Role::Session, Role::Edge] {
            for name in stage.nodes.of(role) {
                stop(stage, &name).await;
                stage.nodes.run(&[name]).await;
                stage.nodes.settle().await;
            }
        }
    });
}
