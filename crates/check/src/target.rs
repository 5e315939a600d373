//! The server that is driven: one that runs already, or a process that is
//! started here and may be killed.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener as Listener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long a process may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// A server.
pub struct Target {
    /// What it is called in the report.
    pub name: String,
    /// The host whose accounts are used.
    pub host: String,
    /// Where it speaks TLS from the first byte.
    pub address: SocketAddr,
    program: Option<Program>,
    child: Option<Child>,
}

struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Removed when the target is dropped.
    _data: Option<TempDir>,
}

impl Target {
    /// One that runs, wherever that is; it cannot be killed.
    #[must_use]
    pub fn running(address: SocketAddr, host: &str) -> Self {
        Self {
            name: address.to_string(),
            host: host.to_owned(),
            address,
            program: None,
            child: None,
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
        Ok(Self {
            name: command.to_owned(),
            program: Some(Program {
                path,
                arguments: words.map(OsString::from).collect(),
                _data: None,
            }),
            ..Self::running(address, host)
        })
    }

    /// A Starling with an empty store on a free port.
    ///
    /// # Errors
    /// If there is no room for its data.
    pub fn starling(path: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Target(error.to_string());
        let data = TempDir::new().map_err(failed)?;
        // The port must be the same after every restart.
        let free = Listener::bind("127.0.0.1:0").map_err(failed)?;
        let address = free.local_addr().map_err(failed)?;
        let config = data.path().join("starling.toml");
        std::fs::write(&config, configuration(address)).map_err(failed)?;
        let mut arguments: Vec<OsString> = vec!["serve".into(), "--config".into()];
        arguments.extend([config.into(), "--data".into(), data.path().into()]);
        Ok(Self {
            name: "starling, one node".to_owned(),
            program: Some(Program {
                path: path.to_owned(),
                arguments,
                _data: Some(data),
            }),
            ..Self::running(address, "localhost")
        })
    }

    /// True if it is a process of ours.
    #[must_use]
    pub const fn can_be_killed(&self) -> bool {
        self.program.is_some()
    }

    /// Starts it, if it is ours to start, and waits until it accepts.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start(&mut self) -> Result<(), Error> {
        if let Some(program) = &self.program {
            let spawned = Command::new(&program.path)
                .args(&program.arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn();
            let path = program.path.display();
            self.child = Some(
                spawned.map_err(|error| Error::Target(format!("cannot run {path}: {error}")))?,
            );
        }
        let start = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(Error::Target(format!("{} ended: {status}", self.name)));
            }
            if start.elapsed() > START_MAX {
                return Err(Error::Target(format!("{} is not there", self.address)));
            }
            sleep(TRY_EVERY).await;
        }
        Ok(())
    }

    /// Kills it as `kill -9` does, and sees it gone.
    ///
    /// # Errors
    /// If it ended by itself before, which is worth knowing.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.lives()?;
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Halts it, so that it holds everything and does nothing.
    ///
    /// # Errors
    /// If it ended by itself before.
    pub fn halt(&mut self) -> Result<(), Error> {
        self.lives()?;
        self.signal(Signal::STOP);
        Ok(())
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Fails if the process ended by itself.
    ///
    /// # Errors
    /// With its exit status.
    pub fn lives(&mut self) -> Result<(), Error> {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => Err(Error::Target(format!(
                "{} ended by itself: {status}",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().and_then(Child::id);
        let id = id.and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

fn configuration(address: SocketAddr) -> String {
    format!(
        "[edge.tcp]\nlisten = \"127.0.0.1:0\"\ndirect_tls_listen = \"{address}\"\n\
         [edge.limits]\nregistrations_per_address_hour_max = 1_000_000\n\
         [host.\"localhost\"]\nregistration = true\n"
    )
}
