//! The nodes of one cluster: each a process in a folder of its own, with the
//! certificates that `starling cluster cert` makes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::super::common::Wants;
use super::super::server::{self, Ground, Server};
use super::super::starling;
use super::beneath::Beneath;
use super::size::Size;
use crate::report::Role;
use crate::run::Part;
use crate::target::Target;

/// What a node writes once it serves.
const READY: &str = "Starling is ready";
/// How long shards may take to spread over the session nodes.
const SPREAD_TIMEOUT: Duration = Duration::from_secs(180);
/// Looks in a row at which nothing may move: the controller moves a few at a time.
const SPREAD_LOOKS: u32 = 4;
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// So many edges and session nodes.
pub(super) struct Cluster {
    sessions: Vec<Server>,
    edges: Vec<Server>,
    /// All edges.
    pub(super) target: Target,
    _certificates: TempDir,
}

/// What all nodes of a cluster are made with.
struct Making<'a> {
    wants: Wants,
    ground: &'a Ground,
    beneath: &'a Beneath,
    program: PathBuf,
    name: &'a str,
    certificates: &'a Path,
}

impl Cluster {
    /// Starts it, and waits until its shards are spread evenly.
    pub(super) async fn start(
        ground: &Ground,
        beneath: &Beneath,
        name: &str,
        size: Size,
        wants: Wants,
    ) -> Result<Self> {
        let certificates = ground.folder("certificates")?;
        let making = Making {
            ground,
            wants,
            beneath,
            program: std::fs::canonicalize(&ground.starling)?,
            name,
            certificates: certificates.path(),
        };
        let (mut sessions, mut edges) = (Vec::new(), Vec::new());
        for number in 1..=size.sessions {
            // One after the other: the first makes the tables.
            sessions.push(making.session(&format!("session-{number}")).await?);
        }
        for number in 1..=size.edges {
            edges.push(making.edge(&format!("edge-{number}")).await?);
        }
        let mut target = edges.first().context("no edges")?.target.clone();
        target.addresses = edges
            .iter()
            .flat_map(|edge| edge.target.addresses.clone())
            .collect();
        let first = sessions.first().context("no session nodes")?.folder();
        // Users are refused while their shards have no owner.
        making.spread(first, size.sessions).await?;
        starling::import(&making.program, first, wants.users).await?;
        Ok(Self {
            sessions,
            edges,
            target,
            _certificates: certificates,
        })
    }

    /// Its processes, by role.
    pub(super) fn parts(&self) -> Result<Vec<Part>> {
        let part = |name: &str, nodes: &[Server]| -> Result<Part> {
            let pids = nodes.iter().map(Server::pid).collect::<Result<_>>()?;
            Ok(Part {
                name: name.to_owned(),
                role: Role::Server,
                pids,
                metrics: nodes.iter().filter_map(|node| node.metrics).collect(),
            })
        };
        Ok(vec![
            part("edge", &self.edges)?,
            part("session", &self.sessions)?,
        ])
    }

    /// The process of the edge that the first address is of.
    pub(super) fn first_edge(&self) -> Result<u32> {
        self.edges.first().context("no edges")?.pid()
    }

    /// The ends of all logs.
    pub(super) fn last_words(&self) -> String {
        let nodes = self.sessions.iter().chain(&self.edges);
        nodes.map(|node| node.last_words() + "\n").collect()
    }

    /// Ends it.
    pub(super) async fn end(self) -> Result<()> {
        for node in self.edges.into_iter().chain(self.sessions) {
            node.end().await?;
        }
        Ok(())
    }
}

impl Making<'_> {
    async fn session(&self, node: &str) -> Result<Server> {
        let port = server::free_port()?;
        let of_role = format!(
            "listen = '127.0.0.1:{port}'\n\
             [store]\nkind = 'cql'\n[store.cql]\ncontact_points = {}\nkeyspace = '{}'\n\
             replication = {{ datacenter1 = 1 }}\n\
             [session.features.archive]\ndefault = 'always'\n",
            self.beneath.contact_points(),
            self.name
        );
        self.node(node, "session", &of_role, port).await
    }

    async fn edge(&self, node: &str) -> Result<Server> {
        let port = server::free_port()?;
        self.node(node, "edge", &starling::clients(port), port)
            .await
    }

    /// Starts a node and waits until it serves. `of_role` begins within `[link]`.
    async fn node(&self, node: &str, role: &str, of_role: &str, port: u16) -> Result<Server> {
        let Self {
            name, certificates, ..
        } = self;
        let mut made = tokio::process::Command::new(&self.program);
        made.args([
            "cluster", "cert", name, node, "--role", role, "--role", "api", "--out",
        ]);
        let made = made.arg(certificates).output().await?;
        let problem = String::from_utf8_lossy(&made.stderr);
        ensure!(
            made.status.success(),
            "no certificate for {node}: {problem}"
        );
        let folder = self.ground.folder(node)?;
        let of_link = certificates.display();
        let (metrics, of_metrics) = starling::metrics(self.wants)?;
        let config = format!(
            "[node]\nname = '{node}'\ncluster = true\nroles = ['{role}']\n\
             {of_metrics}[log]\nlevel = 'warn'\n\
             [cluster]\nname = '{name}'\nprefix = '/{name}'\nendpoints = {}\n\
             [link]\ncertificate = '{of_link}/{node}.crt'\nkey = '{of_link}/{node}.key'\n\
             ca = '{of_link}/ca.crt'\n{of_role}",
            self.beneath.endpoints()
        );
        std::fs::write(folder.path().join("starling.toml"), config)?;
        let mut command = self.ground.command(&self.program);
        command.args(["serve", "--config", "starling.toml", "--data", "data"]);
        let server = Server::start(command, folder, port).await;
        let mut server = server.with_context(|| format!("{node} cannot be started"))?;
        server.metrics = metrics;
        let log = server.folder().join("output.log");
        let is_ready =
            || async { std::fs::read_to_string(&log).is_ok_and(|log| log.contains(READY)) };
        server.wait_for(is_ready).await?;
        Ok(server)
    }

    /// Waits until no shard moves and every session node has its part.
    async fn spread(&self, node: &Path, size: u8) -> Result<()> {
        let deadline = Instant::now() + SPREAD_TIMEOUT;
        let mut looks = 0;
        while looks < SPREAD_LOOKS {
            let status = starling::said(&self.program, node, &["cluster", "status", "--json"]);
            let status: Value = serde_json::from_str(&status.await?)?;
            looks = if is_spread(&status, size) {
                looks + 1
            } else {
                0
            };
            ensure!(
                Instant::now() < deadline,
                "its shards do not spread: {status}"
            );
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }
}

/// Whether every one of so many session nodes has at least half of what is its
/// part, and nothing is on its way.
fn is_spread(status: &Value, size: u8) -> bool {
    let none: &[Value] = &[];
    let list = |name: &str| status[name].as_array().map_or(none, Vec::as_slice);
    let shards = list("nodes")
        .iter()
        .filter_map(|node| node["shards"].as_u64());
    let shards: Vec<u64> = shards.filter(|shards| *shards > 0).collect();
    let part = shards.iter().sum::<u64>() / u64::from(size);
    let is_even = shards.len() == usize::from(size) && shards.iter().all(|own| *own * 2 >= part);
    is_even && list("moves").is_empty() && status["unassigned"].as_u64() == Some(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_spread;

    #[test]
    fn shards_are_spread_when_each_session_node_has_its_part() {
        let status = |shards: &[u64], moves: usize| {
            let mut nodes: Vec<_> = shards.iter().map(|n| json!({ "shards": n })).collect();
            nodes.push(json!({ "shards": 0 }));
            json!({ "nodes": nodes, "moves": vec![json!({}); moves], "unassigned": 0 })
        };
        assert!(is_spread(&status(&[500, 524], 0), 2));
        assert!(!is_spread(&status(&[500, 524], 1), 2), "one moves");
        assert!(!is_spread(&status(&[1_024], 0), 2), "one has none");
        assert!(!is_spread(&status(&[900, 124], 0), 2), "one has too few");
    }
}
