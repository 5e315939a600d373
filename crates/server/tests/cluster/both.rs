//! Nodes that are edge and session node at once: their clients stay connected
//! when their shards go to another node and come back.

use starling_cluster::Role;
use starling_testkit::World;

use crate::moving::Talks;
use crate::shared::ground::ground;
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, HOSTS, new_folder};
use crate::{LEASE, TURN, stop};

/// A session node that joins and leaves.
const GUEST: &str = "session-2";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn a_node_of_both_roles_keeps_its_clients_when_its_shards_move() {
    let _turn = TURN.lock().await;
    let site = Site {
        ground: ground().clone(),
        folder: new_folder("both"),
        name: "both".to_owned(),
        lease: LEASE,
    };
    let both = ["session-both-0".to_owned(), "session-both-1".to_owned()];
    for name in &both {
        // Made once for each name.
        let roles = [Role::Edge, Role::Session, Role::Api];
        site.ground.certificate(name, &roles);
        let own = "[node]\nroles = [\"edge\", \"session\"]\n";
        site.configure_with(name, Role::Session, CONFIGURATION, own);
    }
    site.configure(GUEST, Role::Session, CONFIGURATION);
    let mut nodes = Nodes::none(site);
    // The first makes the tables; the other would only wait for it.
    nodes.run(&both[..1]).await;
    nodes.run(&both[1..]).await;
    nodes.settle().await;
    let mut entrances = Vec::new();
    for name in &both {
        entrances.push(nodes.admin(name).entrance().await.unwrap());
    }
    let admin = nodes.admin(&both[0]);
    let world = World::new(entrances, HOSTS, Box::new(admin));

    let mut talks = Talks::begin(&world, "both roles").await;
    nodes.run(&[GUEST.to_owned()]).await;
    nodes.settle().await;
    talks.end("shards of nodes of both roles went away").await;

    let mut talks = Talks::begin(&world, "both roles again").await;
    let guest = nodes.take(GUEST);
    guest.signal("TERM").await;
    assert_eq!(guest.ends().await, Some(0), "it had shards");
    nodes.settle().await;
    talks.end("shards came back to nodes of both roles").await;
    stop(nodes).await;
}
