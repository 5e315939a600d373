//! Shards that change their node while everybody is there.

use starling_cluster::{Epoch, NodeId, Shard};
use starling_testkit::etcd::Etcd;

use crate::support::Plan;

#[tokio::test]
#[ignore = "needs etcd"]
async fn load_evens_out_when_nodes_join_and_epochs_grow() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let a = plan.join("a").await;
    a.sees_rest(1).await;
    let b = plan.join("b").await;
    b.sees_rest(2).await;
    let c = plan.join("c").await;
    c.sees_rest(3).await;
    assert!(
        plan.rows.fenced.lock().unwrap().is_empty(),
        "nobody was fenced"
    );
    let view = c.view();
    let epochs = plan.rows.epochs.lock().unwrap();
    for (shard, row) in view.table.iter() {
        assert!(row.epoch <= Epoch(3));
        assert!(
            epochs[&shard] >= row.epoch,
            "given out before it was stored"
        );
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_drained_node_loses_everything_and_gets_it_back() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    // Any node may be asked.
    b.cluster.drain(a.id()).await.unwrap();
    b.sees("an empty node", |node| {
        node.shards_of(&NodeId::new("a")) == 0
    })
    .await;
    let status = b.cluster.status();
    assert!(
        status
            .nodes
            .iter()
            .any(|node| node.is_draining && node.shards == 0)
    );
    b.cluster.undrain(a.id()).await.unwrap();
    a.sees_rest(2).await;
    // And by the node itself, for as long as it runs.
    a.cluster
        .tell(|info| info.is_draining = true)
        .await
        .unwrap();
    a.sees("an empty node", |node| node.shards() == 0).await;
    assert!(
        plan.rows.fenced.lock().unwrap().is_empty(),
        "nobody was fenced"
    );
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn one_shard_goes_where_it_is_sent_or_says_why_not() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    let edge = plan.edge().join("edge").await;
    a.sees_rest(2).await;
    let view = a.view();
    let shard = view.table.owned_by(a.cluster.instance()).next().unwrap();
    let epoch = view.table.get(shard).epoch;
    edge.cluster.move_shard(shard, b.id()).await.unwrap();
    let is_moved = |view: &starling_cluster::View, shard: Shard| {
        view.owner(shard)
            .is_some_and(|owner| owner.node.as_str() == "b")
    };
    edge.sees("the shard moved", |node| is_moved(&node.view(), shard))
        .await;
    edge.sees("the request done", |node| {
        node.cluster.status().requests.is_empty()
    })
    .await;
    assert_eq!(edge.view().table.get(shard).epoch, epoch.next());
    edge.cluster.move_shard(shard, edge.id()).await.unwrap();
    edge.sees("a refusal", |node| {
        let requests = node.cluster.status().requests;
        requests.iter().any(|request| request.refusal.is_some())
    })
    .await;
    let nobody = NodeId::new("nobody");
    assert!(edge.cluster.move_shard(shard, &nobody).await.is_err());
}

/// A controller that was deposed while it wrote has stored an epoch that its
/// successor did not find.
#[tokio::test]
#[ignore = "needs etcd"]
async fn an_epoch_that_the_controller_before_stored_late_stops_nobody() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    let view = a.view();
    let shard = view.table.owned_by(a.cluster.instance()).next().unwrap();
    let stored = Epoch(view.table.get(shard).epoch.0 + 5);
    plan.rows.epochs.lock().unwrap().insert(shard, stored);
    b.cluster.move_shard(shard, b.id()).await.unwrap();
    b.sees("the shard moved", |node| {
        let owner = node.view().owner(shard);
        owner.is_some_and(|owner| owner.node == *node.id() && owner.epoch > stored)
    })
    .await;
}

/// The node that shards were to go to dies before the old owner has let go of
/// them: they stay, under the epoch that they have, though the store knows of the
/// higher one that was meant for the other.
#[tokio::test]
#[ignore = "needs etcd"]
async fn a_move_whose_target_dies_is_called_off() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let a = plan.join("a").await;
    a.sees_rest(1).await;
    a.holds_on();
    let b = plan.join("b").await;
    a.sees("moves", |node| !node.cluster.status().moves.is_empty())
        .await;
    b.kill();
    a.sees_rest(1).await;
    let view = a.view();
    let kept = view.table.iter().all(|(_, row)| row.epoch == Epoch::FIRST);
    assert!(kept, "nobody else had them");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_node_that_leaves_gives_its_shards_to_others_at_once() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    b.sees_rest(2).await;
    a.leave().await;
    b.sees_rest(1).await;
    assert_eq!(b.view().nodes.len(), 1);
}
