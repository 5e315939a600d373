//! What an operator does on purpose: a node joins, every node restarts.

use starling_cluster::Role;

use crate::shared::CONFIGURATION;
use crate::stage::play;

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
        let node = stage.nodes.take(&name);
        node.signal("TERM").await;
        assert_eq!(node.ends().await, Some(0));
        stage.nodes.settle().await;
    });
}

/// One after the other, session nodes first.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn every_node_restarts_in_turn() {
    play("every node restarts in turn", async |stage, _| {
        for role in [Role::Session, Role::Edge] {
            for name in stage.nodes.of(role) {
                let node = stage.nodes.take(&name);
                node.signal("TERM").await;
                assert_eq!(node.ends().await, Some(0), "{name}");
                stage.nodes.run(&[name]).await;
                stage.nodes.settle().await;
            }
        }
    });
}
