//! One process of a server.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::error::Error;
use crate::passage::Passage;
use crate::target::{Role, failed};

/// How long a process may take until it accepts connections, or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a node may take to end: it gives its shards away first, for five
/// minutes at most unless it is told otherwise.
const STOP_PATIENCE: Duration = Duration::from_secs(400);
/// How often it is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(20);
/// The exit status of a program that could not go on and has said why.
const ENDED: i32 = 1;
/// What arms a failpoint.
const FAILPOINT: &str = "STARLING_FAILPOINT";

/// How to start a server in the foreground.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Removed when the target is dropped.
    #[expect(dead_code, reason = "kept for its end")]
    pub(crate) data: Option<TempDir>,
    pub(crate) log: Option<PathBuf>,
}

/// What lies between a node and the rest of its cluster.
#[derive(Default)]
pub(crate) struct Ways {
    /// How others reach it.
    pub(crate) link: Option<Passage>,
    pub(crate) etcd: Option<Passage>,
    pub(crate) database: Option<Passage>,
}

impl Ways {
    pub(crate) fn all(&self) -> Vec<&Passage> {
        let all = [&self.link, &self.etcd, &self.database];
        all.into_iter().flatten().collect()
    }
}

/// A process, while it runs and while it does not.
pub(crate) struct Node {
    pub(crate) role: Role,
    pub(crate) ways: Ways,
    program: Program,
    /// Where it accepts connections once it is ready.
    listens: SocketAddr,
    child: Option<Child>,
    /// How it ended by itself the last time that was looked at.
    ended: Option<ExitStatus>,
    /// Whether it ends by itself when others have its place, as a node of a
    /// cluster must. Whatever runs nodes starts it again.
    pub(crate) may_end: bool,
}

impl Node {
    pub(crate) fn new(role: Role, program: Program, listens: SocketAddr) -> Self {
        Self {
            role,
            ways: Ways::default(),
            program,
            listens,
            child: None,
            ended: None,
            may_end: false,
        }
    }

    pub(crate) fn log_to(&mut self, path: PathBuf) {
        self.program.log = Some(path);
    }

    /// Starts it, unless it runs.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        if self.child.is_none() {
            self.spawn(None)?;
        }
        self.accepts().await
    }

    /// Starts it, to end by itself.
    pub(crate) async fn start_armed(&mut self, what: &str) -> Result<(), Error> {
        self.spawn(Some(what))?;
        match self.accepts().await {
            // It may have got there already.
            Err(_) if self.has_ended() => Ok(()),
            done => done,
        }
    }

    fn spawn(&mut self, armed: Option<&str>) -> Result<(), Error> {
        let Program {
            path,
            arguments,
            environment,
            log,
            ..
        } = &self.program;
        let output = |log: &PathBuf| File::options().create(true).append(true).open(log);
        let output = log.as_ref().map(output).transpose().map_err(failed)?;
        let (out, err) = match output {
            Some(file) => (file.try_clone().map_err(failed)?.into(), file.into()),
            None => (Stdio::null(), Stdio::null()),
        };
        let spawned = Command::new(path)
            .args(arguments)
            .envs(environment.iter().cloned())
            .envs(armed.map(|what| (FAILPOINT, what)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn();
        let missing = |error| Error::Target(format!("cannot run {}: {error}", path.display()));
        self.child = Some(spawned.map_err(missing)?);
        Ok(())
    }

    async fn accepts(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        while TcpStream::connect(self.listens).await.is_err() {
            self.lives()?;
            if self.child.is_none() {
                self.spawn(None)?;
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::Target(format!("{} is not there", self.listens)));
            }
            sleep(TRY_EVERY).await;
        }
        Ok(())
    }

    pub(crate) async fn kill(&mut self) -> Result<(), Error> {
        self.lives()?;
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Asks it to end; true if it did, false if it had to be killed.
    pub(crate) async fn stop(&mut self) -> Result<bool, Error> {
        self.lives()?;
        self.signal(Signal::TERM);
        let Some(mut child) = self.child.take() else {
            return Ok(true);
        };
        if let Ok(ended) = timeout(STOP_PATIENCE, child.wait()).await {
            ended?;
            return Ok(true);
        }
        child.kill().await?;
        Ok(false)
    }

    pub(crate) fn halt(&mut self, is_halted: bool) -> Result<(), Error> {
        self.lives()?;
        self.signal(if is_halted {
            Signal::STOP
        } else {
            Signal::CONT
        });
        Ok(())
    }

    /// Whether it is down, as far as was seen.
    pub(crate) const fn is_down(&self) -> bool {
        self.child.is_none()
    }

    /// Whether it has ended by itself; then it can be started again.
    pub(crate) fn has_ended(&mut self) -> bool {
        if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
            self.ended = Some(status);
            self.child = None;
        }
        self.child.is_none()
    }

    /// Whether it ended at a failpoint, as far as was seen.
    pub(crate) fn has_crashed(&self) -> bool {
        let signal = self.ended.and_then(|status| status.signal());
        signal == Some(Signal::ABORT.as_raw())
    }

    /// Asks it to end, as an operator does, and does not wait for it.
    pub(crate) fn dismiss(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn lives(&mut self) -> Result<(), Error> {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) if self.may_end && status.code() == Some(ENDED) => {
                self.child = None;
                Ok(())
            }
            Some(Ok(Some(status))) => Err(Error::Target(format!(
                "{:?} ended by itself: {status}",
                self.role
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
