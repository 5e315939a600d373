//! Where things are: the root of the workspace, the cache folder, what is built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::Command;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// A folder for what the chores install, ignored by Git.
pub(crate) fn cache() -> PathBuf {
    root().join(".cache")
}

/// Builds the program `starling` and tells where it is.
pub(crate) fn starling_alone(is_release: bool) -> Result<PathBuf> {
    let mut arguments = vec!["build", "--locked", "--package", "starling-server"];
    arguments.extend(["--bin", "starling"]);
    if is_release {
        arguments.push("--release");
    }
    executable(&arguments, "starling", Command::new("cargo"))
}

/// Builds the program of a package in a profile and tells where it is. What is
/// built incrementally is other code, and here the code is what matters.
pub(crate) fn program(package: &str, profile: &str) -> Result<PathBuf> {
    let arguments = [
        "build",
        "--locked",
        "--profile",
        profile,
        "--package",
        package,
    ];
    executable(
        &arguments,
        package,
        Command::new("cargo").env("CARGO_INCREMENTAL", "0"),
    )
}

fn executable(arguments: &[&str], name: &str, cargo: Command) -> Result<PathBuf> {
    artifacts(arguments, cargo)?
        .iter()
        .filter(|artifact| artifact["target"]["name"] == name)
        .find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where it put {name}"))
}

/// What Cargo says that it built, or found built.
pub(crate) fn artifacts(arguments: &[&str], cargo: Command) -> Result<Vec<Value>> {
    let messages = cargo
        .args(arguments)
        .args(&["--message-format", "json-render-diagnostics"])
        .folder(&root())
        .output()?;
    Ok(messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}
