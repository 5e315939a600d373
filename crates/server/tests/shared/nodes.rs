//! The processes of one cluster, each with a folder, a configuration and a log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use starling_cluster::{LOAD_SLACK_PERCENT, Role, SHARDS};
use starling_testkit::process::{Process, Program};
use starling_testkit::world::Entrance;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use toml::{Table, Value};

use super::admin::Admin;
use super::ground::{Ground, NAME};
use super::program;

/// How long a cluster may take for what is waited for. A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(120);

/// So many clusters start at once: more would take as long in all, and keep the
/// processor from those that run already.
static STARTS: Semaphore = Semaphore::const_new(3);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Where the nodes of one cluster are kept, and what they stand on.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) ground: Ground,
    /// The folder of the nodes' folders.
    pub(crate) folder: PathBuf,
    /// Unlike that of any other cluster on this ground: small letters and digits.
    pub(crate) name: String,
    /// For how long a node may be silent.
    pub(crate) lease: Duration,
}

impl Site {
    /// The folder of a node: its data, configuration and log.
    pub(crate) fn folder_of(&self, node: &str) -> PathBuf {
        self.folder.join(node)
    }

    pub(crate) fn admin(&self, node: &str) -> Admin {
        Admin::new(&self.folder_of(node))
    }

    /// The program as this node.
    pub(crate) fn program(&self, node: &str, arguments: &[&str]) -> Program {
        program(&self.folder_of(node), arguments)
    }

    /// Starts a node as it was configured last.
    pub(crate) async fn start(&self, node: &str) -> Process {
        let log = self.folder_of(node).join("log");
        self.program(node, &["serve"]).start_logging(&log).await
    }

    /// Writes down what a node is: the settings of a node that stands alone, and
    /// what makes it one of several.
    pub(crate) fn configure(&self, node: &str, role: Role, settings: &str) {
        self.configure_with(node, role, settings, "");
    }

    /// The same, with settings that come before all others.
    pub(crate) fn configure_with(&self, node: &str, role: Role, settings: &str, own: &str) {
        let mut all: Table = settings.parse().unwrap();
        merge(&mut all, self.membership(node, role).parse().unwrap());
        if role == Role::Session {
            merge(&mut all, self.store().parse().unwrap());
        }
        merge(&mut all, own.parse().unwrap());
        let folder = self.folder_of(node);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("starling.toml"), all.to_string()).unwrap();
    }

    fn membership(&self, node: &str, role: Role) -> String {
        let (certificate, key) = self.ground.certificate(node, &[role, Role::Api]);
        let authority = self.ground.authority();
        let role = match role {
            Role::Edge => "edge",
            _ => "session",
        };
        format!(
            "[node]\nname = {node:?}\ncluster = true\nroles = [{role:?}]\n\
             [cluster]\nname = {NAME:?}\nprefix = \"/{}\"\nendpoints = {:?}\n\
             lease_ttl = \"{}s\"\n\
             [link]\nlisten = \"127.0.0.1:0\"\ncertificate = {certificate:?}\n\
             key = {key:?}\nca = {authority:?}\n\
             [api.http]\nlisten = \"127.0.0.1:0\"\n",
            self.name,
            self.ground.endpoints,
            self.lease.as_secs(),
        )
    }

    fn store(&self) -> String {
        format!(
            "[store]\nkind = \"cql\"\n[store.cql]\ncontact_points = {:?}\n\
             keyspace = \"starling_{}_{}\"\nreplication = {{ datacenter1 = 1 }}\n",
            self.ground.contact_points,
            self.name,
            // A database that runs already may know an earlier run of the tests.
            std::process::id(),
        )
    }
}

/// Adds what is not there, and overrides what is, table by table.
fn merge(all: &mut Table, more: Table) {
    for (key, value) in more {
        match (all.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => merge(inner, more),
            (_, value) => drop(all.insert(key, value)),
        }
    }
}

/// The nodes of a cluster that run.
pub(crate) struct Nodes {
    pub(crate) site: Site,
    running: BTreeMap<String, Process>,
}

/// The names of so many nodes of a role.
pub(crate) fn names(role: Role, count: usize) -> Vec<String> {
    let role = match role {
        Role::Edge => "edge",
        _ => "session",
    };
    (0..count)
        .map(|number| format!("{role}-{number}"))
        .collect()
}

impl Nodes {
    /// A cluster without nodes.
    pub(crate) fn none(site: Site) -> Self {
        let running = BTreeMap::new();
        Self { site, running }
    }

    /// Starts so many session nodes and edges, and waits until every shard has an
    /// owner and none is on its way.
    pub(crate) async fn start(site: Site, sessions: usize, edges: usize, settings: &str) -> Self {
        let _turn = STARTS.acquire().await.unwrap();
        let mut nodes = Self::none(site);
        let sessions = names(Role::Session, sessions);
        let edges = names(Role::Edge, edges);
        for (role, names) in [(Role::Session, &sessions), (Role::Edge, &edges)] {
            for name in names {
                nodes.site.configure(name, role, settings);
            }
        }
        // The first makes the tables; the others would only wait for it.
        let (first, others) = sessions.split_at(1);
        nodes.run(first).await;
        nodes.run(others).await;
        nodes.run(&edges).await;
        nodes.settle().await;
        nodes
    }

    /// Starts nodes that are configured, all at once.
    pub(crate) async fn run(&mut self, names: &[String]) {
        let started = join_all(names.iter().map(|name| self.site.start(name))).await;
        self.running.extend(names.iter().cloned().zip(started));
    }

    /// Forgets nodes that ended by themselves, and says which.
    pub(crate) fn bury(&mut self) -> Vec<String> {
        let ended = self.running.iter_mut();
        let ended = ended.filter_map(|(name, node)| node.has_ended().then(|| name.clone()));
        let ended: Vec<String> = ended.collect();
        self.running.retain(|name, _| !ended.contains(name));
        ended
    }

    /// The process of a node that runs.
    pub(crate) fn node(&self, name: &str) -> &Process {
        &self.running[name]
    }

    /// Takes a node out, to see what becomes of it.
    pub(crate) fn take(&mut self, name: &str) -> Process {
        self.running.remove(name).expect("the node does not run")
    }

    /// The names of those that run and have a role.
    pub(crate) fn of(&self, role: Role) -> Vec<String> {
        let prefix = match role {
            Role::Edge => "edge-",
            _ => "session-",
        };
        let names = self.running.keys().filter(|name| name.starts_with(prefix));
        names.cloned().collect()
    }

    pub(crate) fn admin(&self, name: &str) -> Admin {
        self.site.admin(name)
    }

    /// Where clients connect: the doors of every edge.
    pub(crate) async fn entrances(&self) -> Vec<Entrance> {
        let mut entrances = Vec::new();
        for edge in self.of(Role::Edge) {
            entrances.push(self.admin(&edge).entrance().await.unwrap());
        }
        entrances
    }

    /// How many shards a session node says it owns.
    pub(crate) async fn shards(&self, name: &str) -> Result<usize, String> {
        let metric = "starling_cluster_etcd_owned_shards";
        let value = self.admin(name).metric(metric).await?;
        // A count, which a gauge shows as a float without a fraction.
        value
            .to_string()
            .parse()
            .map_err(|_| format!("{value} shards"))
    }

    /// Waits until every session node that runs has its part of the shards, and
    /// none is on its way.
    pub(crate) async fn settle(&self) {
        let sessions = self.of(Role::Session);
        let deadline = Instant::now() + DEADLINE;
        loop {
            let state = self.owned(&sessions).await;
            if matches!(&state, Ok(owned) if is_even(owned)) {
                return;
            }
            assert!(Instant::now() < deadline, "no shards: {state:?}");
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn owned(&self, sessions: &[String]) -> Result<Vec<usize>, String> {
        let mut owned = Vec::new();
        for name in sessions {
            let moving = "starling_cluster_etcd_moving_shards";
            if self.admin(name).metric(moving).await? > 0.0 {
                return Err("some are moving".to_owned());
            }
            owned.push(self.shards(name).await?);
        }
        Ok(owned)
    }
}

/// Whether everything is owned and as even as the controller makes it: then it
/// moves nothing more by itself.
fn is_even(owned: &[usize]) -> bool {
    let (all, nodes) = (usize::from(SHARDS), owned.len());
    let least = all * (100 - LOAD_SLACK_PERCENT) / (100 * nodes);
    let most = (all * (100 + LOAD_SLACK_PERCENT)).div_ceil(100 * nodes);
    let is_share = |shards: &usize| (least..=most).contains(shards);
    owned.iter().sum::<usize>() == all && owned.iter().all(is_share)
}
