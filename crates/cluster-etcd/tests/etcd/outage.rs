//! etcd itself failing, in part and altogether.

use etcd_client::Client;
use starling_cluster::{Membership, Shard};
use starling_testkit::etcd::Etcd;
use starling_testkit::gate::Gate;

use crate::support::{Plan, asked};

#[tokio::test]
#[ignore = "needs etcd"]
async fn the_death_of_a_member_changes_nothing() {
    let mut etcd = Etcd::start(3).await;
    let plan = Plan::on(etcd.endpoints()).ttl(15);
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    // Every node begins with the first member.
    etcd.kill(0).await;
    asked(|| b.cluster.drain(a.id())).await;
    b.sees("the drain done", |node| node.shards() == 1024).await;
    assert!(
        plan.rows.fenced.lock().unwrap().is_empty(),
        "nobody was fenced"
    );
    etcd.restart(0).await;
    etcd.kill(1).await;
    asked(|| b.cluster.undrain(a.id())).await;
    a.sees_rest(2).await;
    assert!(
        plan.rows.fenced.lock().unwrap().is_empty(),
        "nobody was fenced"
    );
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_member_that_hangs_is_left_for_another() {
    let etcd = Etcd::start(3).await;
    let plan = Plan::on(etcd.endpoints()).ttl(15);
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    etcd.signal(0, "STOP").await;
    asked(|| b.cluster.drain(a.id())).await;
    b.sees("the drain done", |node| node.shards() == 1024).await;
    a.sees("the drain done", |node| node.shards() == 0).await;
    assert!(
        plan.rows.fenced.lock().unwrap().is_empty(),
        "nobody was fenced"
    );
    etcd.signal(0, "CONT").await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn with_all_of_etcd_gone_owners_stay_known_and_nobody_is_fenced_after() {
    let mut etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints());
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    let before = a.view();
    etcd.kill(0).await;
    // A request is refused when etcd is known to be gone; owners are not asked.
    assert!(a.cluster.drain(b.id()).await.is_err());
    assert!(!a.cluster.status().is_etcd_reachable);
    assert!(Shard::all().all(|shard| a.cluster.owner(shard) == before.owner(shard)));
    etcd.restart(0).await;
    asked(|| a.cluster.drain(b.id())).await;
    a.sees("the drain done", |node| node.shards() == 1024).await;
    assert!(a.cluster.status().is_etcd_reachable);
    assert!(
        plan.rows.fenced.lock().unwrap().is_empty(),
        "nobody was fenced"
    );
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn what_was_compacted_while_a_node_was_away_is_listed() {
    let etcd = Etcd::start(1).await;
    let plan = Plan::on(etcd.endpoints()).ttl(60);
    let gate = Gate::before(etcd.address(0)).await;
    let mut behind = plan.clone();
    behind.config.endpoints = vec![format!("http://{}", gate.address())];
    let (a, b) = (plan.join("a").await, plan.join("b").await);
    a.sees_rest(2).await;
    let edge = behind.edge().join("edge").await;
    edge.sees_rest(2).await;
    gate.shut();
    a.cluster.drain(b.id()).await.unwrap();
    a.sees("the drain done", |node| node.shards() == 1024).await;
    let revision = i64::try_from(a.view().revision).unwrap();
    let mut client = Client::connect(etcd.endpoints(), None).await.unwrap();
    client.compact(revision, None).await.unwrap();
    assert!(edge.shards_of(b.id()) > 0, "it cannot know yet");
    gate.open();
    edge.sees("what happened meanwhile", |node| {
        node.shards_of(b.id()) == 0
    })
    .await;
    // And it follows again.
    a.cluster.undrain(b.id()).await.unwrap();
    edge.sees_rest(2).await;
}
