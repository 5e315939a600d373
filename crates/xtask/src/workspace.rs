//! Where things are: the root of the workspace, the cache folder, the binary.

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

/// Where the program `starling` is that the tests are built with. Asking for
/// another build of it would compile everything below it once more.
pub(crate) fn starling() -> Result<PathBuf> {
    let arguments = ["test", "--workspace", "--locked", "--no-run"];
    executable(&arguments, "starling")
}

/// Builds the program `starling` and tells where it is.
pub(crate) fn starling_alone(is_release: bool) -> Result<PathBuf> {
    let mut arguments = vec!["build", "--locked", "--package", "starling-server"];
    arguments.extend(["--bin", "starling"]);
    if is_release {
        arguments.push("--release");
    }
    executable(&arguments, "starling")
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
    built(
        &arguments,
        package,
        Command::new("cargo").env("CARGO_INCREMENTAL", "0"),
    )
}

fn executable(arguments: &[&str], name: &str) -> Result<PathBuf> {
    built(arguments, name, Command::new("cargo"))
}

fn built(arguments: &[&str], name: &str, cargo: Command) -> Result<PathBuf> {
    let messages = cargo
        .args(arguments)
        .args(&["--message-format", "json-render-diagnostics"])
        .folder(&root())
        .output()?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .filter(|message| message["profile"]["test"] == false)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where it put {name}"))
}
