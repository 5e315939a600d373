//! Who may be part of a cluster, and what it is told otherwise.

use starling_cluster::{Epoch, Fence, Shard};
use starling_cluster_etcd::Error;
use starling_testkit::etcd::Etcd;

use crate::support::{Plan, in_time};

#[tokio::test]
#[ignore = "needs etcd"]
async fn the_first_node_owns_everything() {
    let etcd = Etcd::start(1).await;
    let node = Plan::on(etcd.endpoints()).join("a").await;
    node.sees_rest(1).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_second_process_of_the_same_name_is_refused() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let first = plan.join("a").await;
    first.sees_rest(1).await;
    let error = in_time("the refusal", plan.try_join("a"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::IdentityTaken { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("another process runs as node \"a\"")
    );
    first.sees_rest(1).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_node_that_was_killed_starts_again_and_has_its_shards_back() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let first = plan.join("a").await;
    first.sees_rest(1).await;
    let before = first.cluster.instance().clone();
    first.kill();
    let again = in_time("the second run", plan.join("a")).await;
    again
        .sees("its own run as the owner", |node| {
            node.view().table.owned_by(node.cluster.instance()).count() == 1024
        })
        .await;
    assert!(plan.rows.fenced.lock().unwrap().contains(&before));
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_node_of_another_cluster_is_refused() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let _first = plan.join("a").await;
    let mut other = plan.clone();
    other.config.name = "other".to_owned();
    let error = other.try_join("b").await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "the cluster below /starling is \"starling\", this node is configured for \"other\""
    );
    // Another prefix is another cluster.
    other.config.prefix = "/other".to_owned();
    other.join("b").await.sees_rest(1).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn secrets_are_made_once() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (one, two) = (plan.join("a").await, plan.edge().join("b").await);
    let made = one.cluster.secret("placement", vec![1]).await.unwrap();
    let read = two.cluster.secret("placement", vec![2]).await.unwrap();
    assert_eq!((made, read), (vec![1], vec![1]));
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_wrong_address_is_told_with_the_reason() {
    let plan = Plan::on(vec!["http://127.0.0.1:1".to_owned()]);
    let error = in_time("the refusal", plan.try_join("a"))
        .await
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot reach etcd at http://127.0.0.1:1: "),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn epochs_go_on_when_etcd_was_emptied() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let shard = Shard::new(3).unwrap();
    plan.rows.raise_epochs(&[(shard, Epoch(77))]).await.unwrap();
    let node = plan.join("a").await;
    node.sees_rest(1).await;
    assert_eq!(node.view().table.get(shard).epoch, Epoch(78));
}
