//! The worlds that scenarios run in: one node, or a cluster.
//!
//! The variable `STARLING_TEST_WORLD` says which; `cargo xtask test` runs all
//! scenarios in both. A world is started by the first scenario that asks for it,
//! on a runtime of its own, and serves all of them at once until the tests are
//! over.

use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use starling_server::Node;
use starling_server::config::{self, Environment};
use starling_testkit::World;

use crate::shared::admin::Admin;
use crate::shared::ground::ground;
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, HOSTS, new_folder};

/// Names the world: [`CLUSTER`], or one node if it is not set.
const VARIABLE: &str = "STARLING_TEST_WORLD";

const CLUSTER: &str = "cluster";

/// The cluster that scenarios share.
const SESSION_NODES: usize = 3;
const EDGES: usize = 3;

/// Nothing is killed in the cluster that scenarios share: a machine that is
/// busy must not look like one that is dead.
const LEASE: Duration = Duration::from_secs(60);

/// What kind of server scenarios run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every role in one process, the embedded store.
    OneNode,
    /// Edges and session nodes, on etcd and a CQL database.
    Cluster,
}

/// What is asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration but the environment"
)]
pub(crate) fn kind() -> Kind {
    match std::env::var(VARIABLE) {
        Err(_) => Kind::OneNode,
        Ok(value) if value.is_empty() => Kind::OneNode,
        Ok(value) if value == CLUSTER => Kind::Cluster,
        Ok(value) => panic!("{VARIABLE} is {value}, which is no world"),
    }
}

/// The world that scenarios share.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (started, world) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            match kind() {
                Kind::OneNode => runtime.block_on(one_node(&started)),
                Kind::Cluster => runtime.block_on(cluster(&started)),
            }
        });
        world.recv().expect("there is no world")
    })
}

/// One node with every role and the embedded store, until the tests are over.
async fn one_node(started: &mpsc::Sender<World>) {
    let data = new_folder("embedded");
    let file = data.join("starling.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let nothing = Environment::from_iter(Vec::new());
    let config = config::load(Some(&file), &nothing).unwrap().config;
    let mut node = Node::builder()
        .config(config)
        .data(&data)
        .start()
        .await
        .unwrap();
    let admin = Admin::new(&data);
    let entrance = admin.entrance().await.unwrap();
    started
        .send(World::new(vec![entrance], HOSTS, Box::new(admin)))
        .unwrap();
    let error = node.failed().await;
    eprintln!("the node failed: {error:#}");
    std::process::exit(1);
}

/// Edges and session nodes as processes, until the tests are over.
async fn cluster(started: &mpsc::Sender<World>) {
    let site = Site {
        ground: ground().clone(),
        folder: new_folder("world"),
        name: "world".to_owned(),
        lease: LEASE,
    };
    let nodes = Nodes::start(site, SESSION_NODES, EDGES, CONFIGURATION).await;
    let entrances = nodes.entrances().await;
    let admin = nodes.admin("session-0");
    started
        .send(World::new(entrances, HOSTS, Box::new(admin)))
        .unwrap();
    std::future::pending::<()>().await;
    drop(nodes);
}
