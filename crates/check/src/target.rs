//! The server that is driven: one that runs already, a process that is started
//! here and may be killed, or the many processes of a cluster.
//!
//! What is done to them, and when, `faults` says; how a cluster is put together,
//! `cluster`.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener as Listener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cluster::Ground;
use crate::error::Error;
use crate::node::{Node, Program};
use crate::passage::Passage;

/// What a part of a server is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The way that clients come.
    Clients,
    /// A server that is one process.
    Server,
    /// A session node.
    Session,
    /// An edge.
    Edge,
    /// The etcd of a cluster.
    Etcd,
    /// The database of a cluster.
    Database,
}

/// A server.
pub struct Target {
    /// What it is called in the report.
    pub name: String,
    /// The host whose accounts are used.
    pub host: String,
    /// Where it speaks TLS from the first byte; several for several edges.
    pub doors: Vec<SocketAddr>,
    /// Where its data is, if it can be filled up.
    pub(crate) room: Option<PathBuf>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) ground: Option<Ground>,
}

impl Target {
    /// One that runs, wherever that is; it cannot be killed.
    #[must_use]
    pub fn running(address: SocketAddr, host: &str) -> Self {
        Self {
            name: address.to_string(),
            host: host.to_owned(),
            doors: vec![address],
            room: None,
            nodes: Vec::new(),
            ground: None,
        }
    }

    /// Any server as a process that stays in the foreground.
    ///
    /// # Errors
    /// If the command is empty.
    pub fn command(command: &str, address: SocketAddr, host: &str) -> Result<Self, Error> {
        let mut words = command.split_whitespace();
        let empty = || Error::Target("the command is empty".to_owned());
        let path = PathBuf::from(words.next().ok_or_else(empty)?);
        let program = Program {
            path,
            arguments: words.map(OsString::from).collect(),
            ..Program::default()
        };
        let mut target = Self::running(address, host);
        command.clone_into(&mut target.name);
        target.nodes.push(Node::new(Role::Server, program, address));
        Ok(target)
    }

    /// A Starling with an empty store on a free port. With `room`, a folder on a
    /// small file system, its data is there, and it can be filled up.
    ///
    /// # Errors
    /// If there is no room for its data.
    pub fn starling(path: &Path, room: Option<&Path>) -> Result<Self, Error> {
        let made = room.map_or_else(TempDir::new, TempDir::new_in);
        let data = made.map_err(failed)?;
        let address = free_address()?;
        let config = data.path().join("starling.toml");
        std::fs::write(&config, configuration(address)).map_err(failed)?;
        let mut arguments: Vec<OsString> = vec!["serve".into(), "--config".into()];
        arguments.extend([config.into(), "--data".into(), data.path().into()]);
        let mut target = Self::running(address, "localhost");
        "starling, one node".clone_into(&mut target.name);
        target.room = room.map(|_| data.path().to_owned());
        let program = Program {
            path: path.to_owned(),
            arguments,
            data: Some(data),
            ..Program::default()
        };
        target.nodes.push(Node::new(Role::Server, program, address));
        Ok(target)
    }

    /// Has every process write what it has to say to a file of its own there.
    pub fn log_to(&mut self, folder: &Path) {
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.log_to(folder.join(format!("{:?}-{number}.log", node.role)));
        }
    }

    /// How many parts with this role something can be done to.
    #[must_use]
    pub fn count(&self, role: Role) -> usize {
        let is_ours = self.ground.is_some();
        match role {
            Role::Clients => 1,
            Role::Etcd => usize::from(is_ours),
            Role::Database => usize::from(self.ground.as_ref().is_some_and(Ground::has_database)),
            _ => self.with(role).count(),
        }
    }

    /// Starts what is ours to start and does not run, and waits until it accepts.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start(&mut self) -> Result<(), Error> {
        if let Some(ground) = &mut self.ground {
            ground.start().await?;
        }
        for node in &mut self.nodes {
            node.start().await?;
        }
        Ok(())
    }

    /// Kills a part as `kill -9` does, and sees it gone.
    ///
    /// # Errors
    /// If it ended by itself before, which is worth knowing.
    pub async fn kill(&mut self, role: Role, number: usize) -> Result<(), Error> {
        match (&mut self.ground, role) {
            (Some(ground), Role::Etcd | Role::Database) => ground.kill(role).await,
            _ => self.node(role, number)?.kill().await,
        }
    }

    /// Has a process end by itself, as an operator does, and sees it gone. False
    /// if it did not end and had to be killed.
    ///
    /// # Errors
    /// If it ended by itself before.
    pub async fn stop(&mut self, role: Role, number: usize) -> Result<bool, Error> {
        self.node(role, number)?.stop().await
    }

    /// Halts a part, so that it holds everything and does nothing, or lets it go
    /// on.
    ///
    /// # Errors
    /// If it ended by itself before.
    pub async fn halt(&mut self, role: Role, number: usize, is_halted: bool) -> Result<(), Error> {
        match (&mut self.ground, role) {
            (Some(ground), Role::Etcd | Role::Database) => ground.halt(role, is_halted).await,
            _ => self.node(role, number)?.halt(is_halted),
        }
    }

    /// Starts a process anew, so that it ends by itself at a failpoint.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn arm(&mut self, role: Role, number: usize, what: &str) -> Result<(), Error> {
        let node = self.node(role, number)?;
        node.kill().await?;
        node.start_armed(what).await
    }

    /// Whether a process that was armed has ended.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn has_ended(&mut self, role: Role, number: usize) -> Result<bool, Error> {
        Ok(self.node(role, number)?.has_ended())
    }

    /// Whether it ended at its failpoint, and not otherwise.
    pub(crate) fn has_crashed(&mut self, role: Role, number: usize) -> Result<bool, Error> {
        Ok(self.node(role, number)?.has_crashed())
    }

    /// Asks a process to end.
    pub(crate) fn dismiss(&mut self, role: Role, number: usize) -> Result<(), Error> {
        self.node(role, number)?.dismiss();
        Ok(())
    }

    /// The ways between a part and the rest of its cluster; without a number,
    /// those of everybody to it.
    pub(crate) fn ways(&self, role: Role, number: usize) -> Vec<&Passage> {
        match role {
            Role::Etcd => self.nodes.iter().flat_map(|node| &node.ways.etcd).collect(),
            Role::Database => {
                let all = self.nodes.iter();
                all.flat_map(|node| &node.ways.database).collect()
            }
            _ => {
                let node = self.with(role).nth(number);
                node.map(|node| node.ways.all()).unwrap_or_default()
            }
        }
    }

    /// Fails if a process ended by itself.
    ///
    /// # Errors
    /// With its exit status.
    pub fn lives(&mut self) -> Result<(), Error> {
        self.nodes.iter_mut().try_for_each(Node::lives)
    }

    /// Whether it has processes that may end by themselves.
    #[must_use]
    pub fn can_end(&self) -> bool {
        self.nodes.iter().any(|node| node.may_end)
    }

    /// Whether a process is down that nobody killed: a node whose place others
    /// have ends by itself.
    ///
    /// # Errors
    /// If one ended that has to serve.
    pub fn has_gap(&mut self) -> Result<bool, Error> {
        self.lives()?;
        Ok(self.nodes.iter().any(Node::is_down))
    }

    fn with(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.role == role)
    }

    fn node(&mut self, role: Role, number: usize) -> Result<&mut Node, Error> {
        let mut all = self.nodes.iter_mut().filter(|node| node.role == role);
        let missing = || Error::Target(format!("there is no {role:?} {number}"));
        all.nth(number).ok_or_else(missing)
    }
}

pub(crate) fn failed(error: std::io::Error) -> Error {
    Error::Target(error.to_string())
}

/// A free address; the port must be the same after every restart.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    let address = Listener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    address.map_err(failed)
}

fn configuration(address: SocketAddr) -> String {
    format!(
        "[edge.tcp]\nlisten = \"127.0.0.1:0\"\ndirect_tls_listen = \"{address}\"\n\
         [edge.limits]\nregistrations_per_address_hour_max = 1_000_000\n\
         [host.\"localhost\"]\nregistration = true\n"
    )
}
