//! The cluster as an operator works on it: status, drain, undrain, move, remove,
//! by the command line, while clients are there.

use serde_json::Value;
use starling_cluster::{Role, SHARDS};
use starling_testkit::process::Output;
use starling_testkit::{World, element, ns};

use crate::LEASE;
use crate::shared::ground::ground;
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, HOSTS, new_folder};

/// The exit code for what is not there.
const NOT_FOUND: Option<i32> = Some(5);

/// The node that commands are given to.
const ASKED: &str = "session-1";

async fn run(nodes: &Nodes, command: &[&str]) -> Output {
    nodes.site.program(ASKED, command).run().await
}

async fn run_ok(nodes: &Nodes, command: &[&str]) -> String {
    let done = run(nodes, command).await;
    assert_eq!(done.code, Some(0), "{command:?}: {done:?}");
    done.out
}

async fn status(nodes: &Nodes) -> Value {
    let text = run_ok(nodes, &["cluster", "status", "--json"]).await;
    serde_json::from_str(&text).unwrap()
}

fn node<'a>(status: &'a Value, name: &str) -> &'a Value {
    let nodes = status["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|node| node["node"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {status}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn an_operator_takes_nodes_out_and_back_in() {
    let site = Site {
        ground: ground().clone(),
        folder: new_folder("operations"),
        name: "operations".to_owned(),
        lease: LEASE,
    };
    let mut nodes = Nodes::start(site, 2, 2, CONFIGURATION).await;
    let admin = nodes.admin(ASKED);
    let world = World::new(nodes.entrances().await, HOSTS, Box::new(admin));
    what_there_is_is_told(&nodes).await;
    a_session_node_is_drained_and_used_again(&nodes, &world).await;
    a_shard_goes_where_it_is_sent(&nodes).await;
    an_edge_is_drained_and_used_again(&nodes, &world).await;
    a_dead_node_is_removed(&mut nodes).await;
    crate::stop(nodes).await;
}

async fn what_there_is_is_told(nodes: &Nodes) {
    let status = status(nodes).await;
    assert_eq!(status["name"], "verona");
    assert_eq!(status["is_etcd_reachable"], true);
    assert_eq!(status["unassigned"], 0);
    for name in nodes.of(Role::Session) {
        let told = node(&status, &name);
        assert_eq!(told["state"], "running", "{told}");
        assert_eq!(told["answer"]["silence"], "", "{told}");
    }
    let edge = node(&status, "edge-0");
    assert_eq!(edge["roles"], serde_json::json!(["edge"]));
    assert!(edge["clients"].is_u64(), "{edge}");
    for command in ["drain", "undrain"] {
        let nobody = run(nodes, &["node", command, "nobody"]).await;
        assert_eq!(nobody.code, NOT_FOUND, "{nobody:?}");
        assert_eq!(nobody.err, "starling: there is no node \"nobody\"\n");
    }
}

async fn a_session_node_is_drained_and_used_again(nodes: &Nodes, world: &World) {
    let before = world.account("before").await;
    let told = run_ok(nodes, &["node", "drain", "session-0"]).await;
    let last = "session-0 is drained: it has no shards and no clients, and can be stopped.\n";
    assert!(told.ends_with(last), "{told}");
    let drained = status(nodes).await;
    assert_eq!(node(&drained, "session-0")["state"], "drained");
    assert_eq!(node(&drained, ASKED)["shards"], SHARDS);
    // Nobody is left without service.
    world.connect_available(&before, "phone").await;
    world.online("during").await;

    // The last one cannot be drained, and that is told instead of waited for.
    let stuck = run(nodes, &["node", "drain", ASKED]).await;
    assert_eq!(stuck.code, Some(1), "{stuck:?}");
    assert!(stuck.err.contains("no other session node"), "{stuck:?}");
    run_ok(nodes, &["node", "undrain", ASKED]).await;
    run_ok(nodes, &["node", "undrain", "session-0"]).await;
    nodes.settle().await;
}

async fn a_shard_goes_where_it_is_sent(nodes: &Nodes) {
    let found = run_ok(nodes, &["shard", "of", "romeo@localhost", "--json"]).await;
    let found: Value = serde_json::from_str(&found).unwrap();
    let shard = found["shard"].to_string();
    for to in ["session-0", ASKED] {
        let told = run_ok(nodes, &["shard", "move", &shard, to]).await;
        assert!(
            told.ends_with(&format!("Shard {shard} is at {to}.\n")),
            "{told}"
        );
        let found = run_ok(nodes, &["shard", "of", "romeo@localhost", "--json"]).await;
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["owner"], to);
    }
    let refused = run(nodes, &["shard", "move", &shard, "edge-0"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("has not the role \"session\""),
        "{refused:?}"
    );
    let refused = run(nodes, &["shard", "move", "1024", ASKED]).await;
    assert!(refused.err.contains("0 to 1023"), "{refused:?}");
}

async fn an_edge_is_drained_and_used_again(nodes: &Nodes, world: &World) {
    // Doors take turns: one of two is at this edge.
    let (mut one, mut two) = (world.online("one").await, world.online("two").await);
    let told = run_ok(nodes, &["node", "drain", "edge-0"]).await;
    assert!(told.contains("edge-0 is drained"), "{told}");
    let gone = async |client: &mut starling_testkit::Client| {
        client.find(element(ns::STREAM, "error")).await;
    };
    // RFC 6120 §4.9.3.20.
    tokio::select! {
        () = gone(&mut one) => {}
        () = gone(&mut two) => {}
    }
    assert_eq!(node(&status(nodes).await, "edge-0")["state"], "drained");
    run_ok(nodes, &["node", "undrain", "edge-0"]).await;
    // It lets clients in again by and by; both doors are tried.
    crate::until("both edges serve", || async {
        let seen = status(nodes).await;
        node(&seen, "edge-0")["state"] == "running"
    })
    .await;
    world.online("after").await;
    world.online("after").await;
}

async fn a_dead_node_is_removed(nodes: &mut Nodes) {
    let alive = run(nodes, &["node", "remove", "edge-1", "--yes"]).await;
    assert_eq!(alive.code, Some(1), "{alive:?}");
    assert!(alive.err.contains("stop its process"), "{alive:?}");
    nodes.take("session-0").kill().await;
    let removed = run(nodes, &["node", "remove", "session-0", "--yes"]).await;
    // Its cluster may have given it up and forgotten it before.
    match removed.code {
        NOT_FOUND => {}
        _ => assert!(removed.out.contains("session-0 is removed"), "{removed:?}"),
    }
    nodes.settle().await;
}
