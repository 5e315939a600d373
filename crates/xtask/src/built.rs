//! What building every test of the workspace leaves: programs and test binaries.
//!
//! Steps run these themselves. A step that had Cargo build one package for it
//! would have the features of what that package depends on decided anew, and
//! hundreds of crates compiled once more.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::Command;
use crate::report::Outcome;
use crate::test::libtest_counts;
use crate::workspace::artifacts;

/// What `cargo test --workspace` runs.
pub(crate) struct Built {
    artifacts: Vec<Value>,
}

impl Built {
    /// Builds what is not up to date.
    pub(crate) fn now() -> Result<Self> {
        let arguments = ["test", "--workspace", "--locked", "--no-run"];
        let artifacts = artifacts(&arguments, Command::new("cargo"))?;
        Ok(Self { artifacts })
    }

    /// Where the program of this name is.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        self.artifacts
            .iter()
            .filter(|artifact| artifact["profile"]["test"] == false)
            .filter(|artifact| artifact["target"]["name"] == name)
            .find_map(executable)
            .with_context(|| format!("no package of the workspace has a program {name}"))
    }

    /// The test binary of this name in a package.
    pub(crate) fn test(&self, package: &str, name: &str) -> Result<Command> {
        self.tests_of(package)
            .find(|artifact| artifact["target"]["name"] == name)
            .and_then(command)
            .with_context(|| format!("{package} has no tests named {name}"))
    }

    /// Runs every test binary of a package with these arguments.
    pub(crate) fn run_all(&self, package: &str, arguments: &[&str]) -> Result<Outcome> {
        let mut sum = None;
        for test in self.tests_of(package).filter_map(command) {
            let outcome = test.args(arguments).counted(libtest_counts)?;
            sum = Some(match sum {
                None => outcome,
                Some(before) => outcome.and(before),
            });
        }
        let Some(sum) = sum else {
            bail!("{package} has no tests");
        };
        Ok(sum)
    }

    fn tests_of<'a>(&'a self, package: &'a str) -> impl Iterator<Item = &'a Value> {
        self.artifacts
            .iter()
            .filter(|artifact| artifact["profile"]["test"] == true)
            .filter(move |artifact| is_of(artifact, package))
    }
}

/// Cargo names a package by where it is: `path+file:///…/crates/NAME#0.1.0`, or
/// `…#NAME@0.1.0` where its folder has another name.
fn is_of(artifact: &Value, package: &str) -> bool {
    let id = artifact["package_id"].as_str().unwrap_or_default();
    let name = id.rsplit_once('#').map_or(id, |(folder, version)| {
        version.split_once('@').map_or_else(
            || folder.rsplit('/').next().unwrap_or_default(),
            |(name, _)| name,
        )
    });
    name == package
}

fn executable(artifact: &Value) -> Option<PathBuf> {
    artifact["executable"].as_str().map(PathBuf::from)
}

/// As Cargo runs a test: in the folder of its package.
fn command(artifact: &Value) -> Option<Command> {
    let folder = Path::new(artifact["manifest_path"].as_str()?).parent()?;
    Some(Command::new(executable(artifact)?).folder(folder))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_of;

    #[test]
    fn a_package_is_known_by_its_name_or_by_its_folder() {
        let named = json!({ "package_id": "path+file:///s/crates/wire#starling-wire@0.1.0" });
        assert!(is_of(&named, "starling-wire"));
        assert!(!is_of(&named, "wire"));
        let plain = json!({ "package_id": "path+file:///s/crates/xtask#0.1.0" });
        assert!(is_of(&plain, "xtask"));
        assert!(!is_of(&plain, "task"));
    }
}
