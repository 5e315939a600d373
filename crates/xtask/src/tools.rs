//! Programs the checks need that do not come with Rust: installed on first use.
//!
//! Everything is put below `.cache/`, so that nothing has to be installed by
//! hand and nothing outside the checkout changes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::Command;
use crate::report::Outcome;
use crate::system;
use crate::workspace::{cache, root};

const DENY_VERSION: &str = "0.20.2";

/// Runs cargo-deny.
pub(crate) fn deny(arguments: &[&str]) -> Result<Outcome> {
    deny_command()?.args(arguments).outcome()
}

/// Looks for published weaknesses, if the list of them can be had.
pub(crate) fn advisories() -> Result<Outcome> {
    if !deny_command()?.args(&["fetch", "db"]).succeeds()? {
        let why = "the advisory database cannot be fetched from here";
        return Ok(Outcome::LeftOut(why.to_owned()));
    }
    deny(&["check", "advisories"])
}

fn deny_command() -> Result<Command> {
    let tools = cache().join("tools");
    let program = tools.join("bin").join("cargo-deny");
    if !Command::new(&program)
        .args(&["--version"])
        .succeeds_silently()
    {
        // Unoptimised: compiling it takes far longer than running it.
        let is_installed = Command::new("cargo")
            .args(&[
                "install",
                "cargo-deny",
                "--locked",
                "--debug",
                "--version",
                DENY_VERSION,
                "--root",
            ])
            .args(&[&tools])
            .succeeds()?;
        if !is_installed {
            bail!("cannot install cargo-deny {DENY_VERSION}");
        }
    }
    Ok(Command::new(program)
        .args(&["--config", ".deny.toml"])
        .folder(&root()))
}

/// A Python with the packages of `requirements` and nothing else.
pub(crate) fn python(requirements: &Path) -> Result<PathBuf> {
    let folder = cache().join("python");
    let python = folder.join("bin").join("python");
    install_once(&folder, &[requirements], || {
        system::PYTHON.provide()?;
        if !Command::new("python3")
            .args(&["-m", "venv", "--clear"])
            .args(&[&folder])
            .succeeds()?
        {
            bail!("python3 -m venv failed");
        }
        let install =
            Command::new(&python).args(&["-m", "pip", "install", "--quiet", "--requirement"]);
        if !install.args(&[requirements]).succeeds()? {
            bail!("pip cannot install {}", requirements.display());
        }
        Ok(())
    })
    .context("no Python environment for the clients")?;
    Ok(python)
}

/// A folder with `package.json` of `source` and its packages installed.
pub(crate) fn node(source: &Path) -> Result<PathBuf> {
    let folder = cache().join("node");
    let files = [
        source.join("package.json"),
        source.join("package-lock.json"),
    ];
    install_once(&folder, &[&files[0], &files[1]], || {
        system::NODE.provide()?;
        fs::create_dir_all(&folder)?;
        for file in &files {
            let name = file.file_name().context("a package file without a name")?;
            fs::copy(file, folder.join(name))?;
        }
        let install = Command::new("npm")
            .args(&["ci", "--no-audit", "--no-fund"])
            .folder(&folder);
        if !install.succeeds()? {
            bail!("npm ci failed");
        }
        Ok(())
    })
    .context("no Node.js packages for the clients")?;
    Ok(folder)
}

/// Runs `install` unless it has run for the same contents of `inputs`.
fn install_once(
    folder: &Path,
    inputs: &[&Path],
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut wanted = Vec::new();
    for input in inputs {
        wanted.extend(fs::read(input).with_context(|| format!("cannot read {}", input.display()))?);
    }
    let mark = folder.join(".installed");
    if fs::read(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    Ok(fs::write(mark, wanted)?)
}
