//! A cluster of real processes on loopback: etcd, Cassandra, edges and session
//! nodes, with something between any two of them that can be shut.
//!
//! Only how it is put together is here; what is done to it is in `faults`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use starling_testkit::cassandra::{self, Wanted};
use starling_testkit::etcd::Etcd;
use tempfile::TempDir;
use tokio::process::Command;

use crate::error::Error;
use crate::node::{Node, Program};
use crate::passage::Passage;
use crate::target::{Role, Target, failed, free_address};

const NAME: &str = "check";

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Edges.
    pub edges: usize,
    /// Session nodes.
    pub sessions: usize,
}

/// What a cluster stands on.
pub(crate) struct Ground {
    etcd: Etcd,
    /// None if somebody else runs it.
    database: Option<cassandra::Cluster>,
    is_etcd_down: bool,
    is_database_down: bool,
    /// Certificates and data; removed when the target is dropped.
    folder: TempDir,
}

impl Ground {
    async fn new() -> Result<(Self, SocketAddr), Error> {
        let database = match cassandra::wanted() {
            Wanted::Own => {
                // Not a throwaway: its tables must survive a kill.
                let start = || cassandra::Cluster::start(1);
                let started = tokio::task::spawn_blocking(start).await;
                let gone = |error: tokio::task::JoinError| Error::Target(error.to_string());
                Some(started.map_err(gone)?.map_err(failed)?)
            }
            Wanted::Running(_) | Wanted::Skip => None,
        };
        let points = match (&database, cassandra::wanted()) {
            (Some(database), _) => database.contact_points(),
            (None, Wanted::Running(points)) => points,
            (None, _) => Vec::new(),
        };
        let first = points.first().and_then(|point| point.parse().ok());
        let point = first.ok_or_else(|| Error::Target("a cluster needs a database".to_owned()))?;
        let ground = Self {
            etcd: Etcd::start(1).await,
            database,
            is_etcd_down: false,
            is_database_down: false,
            folder: TempDir::new().map_err(failed)?,
        };
        Ok((ground, point))
    }

    pub(crate) const fn has_database(&self) -> bool {
        self.database.is_some()
    }

    /// Starts again what was killed.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.is_etcd_down) {
            self.etcd.restart(0).await;
        }
        if std::mem::take(&mut self.is_database_down)
            && let Some(database) = &mut self.database
        {
            tokio::task::block_in_place(|| database.start_node(0)).map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) async fn kill(&mut self, role: Role) -> Result<(), Error> {
        match (role, &mut self.database) {
            (Role::Etcd, _) => {
                self.etcd.kill(0).await;
                self.is_etcd_down = true;
            }
            (_, Some(database)) => {
                tokio::task::block_in_place(|| database.kill(0)).map_err(failed)?;
                self.is_database_down = true;
            }
            (_, None) => {}
        }
        Ok(())
    }

    pub(crate) async fn halt(&mut self, role: Role, is_halted: bool) -> Result<(), Error> {
        let signal = if is_halted { "STOP" } else { "CONT" };
        match (role, &self.database) {
            (Role::Etcd, _) => self.etcd.signal(0, signal).await,
            (_, Some(database)) => database.signal(0, signal).map_err(failed)?,
            (_, None) => {}
        }
        Ok(())
    }
}

/// A cluster of the program at `path`; etcd and the database run already.
///
/// # Errors
/// If Java, Maven or etcd are missing, or certificates cannot be made.
pub async fn target(path: &Path, size: Size) -> Result<Target, Error> {
    let (ground, database) = Ground::new().await?;
    let plan = Plan {
        program: path,
        folder: ground.folder.path().to_owned(),
        etcd: ground.etcd.address(0),
        database,
    };
    let mut nodes = Vec::new();
    for number in 0..size.sessions {
        nodes.push(plan.node(Role::Session, number).await?.0);
    }
    let mut doors = Vec::new();
    for number in 0..size.edges {
        let (node, door) = plan.node(Role::Edge, number).await?;
        nodes.push(node);
        doors.push(door);
    }
    Ok(Target {
        name: format!(
            "starling, {} edges and {} session nodes",
            size.edges, size.sessions
        ),
        doors,
        nodes,
        ground: Some(ground),
        ..Target::running(database, "localhost")
    })
}

/// What nodes are made from.
struct Plan<'a> {
    program: &'a Path,
    folder: PathBuf,
    etcd: SocketAddr,
    database: SocketAddr,
}

impl Plan<'_> {
    /// A node, and where it listens.
    async fn node(&self, role: Role, number: usize) -> Result<(Node, SocketAddr), Error> {
        let kind = match role {
            Role::Edge => "edge",
            _ => "session",
        };
        let name = format!("{kind}-{number}");
        let data = self.folder.join(&name);
        std::fs::create_dir_all(&data).map_err(failed)?;
        self.certify(&name, kind).await?;
        let address = free_address()?;
        let etcd = Passage::to(self.etcd).await?;
        let mut text = self.shared(&name, kind, etcd.address());
        let (mut link, mut database) = (None, None);
        if role == Role::Edge {
            text.push_str(&format!(
                "listen = \"127.0.0.1:0\"\n\
                 [edge.tcp]\nlisten = \"127.0.0.1:0\"\ndirect_tls_listen = \"{address}\"\n\
                 [edge.limits]\nregistrations_per_address_hour_max = 1_000_000\n"
            ));
        } else {
            let (to_link, to_database) = (Passage::to(address), Passage::to(self.database));
            let (to_link, to_database) = (to_link.await?, to_database.await?);
            text.push_str(&format!(
                "listen = \"{address}\"\nadvertise = \"{}\"\n\
                 [store]\nkind = \"cql\"\n[store.cql]\ncontact_points = [\"{}\"]\n\
                 keyspace = \"starling_{NAME}\"\nreplication = {{ datacenter1 = 1 }}\n",
                to_link.address(),
                to_database.address(),
            ));
            (link, database) = (Some(to_link), Some(to_database));
        }
        let config = data.join("starling.toml");
        std::fs::write(&config, text).map_err(failed)?;
        let mut arguments: Vec<OsString> = vec!["serve".into(), "--config".into()];
        arguments.extend([config.into(), "--data".into(), data.into()]);
        let program = Program {
            path: self.program.to_owned(),
            arguments,
            ..Program::default()
        };
        let mut node = Node::new(role, program, address);
        node.may_end = true;
        node.ways.link = link;
        node.ways.etcd = Some(etcd);
        node.ways.database = database;
        Ok((node, address))
    }

    /// What every node is told, up to the beginning of its `[link]`.
    fn shared(&self, name: &str, kind: &str, etcd: SocketAddr) -> String {
        let certificates = self.certificates();
        let certificates = certificates.display();
        format!(
            "[host.\"localhost\"]\nregistration = true\n\
             [node]\nname = \"{name}\"\ncluster = true\nroles = [\"{kind}\"]\n\
             [cluster]\nname = \"{NAME}\"\nendpoints = [\"http://{etcd}\"]\nlease_ttl = \"2s\"\n\
             [link]\ncertificate = \"{certificates}/{name}.crt\"\n\
             key = \"{certificates}/{name}.key\"\nca = \"{certificates}/ca.crt\"\n"
        )
    }

    fn certificates(&self) -> PathBuf {
        self.folder.join("certificates")
    }

    async fn certify(&self, name: &str, role: &str) -> Result<(), Error> {
        let made = Command::new(self.program)
            .args([
                "cluster", "cert", NAME, name, "--role", role, "--role", "api",
            ])
            .arg("--out")
            .arg(self.certificates())
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(failed)?;
        if made.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        Err(Error::Target(format!("no certificate for {name}: {why}")))
    }
}
