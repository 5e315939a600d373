//! Running another program with its output passed through.
//!
//! A program that is not there is an error that names it. What its exit means
//! is for the caller to say; [`Command::outcome`] and [`Command::counted`] are
//! the two usual readings.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Command as Child, Stdio};

use anyhow::{Context, Result};

use crate::report::Outcome;

/// A program to run.
pub(crate) struct Command {
    program: OsString,
    child: Child,
}

impl Command {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        let child = Child::new(&program);
        Self { program, child }
    }

    pub(crate) fn args<T: AsRef<OsStr>>(mut self, arguments: &[T]) -> Self {
        self.child.args(arguments);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.child.env(key, value);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.child.current_dir(folder);
        self
    }

    /// Runs it; true if it ended well.
    pub(crate) fn succeeds(mut self) -> Result<bool> {
        let status = self
            .child
            .status()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        Ok(status.success())
    }

    /// Runs it without showing anything; true if it is there and ended well.
    pub(crate) fn succeeds_silently(mut self) -> bool {
        self.child
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Runs it and returns what it wrote to its standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self
            .child
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if !output.status.success() {
            anyhow::bail!("{} ended with {}", self.program.display(), output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it as one check, which passes or fails.
    pub(crate) fn outcome(self) -> Result<Outcome> {
        Ok(if self.succeeds()? {
            Outcome::passed(1)
        } else {
            Outcome::failed(1)
        })
    }

    /// Runs it as many checks, which `count` finds in the lines it writes.
    pub(crate) fn counted(mut self, count: fn(&str) -> Option<(u64, u64)>) -> Result<Outcome> {
        let mut child = self
            .child
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let (mut passed, mut failed) = (0, 0);
        let output = child
            .stdout
            .take()
            .context("the output of the program is not piped")?;
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            writeln!(stdout(), "{line}")?;
            if let Some((more_passed, more_failed)) = count(line.trim_end()) {
                passed += more_passed;
                failed += more_failed;
            }
        }
        // A program that fails before it counts anything has failed once.
        if !child.wait()?.success() && failed == 0 {
            failed = 1;
        }
        Ok(Outcome::Counted { passed, failed })
    }
}
