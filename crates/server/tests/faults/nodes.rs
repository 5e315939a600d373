//! Nodes that die, hang or are cut off.

use std::time::Duration;

use crate::stage::{REMOTE, play};

/// Acknowledgements that everybody must see while a fault lasts.
const PROGRESS: usize = 20;

/// Many times the two seconds that are promised after a node was killed.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Many times the ten seconds that are promised where only silence tells that a
/// node is gone.
const SILENT_PAUSE_MAX: Duration = Duration::from_secs(150);

/// Whoever takes over has everything that was acknowledged.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_session_node_is_killed() {
    let summary = play("kill -9 of a session node", async |stage, _| {
        let name = stage.session();
        stage.nodes.take(&name).kill().await;
    });
    summary.keeps_everybody(PAUSE_MAX);
}

/// The others take over; the node that wakes stops itself, having acknowledged
/// and delivered nothing that others do not know.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_session_node_hangs_and_wakes() {
    let summary = play("halt of a session node", async |stage, load| {
        let name = stage.session();
        let node = stage.nodes.take(&name);
        node.signal("STOP").await;
        load.goes_on(load.book.now(), PROGRESS).await;
        node.signal("CONT").await;
        assert_ne!(node.ends().await, Some(0), "it has not noticed");
    });
    summary.keeps_everybody(SILENT_PAUSE_MAX);
}

/// It reaches neither etcd nor is it reached by anybody, and goes on reaching
/// the database: the fence stops it.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_session_node_is_cut_off() {
    let summary = play("partition of a session node", async |stage, load| {
        stage
            .gates
            .iter()
            .for_each(starling_testkit::gate::Gate::shut);
        load.goes_on(load.book.now(), PROGRESS).await;
        assert_ne!(stage.nodes.take(REMOTE).ends().await, Some(0));
        stage
            .gates
            .iter()
            .for_each(starling_testkit::gate::Gate::open);
    });
    summary.keeps_everybody(SILENT_PAUSE_MAX);
}

/// Its clients resume at another.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn an_edge_is_killed() {
    let summary = play("kill -9 of an edge", async |stage, load| {
        stage.nodes.take("edge-0").kill().await;
        load.goes_on(load.book.now(), PROGRESS).await;
        assert!(load.book.connections_lost() > 0, "nobody was there");
    });
    assert_eq!(summary.ended, 0, "every session goes on: {}", summary.text);
    summary.pauses_at_most(PAUSE_MAX);
}
