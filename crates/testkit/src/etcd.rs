//! A real etcd of one or more members, on free ports and in temporary folders.
//!
//! The program `etcd` must be installed; the project's test command sees to it.
//! Nothing of it is left when the value is dropped, or the tests have ended.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::lifeline::{self, Lifeline};

/// How long a member may take to listen. A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(120);

/// Between two looks whether a member listens.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Certificates for the clients' side, as paths to PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The member's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority of clients' certificates; without it none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// An etcd.
pub struct Etcd {
    members: Vec<Member>,
    tls: Option<Tls>,
}

struct Member {
    name: String,
    client: u16,
    peer: u16,
    data: TempDir,
    /// None while it is down.
    child: Option<(Child, Lifeline)>,
}

impl Etcd {
    /// Starts so many members and waits until they listen.
    ///
    /// # Panics
    /// If etcd is not installed or does not start.
    pub async fn start(members: usize) -> Self {
        Self::start_with(members, None).await
    }

    /// Starts one member that speaks TLS to its clients.
    ///
    /// # Panics
    /// If etcd is not installed or does not start.
    pub async fn start_tls(tls: Tls) -> Self {
        Self::start_with(1, Some(tls)).await
    }

    async fn start_with(members: usize, tls: Option<Tls>) -> Self {
        let ports = free_ports(members * 2);
        let members = ports.chunks(2).enumerate().map(|(n, ports)| Member {
            name: format!("m{n}"),
            client: ports[0],
            peer: ports[1],
            data: match tempfile::Builder::new().prefix("starling-etcd-").tempdir() {
                Ok(data) => {
                    lifeline::remove_at_end(data.path());
                    data
                }
                Err(error) => panic!("no temporary folder: {error}"),
            },
            child: None,
        });
        let mut etcd = Self {
            members: members.collect(),
            tls,
        };
        for member in 0..etcd.members.len() {
            etcd.spawn(member);
        }
        for member in 0..etcd.members.len() {
            etcd.listens(member).await;
        }
        etcd
    }

    /// The address of each member for clients.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        let members = self.members.iter();
        members
            .map(|member| format!("{}://127.0.0.1:{}", self.scheme(), member.client))
            .collect()
    }

    /// Where a member listens for clients.
    #[must_use]
    pub fn address(&self, member: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.members[member].client))
    }

    /// The processes of the members that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let members = self.members.iter();
        let children = members.filter_map(|member| member.child.as_ref());
        children.filter_map(|(child, _)| child.id()).collect()
    }

    /// Kills a member, as `kill -9` does, and sees it gone.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub async fn kill(&mut self, member: usize) {
        if let Some((mut child, _lifeline)) = self.members[member].child.take() {
            assert!(child.kill().await.is_ok(), "a member cannot be killed");
        }
    }

    /// Sends a member a signal, by name, as in `STOP`.
    ///
    /// # Panics
    /// If it is down, or there is no program `kill`.
    pub async fn signal(&self, member: usize, name: &str) {
        let child = self.members[member].child.as_ref();
        let Some(id) = child.and_then(|(child, _)| child.id()) else {
            panic!("the member is down")
        };
        let id = id.to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "no SIG{name}");
    }

    /// Starts a member that was killed, with the data it had.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self, member: usize) {
        self.spawn(member);
        self.listens(member).await;
    }

    /// Starts every member that was killed. A majority of them has to run before
    /// any listens.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn restart_all(&mut self) {
        let is_down = |member: &usize| self.members[*member].child.is_none();
        let down: Vec<usize> = (0..self.members.len()).filter(is_down).collect();
        for member in &down {
            self.spawn(*member);
        }
        for member in down {
            self.listens(member).await;
        }
    }

    const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn spawn(&mut self, member: usize) {
        let all: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("{}=http://127.0.0.1:{}", member.name, member.peer))
            .collect();
        let scheme = self.scheme();
        let tls = self.tls.clone();
        let member = &mut self.members[member];
        let client = format!("{scheme}://127.0.0.1:{}", member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let mut command = Command::new("etcd");
        command
            .args(["--name", &member.name, "--data-dir"])
            .arg(member.data.path().join("data"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &all.join(",")])
            .args(["--initial-cluster-state", "new", "--log-level", "error"]);
        if let Some(tls) = tls {
            command.arg("--cert-file").arg(tls.cert);
            command.arg("--key-file").arg(tls.key);
            if let Some(ca) = tls.client_ca {
                command
                    .arg("--client-cert-auth")
                    .arg("--trusted-ca-file")
                    .arg(ca);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        member.child = match child {
            Ok(child) => {
                let lifeline = Lifeline::of(child.id());
                Some((child, lifeline))
            }
            Err(error) => panic!(
                "cannot run etcd: {error}. `cargo xtask test` installs it; \
                 `cargo xtask test --skip etcd` leaves these tests out"
            ),
        };
    }

    async fn listens(&self, member: usize) {
        let address = self.address(member);
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "etcd does not listen");
            sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Ports that nobody used a moment ago.
fn free_ports(count: usize) -> Vec<u16> {
    // All are held until all are known, so that they differ.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| match TcpListener::bind("127.0.0.1:0") {
            Ok(listener) => listener,
            Err(error) => panic!("no free port: {error}"),
        })
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().map_or(0, |address| address.port());
    held.iter().map(port).collect()
}
