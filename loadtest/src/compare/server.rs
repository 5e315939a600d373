//! A server while it is compared: a process on its CPUs, in a folder that goes
//! with it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::clock::{nanos, now};
use crate::run::Part;
use crate::scram::{self, Verifier};
use crate::target::{Protocol, Target, Tls, Users};

/// The host that all serve.
pub(super) const HOST: &str = "localhost";
const PASSWORD: &str = "Call me but love";
const SALT: &[u8] = b"salt of no secret";
/// RFC 7677 §4: what the load has to derive once.
pub(super) const ROUNDS: u32 = 4_096;
/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// What of a log is told when something failed.
const LAST_WORDS_BYTES: usize = 2_000;
/// Files a server may open, if the machine lets us say so.
const FILES: u64 = 65_536;

/// What is the same for all.
pub(super) struct Ground {
    pub(super) server_cpus: Vec<usize>,
    pub(super) load_cpus: Vec<usize>,
    pub(super) starling: PathBuf,
    pub(super) keeps: bool,
}

/// A running server; killed when dropped.
pub(super) struct Server {
    child: Child,
    folder: TempDir,
    pub(super) target: Target,
    /// Where it serves its metrics.
    pub(super) metrics: Option<SocketAddr>,
}

/// What all accounts have: the verifier of one password, in base64.
pub(super) struct Account {
    pub(super) salt: String,
    pub(super) stored: String,
    pub(super) server: String,
    pub(super) raw: Verifier,
}

/// Nobody attacks these accounts, so one verifier serves for all.
pub(super) fn account() -> Result<Account> {
    let raw = scram::verifier(PASSWORD, SALT, ROUNDS)?;
    Ok(Account {
        salt: BASE64.encode(SALT),
        stored: BASE64.encode(&raw.stored),
        server: BASE64.encode(&raw.server),
        raw,
    })
}

/// The salt as it is.
pub(super) fn salt() -> String {
    String::from_utf8_lossy(SALT).into_owned()
}

impl Ground {
    /// A folder for a server.
    pub(super) fn folder(&self, name: &str) -> Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.disable_cleanup(self.keeps);
        Ok(builder.prefix(&format!("loadtest-{name}-")).tempdir()?)
    }

    /// A program on the server's CPUs.
    pub(super) fn command(&self, program: &Path) -> Command {
        if self.server_cpus.is_empty() {
            return Command::new(program);
        }
        let list: Vec<String> = self.server_cpus.iter().map(usize::to_string).collect();
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &list.join(",")]).arg(program);
        command
    }
}

/// Keeps this process off the server's CPUs.
pub(super) fn stay_on(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    if !cpus.is_empty() {
        sched_setaffinity(None, &set).context("the CPUs of the load")?;
    }
    Ok(())
}

/// A port of the loopback that is free now.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Lets servers have as many files as this process may allow.
pub(super) fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let wish = |maximum: u64| Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    let hard = limit.maximum.unwrap_or(FILES);
    if setrlimit(Resource::Nofile, wish(FILES.max(hard))).is_err() {
        // What is not allowed is noticed by the scenario that needs it.
        let _ = setrlimit(Resource::Nofile, wish(hard));
    }
}

impl Server {
    /// Starts it and waits until it listens on that port.
    pub(super) async fn start(mut command: Command, folder: TempDir, port: u16) -> Result<Self> {
        let log = std::fs::File::create(folder.path().join("output.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        command.current_dir(folder.path()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let target = Target {
            addresses: vec![address],
            sources: Vec::new(),
            host: HOST.to_owned(),
            tls: Tls::Starttls,
            ca: None,
            protocol: Protocol::Xmpp,
            users: Users {
                prefix: "user".to_owned(),
                first: 0,
                password: PASSWORD.to_owned(),
            },
        };
        let mut server = Self {
            child,
            folder,
            target,
            metrics: None,
        };
        server
            .wait_for(|| async move { TcpStream::connect(address).await.is_ok() })
            .await?;
        Ok(server)
    }

    /// Waits until that is so.
    pub(super) async fn wait_for<F: Future<Output = bool>>(
        &mut self,
        is_so: impl Fn() -> F,
    ) -> Result<()> {
        let deadline = now() + nanos(START_TIMEOUT);
        while !is_so().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}; {}", self.last_words());
            }
            if now() > deadline {
                bail!(
                    "it is not ready after {START_TIMEOUT:?}; {}",
                    self.last_words()
                );
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn pid(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// It alone.
    pub(super) fn part(&self) -> Result<Part> {
        Ok(Part::server(
            vec![self.pid()?],
            self.metrics.into_iter().collect(),
        ))
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let mut text = String::new();
        for log in ["output.log", "server.log"] {
            let bytes = std::fs::read(self.folder().join(log)).unwrap_or_default();
            let end = &bytes[bytes.len().saturating_sub(LAST_WORDS_BYTES)..];
            text += &String::from_utf8_lossy(end);
        }
        format!("its log ends with:\n{}", text.trim())
    }

    /// Ends it; what it kept goes with it.
    pub(super) async fn end(mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            self.child.kill().await?;
        }
        Ok(())
    }
}
