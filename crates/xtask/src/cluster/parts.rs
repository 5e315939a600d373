//! How each part of the cluster is started, and when it is ready.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use starling_testkit::cassandra;

use super::processes::{Process, Processes};
use crate::command::Command;

/// How long a part may take to be ready. A bound, not a wait.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// Between two looks whether it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What a node writes once it serves.
const READY: &str = "Starling is ready";

/// So much of a log is shown of a part that does not start.
const LOG_LINES_MAX: usize = 30;

/// Nodes of each role.
const NODES: u8 = 3;

/// The parts, one after the other.
pub(super) struct Parts<'a> {
    folder: &'a Path,
    starling: &'a Path,
    processes: &'a mut Processes,
    etcd: String,
    database: String,
}

/// Where clients connect to an edge.
pub(super) struct Edge {
    pub(super) name: String,
    pub(super) starttls: SocketAddr,
    pub(super) tls: SocketAddr,
}

impl<'a> Parts<'a> {
    pub(super) fn new(folder: &'a Path, starling: &'a Path, processes: &'a mut Processes) -> Self {
        Self {
            folder,
            starling,
            processes,
            etcd: String::new(),
            database: String::new(),
        }
    }

    /// What nodes run on: etcd and the database.
    pub(super) fn beneath(&mut self) -> Result<()> {
        let [client, peer] = [free_address()?, free_address()?];
        let (client_url, peer_url) = (format!("http://{client}"), format!("http://{peer}"));
        let mut program = Program::new("etcd");
        program
            .args(["--name", "one", "--data-dir"])
            .arg(self.made("etcd")?.join("data"))
            .args(["--listen-client-urls", &client_url])
            .args(["--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url])
            .args(["--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("one={peer_url}")])
            .args(["--log-level", "warn"]);
        let etcd = self.start("etcd", program)?;
        let (program, address) = cassandra::standalone(&self.made("database")?)?;
        let database = self.start("database", program)?;
        self.await_port(&etcd, "etcd", client)?;
        self.await_port(&database, "database", address)?;
        (self.etcd, self.database) = (client_url, address.to_string());
        Ok(())
    }

    /// The session nodes; the first by itself, because it makes the tables.
    pub(super) fn session_nodes(&mut self) -> Result<()> {
        let mut others = Vec::new();
        for number in 1..=NODES {
            let name = format!("session-{number}");
            let link = free_address()?;
            let (etcd, database) = (&self.etcd, &self.database);
            let configuration = format!(
                "[link]\nlisten = \"{link}\"\n{}\n[store]\nkind = \"cql\"\n[store.cql]\n\
                 contact_points = [\"{database}\"]\nkeyspace = \"starling\"\n\
                 replication = {{ datacenter1 = 1 }}\n[cluster]\nname = \"dev\"\n\
                 endpoints = [\"{etcd}\"]\n",
                self.certificates(&name, "session")?,
            );
            let node = self.node(&name, "session", &configuration)?;
            match number {
                1 => self.await_ready(&node, &name)?,
                _ => others.push((node, name)),
            }
        }
        for (node, name) in others {
            self.await_ready(&node, &name)?;
        }
        Ok(())
    }

    /// The edges; the first by itself, because it makes the hosts' certificates.
    pub(super) fn edges(&mut self) -> Result<Vec<Edge>> {
        let mut edges = Vec::new();
        for number in 1..=NODES {
            let name = format!("edge-{number}");
            let (starttls, tls) = (free_address()?, free_address()?);
            let etcd = &self.etcd;
            let configuration = format!(
                "[edge.tcp]\nlisten = \"{starttls}\"\ndirect_tls_listen = \"{tls}\"\n\
                 advertise = \"{starttls}\"\n[link]\n{}\n[cluster]\nname = \"dev\"\n\
                 endpoints = [\"{etcd}\"]\n",
                self.certificates(&name, "edge")?,
            );
            if number > 1 {
                let made = self.folder.join("edge-1").join("certificates");
                copy(&made, &self.made(&name)?.join("certificates"))?;
            }
            let node = self.node(&name, "edge", &configuration)?;
            self.await_ready(&node, &name)?;
            edges.push(Edge {
                name,
                starttls,
                tls,
            });
        }
        Ok(edges)
    }

    fn node(&mut self, name: &str, role: &str, configuration: &str) -> Result<Process> {
        let data = self.made(name)?;
        let file = data.join("starling.toml");
        let node = format!("[node]\nname = \"{name}\"\ncluster = true\nroles = [\"{role}\"]\n");
        fs::write(&file, format!("{node}{configuration}"))?;
        let mut program = Program::new(self.starling);
        program.args(["serve", "--config"]).arg(file);
        program.arg("--data").arg(&data);
        self.start(name, program)
    }

    /// Makes a node's certificate; the lines of `[link]` that name it.
    fn certificates(&self, name: &str, role: &str) -> Result<String> {
        let folder = self.folder.join("link");
        let is_made = Command::new(self.starling)
            .args(&["cluster", "cert", "dev", name, "--role", role])
            .args(&["--role", "api", "--out"])
            .args(&[&folder])
            .output()
            .with_context(|| format!("no certificate for {name}"));
        is_made?;
        let folder = folder.display();
        Ok(format!(
            "certificate = \"{folder}/{name}.crt\"\nkey = \"{folder}/{name}.key\"\n\
             ca = \"{folder}/ca.crt\""
        ))
    }

    /// A folder for one part.
    fn made(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("log")
    }

    fn start(&mut self, name: &str, program: Program) -> Result<Process> {
        self.processes.start(name, program, &self.log(name))
    }

    fn await_port(&self, process: &Process, name: &str, address: SocketAddr) -> Result<()> {
        self.wait(process, name, || {
            TcpStream::connect_timeout(&address, LOOK_INTERVAL).is_ok()
        })
    }

    fn await_ready(&self, process: &Process, name: &str) -> Result<()> {
        let log = self.log(name);
        self.wait(process, name, || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains(READY))
        })
    }

    fn wait(&self, process: &Process, name: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let began = SystemTime::now();
        while !is_so() {
            let is_late = began.elapsed().unwrap_or_default() > START_TIMEOUT;
            if is_late || !process.is_alive() {
                let log = fs::read_to_string(self.log(name)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let end = lines.len().saturating_sub(LOG_LINES_MAX);
                bail!("{name} did not start:\n{}", lines[end..].join("\n"));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }
}

/// An address that nobody used a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("there is no {}", from.display()))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
