//! The processes of the cluster, written down so that a later command finds
//! them. Each is known by its number and the moment it began, so that another
//! process which got its number later is never taken for it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Command;

/// The file they are written to, a line for each.
const FILE: &str = "processes";

/// How long one that was killed may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// All of them.
pub(super) struct Processes {
    file: PathBuf,
    all: Vec<Process>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    name: String,
    pid: u32,
    /// In ticks since the machine started.
    began: u64,
    program: String,
}

impl Processes {
    /// Those that are written down in a folder; none if it is not there.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text = match fs::read_to_string(&file) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {}", file.display()))?,
        };
        let all = text.lines().filter_map(Process::parse).collect();
        Ok(Self { file, all })
    }

    /// Starts one that outlives this command and its terminal, with all that it
    /// writes in a file, and writes it down.
    pub(super) fn start(
        &mut self,
        name: &str,
        mut program: Program,
        log: &Path,
    ) -> Result<Process> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        program
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            // Ctrl-C in the terminal is not meant for it.
            .process_group(0);
        let path = program.get_program().to_string_lossy().into_owned();
        let child = program
            .spawn()
            .with_context(|| format!("cannot run {path}"))?;
        let pid = child.id();
        let process = Process {
            name: name.to_owned(),
            pid,
            began: began(pid).with_context(|| format!("{path} ended at once"))?,
            program: path,
        };
        self.all.push(process.clone());
        let lines: Vec<String> = self.all.iter().map(Process::line).collect();
        fs::write(&self.file, lines.join("\n"))?;
        Ok(process)
    }

    pub(super) fn is_any_alive(&self) -> bool {
        self.all.iter().any(Process::is_alive)
    }

    /// Their names, and whether each is alive.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let all = self.all.iter();
        all.map(|process| (process.name.as_str(), process.is_alive()))
    }

    /// The program that the nodes run.
    pub(super) fn program(&self) -> Option<&str> {
        let mut all = self.all.iter();
        let node = all.find(|process| process.name.starts_with("session"));
        node.map(|process| process.program.as_str())
    }

    /// Ends all of them, those on which others depend last.
    pub(super) fn kill(&mut self) {
        for process in self.all.iter().rev() {
            process.kill();
        }
        self.all.clear();
    }
}

impl Process {
    fn line(&self) -> String {
        let Self {
            name,
            pid,
            began,
            program,
        } = self;
        format!("{name} {pid} {began} {program}")
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        Some(Self {
            name: words.next()?.to_owned(),
            pid: words.next()?.parse().ok()?,
            began: words.next()?.parse().ok()?,
            program: words.next()?.to_owned(),
        })
    }

    /// Whether it runs, and is not another with its number.
    pub(super) fn is_alive(&self) -> bool {
        began(self.pid) == Some(self.began)
    }

    fn kill(&self) {
        if !self.is_alive() {
            return;
        }
        let pid = self.pid.to_string();
        let _ = Command::new("kill").args(&["-s", "KILL", &pid]).succeeds();
        let looks = END_TIMEOUT.as_millis() / LOOK_INTERVAL.as_millis();
        for _ in 0..looks {
            if !self.is_alive() {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// When a process began; none if there is none, or if it has ended and only its
/// number is left.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its second field is a name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // The 22nd field of all; the state was the third.
    let began = fields.nth(18)?.parse().ok();
    began.filter(|_| state != "Z" && state != "X")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on failure")]

    use super::*;

    #[test]
    fn a_process_is_found_again_ended_and_not_confused_with_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Processes::read(folder.path()).unwrap();
        assert!(!processes.is_any_alive());
        let mut sleeper = Program::new("sleep");
        sleeper.arg("600");
        let log = folder.path().join("log");
        let started = processes.start("session-1", sleeper, &log).unwrap();
        let mut again = Processes::read(folder.path()).unwrap();
        assert_eq!(again.all, std::slice::from_ref(&started));
        assert_eq!(again.program(), Some("sleep"));
        assert!(again.is_any_alive());
        let other = Process {
            began: started.began + 1,
            ..started.clone()
        };
        assert!(!other.is_alive(), "another with its number");
        other.kill();
        assert!(started.is_alive());
        again.kill();
        assert!(!started.is_alive());
    }
}
