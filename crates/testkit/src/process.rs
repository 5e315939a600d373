//! A program as a child process: started, awaited, killed, started again.
//!
//! It knows nothing of the program but the line that says it is ready.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::lifeline::Lifeline;

/// How long a program may take to be ready, or to end: a node that stops takes as
/// long as shards leave it. A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(360);

/// How to start a program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What a line of its standard output contains once it is ready.
    pub ready: String,
}

/// A running program, killed when dropped, or when the tests end.
pub struct Process {
    child: Child,
    _lifeline: Lifeline,
}

/// What a program did that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Program {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// If it is not ready in time, with what it wrote.
    pub async fn start(&self) -> Process {
        self.start_with(Stdio::piped()).await
    }

    /// The same, with what it writes to its standard error added to a file.
    ///
    /// # Panics
    /// As [`Program::start`], or if the file cannot be written.
    pub async fn start_logging(&self, log: &Path) -> Process {
        let file = File::options().create(true).append(true).open(log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        self.start_with(file.into()).await
    }

    async fn start_with(&self, err: Stdio) -> Process {
        let mut child = self.spawn(err);
        let lifeline = Lifeline::of(child.id());
        let Some(out) = child.stdout.take() else {
            panic!("{} has no output", self.path.display())
        };
        let mut lines = BufReader::new(out).lines();
        let mut seen = Vec::new();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let is_ready = line.contains(&self.ready);
                seen.push(line);
                if is_ready {
                    return true;
                }
            }
            false
        };
        if !timeout(DEADLINE, ready).await.unwrap_or(false) {
            let mut err = Vec::new();
            let _ = child.start_kill();
            if let Some(mut stream) = child.stderr.take() {
                let _ = timeout(DEADLINE, stream.read_to_end(&mut err)).await;
            }
            let (seen, err) = (seen.join("\n"), String::from_utf8_lossy(&err));
            panic!(
                "{} is not ready, it wrote:\n{seen}\n{err}",
                self.path.display()
            );
        }
        // What it writes later must not fill the pipes.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if let Some(mut err) = child.stderr.take() {
            tokio::spawn(async move { tokio::io::copy(&mut err, &mut tokio::io::sink()).await });
        }
        Process {
            child,
            _lifeline: lifeline,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn run(&self) -> Output {
        match timeout(DEADLINE, self.spawn(Stdio::piped()).wait_with_output()).await {
            Ok(Ok(output)) => Output {
                code: output.status.code(),
                out: String::from_utf8_lossy(&output.stdout).into_owned(),
                err: String::from_utf8_lossy(&output.stderr).into_owned(),
            },
            other => panic!(
                "{} {:?} did not end: {other:?}",
                self.path.display(),
                self.arguments
            ),
        }
    }

    fn spawn(&self, err: Stdio) -> Child {
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(err)
            .kill_on_drop(true)
            .spawn();
        child.unwrap_or_else(|error| panic!("cannot run {}: {error}", self.path.display()))
    }
}

impl Process {
    /// Its number, while it has not been seen to end.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Kills it at once, as `kill -9` does, and sees it gone.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub async fn kill(mut self) {
        if let Err(error) = self.child.kill().await {
            panic!("cannot kill the program: {error}");
        }
    }

    /// Sends it a signal, by name, as in `TERM`.
    ///
    /// # Panics
    /// If there is no program `kill`, or the process has ended.
    pub async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send SIG{name}"
        );
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Sees it end by itself and returns its exit code.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn ends(mut self) -> Option<i32> {
        match timeout(DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) => status.code(),
            other => panic!("the program did not end: {other:?}"),
        }
    }
}
