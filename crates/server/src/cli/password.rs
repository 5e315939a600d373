//! Where a password comes from: a prompt, standard input or a file.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use console::Term;

/// Longest password that is read, in bytes; `SASLprep` may make it longer.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// How a password is given. Without an option it is asked for on a terminal,
/// and is the first line of standard input elsewhere.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// Read the password from the first line of this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Source {
    /// Reads it.
    pub(super) fn read(&self) -> anyhow::Result<String> {
        let password = if let Some(file) = &self.password_file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the password from {}", file.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        } else if std::io::stdin().is_terminal() {
            ask()?
        } else {
            let mut line = String::new();
            let mut input = std::io::stdin().lock();
            input
                .read_line(&mut line)
                .context("cannot read the password from standard input")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        };
        check(&password)?;
        Ok(password)
    }
}

fn ask() -> anyhow::Result<String> {
    let terminal = Term::stderr();
    let read = |prompt: &str| {
        terminal.write_str(prompt)?;
        terminal.read_secure_line()
    };
    let first = read("Password: ").context("cannot read the password")?;
    let second = read("Once more: ").context("cannot read the password")?;
    if first != second {
        bail!("the two passwords are not the same; nothing was changed");
    }
    Ok(first)
}

fn check(password: &str) -> anyhow::Result<()> {
    if password.is_empty() {
        bail!("the password is empty; nothing was changed");
    }
    if password.len() > PASSWORD_BYTES_MAX {
        bail!("the password is longer than {PASSWORD_BYTES_MAX} bytes; nothing was changed");
    }
    Ok(())
}
