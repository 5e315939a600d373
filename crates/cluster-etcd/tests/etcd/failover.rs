//! Session nodes that die, with and without anybody noticing.

use std::time::Duration;

use starling_cluster::{Lost, Membership, NodeId};
use starling_testkit::etcd::Etcd;
use starling_testkit::gate::Gate;
use tokio::time::Instant;

use crate::support::{Node, Plan, in_time};

/// Long enough that no fail-over in these tests can be due to it.
const LONG_LEASE_SECONDS: u64 = 60;

/// A bound for what is measured: less than is ever left of the lease, which is
/// renewed thrice in its time, and far above the figure, for machines that are
/// busy with other tests.
const FAST: Duration = Duration::from_secs(35);

/// Two session nodes, of which the first is the controller, and an edge that
/// sees both.
async fn gathered(plan: &Plan) -> [Node; 3] {
    let a = plan.join("a").await;
    a.sees("all shards", |node| node.shards() == 1024).await;
    let b = plan.join("b").await;
    let edge = plan.edge().join("edge").await;
    edge.sees_rest(2).await;
    [a, b, edge]
}

/// Kills a node, and waits until others have what it had.
async fn is_replaced(node: Node, edge: &Node) {
    let id = node.id().clone();
    node.kill();
    let began = Instant::now();
    edge.cluster.report(&id, false);
    edge.sees("its shards elsewhere", |node| node.shards_of(&id) == 0)
        .await;
    let took = began.elapsed();
    assert!(took < FAST, "{took:?}");
    println!("{id:?} was replaced in {took:?}");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_killed_node_is_replaced_without_waiting_for_its_lease() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints()).ttl(LONG_LEASE_SECONDS);
    let [_a, b, edge] = gathered(&plan).await;
    let run = b.cluster.instance().clone();
    is_replaced(b, &edge).await;
    assert!(plan.rows.fenced.lock().unwrap().contains(&run));
    edge.sees("the node gone", |node| node.view().nodes.len() == 2)
        .await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_killed_controller_is_deposed_by_the_next() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints()).ttl(LONG_LEASE_SECONDS);
    let [a, b, edge] = gathered(&plan).await;
    assert_eq!(a.cluster.status().controller, Some(a.id().clone()));
    is_replaced(a, &edge).await;
    assert_eq!(b.cluster.status().controller, Some(b.id().clone()));
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_node_that_is_reported_and_answers_is_left_alone() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    b.sees("the other", |node| node.cluster.node(a.id()).is_some())
        .await;
    b.cluster.report(a.id(), false);
    b.sees("the report", |node| {
        let nodes = node.cluster.status().nodes;
        nodes.iter().any(|node| !node.reported_by.is_empty())
    })
    .await;
    b.cluster.report(a.id(), true);
    b.sees("no report", |node| {
        let nodes = node.cluster.status().nodes;
        nodes.iter().all(|node| node.reported_by.is_empty())
    })
    .await;
    assert!(plan.rows.fenced.lock().unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_node_that_nobody_reports_is_replaced_when_its_lease_ends() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    let id = b.id().clone();
    b.kill();
    let began = Instant::now();
    a.sees_rest(1).await;
    println!("a silent node was replaced in {:?}", began.elapsed());
    assert_eq!(a.shards_of(&id), 0);
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_node_that_was_cut_off_learns_that_it_must_end() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let gate = Gate::before(etcd.address(0)).await;
    let mut behind = plan.clone();
    behind.config.endpoints = vec![format!("http://{}", gate.address())];
    let (a, b) = (plan.join("a").await, behind.join("b").await);
    a.sees_rest(2).await;
    let id = b.id().clone();
    gate.shut();
    a.sees_rest(1).await;
    // It still thinks that it owns its shards; the fence in the store is what
    // keeps it from harm.
    assert!(b.shards() > 0);
    assert_eq!(a.shards_of(&id), 0);
    gate.open();
    let lost = in_time("the end", b.cluster.lost()).await;
    assert!(
        matches!(lost, Lost::Fenced(_) | Lost::Taken { .. }),
        "{lost}"
    );
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn of_two_candidates_one_is_the_controller_and_the_other_follows() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    b.sees_rest(2).await;
    let controller = a.cluster.status().controller;
    assert_eq!(controller, b.cluster.status().controller);
    let (first, second) = match controller == Some(NodeId::new("a")) {
        true => (a, b),
        false => (b, a),
    };
    first.leave().await;
    second
        .sees("itself as the controller", |node| {
            node.cluster.status().controller.as_ref() == Some(node.id())
        })
        .await;
    second.sees_rest(1).await;
}
