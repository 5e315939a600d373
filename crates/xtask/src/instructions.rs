//! What the hot path costs in instructions, against what it cost when that was
//! last accepted. Instructions are the same on a busy machine.
//!
//! The program that is counted is `crates/cost`, built in a profile of its own,
//! so that the same source becomes the same code whatever else was built
//! before. How a profile is read
//! is in `callgrind`, how costs are kept and compared in `baseline`.

mod baseline;
mod callgrind;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Subcommand;

use crate::command::Command;
use crate::report::{Outcome, say};
use crate::system::VALGRIND;
use crate::workspace;
use crate::workspace::{cache, root};
use baseline::{Baseline, Cost};

/// Where compilers make other code of the same source, other numbers hold.
const ARCHITECTURE: &str = "x86_64";

/// The program that is counted.
const PACKAGE: &str = "starling-cost";

/// The profile of `Cargo.toml` that it is built with.
const PROFILE: &str = "counted";

/// What to do about costs.
#[derive(Subcommand)]
pub(crate) enum What {
    /// Counts, and takes the counts as what the hot path may cost from now on.
    Accept {
        /// Why it costs what it does now; kept beside the figures.
        #[arg(long, value_name = "REASON")]
        because: String,
    },
}

/// The chore.
pub(crate) fn run(what: &What) -> Result<()> {
    let What::Accept { because } = what;
    VALGRIND.provide()?;
    let mut costs = Baseline::new(because);
    for (case, cost) in count_all()? {
        say(&format!("{case}: {} instructions", cost.instructions));
        costs.add(case, &cost);
    }
    costs.write(&baseline_file())
}

/// The step of the test command: every case is one check.
pub(crate) fn tests() -> Result<Outcome> {
    if std::env::consts::ARCH != ARCHITECTURE {
        let why = format!("what was accepted was counted on {ARCHITECTURE}");
        return Ok(Outcome::LeftOut(why));
    }
    if let Err(error) = VALGRIND.provide() {
        return Ok(Outcome::LeftOut(format!("{error:#}")));
    }
    let accepted = Baseline::read(&baseline_file())?;
    let (mut passed, mut failed) = (0, 0);
    for (case, cost) in count_all()? {
        let verdict = accepted.judge(&case, &cost);
        say(&verdict.text);
        if verdict.is_within {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    if failed > 0 {
        say(&format!(
            "the profiles are in {}; if the cost is worth it, say why:\n    \
             cargo xtask instructions accept --because '…'",
            folder().display()
        ));
    }
    Ok(Outcome::Counted { passed, failed })
}

/// Counts every case of the program.
fn count_all() -> Result<Vec<(String, Cost)>> {
    let program = workspace::program(PACKAGE, PROFILE)?;
    fs::create_dir_all(folder())?;
    let cases = Command::new(&program).output()?;
    let count = |case: &str| Ok((case.to_owned(), count(&program, case)?));
    cases.lines().map(count).collect()
}

/// Runs one case below callgrind.
fn count(program: &Path, case: &str) -> Result<Cost> {
    let profile = folder().join(format!("{case}.callgrind"));
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(&profile);
    let units = Command::new("valgrind")
        .args(&["--quiet", "--tool=callgrind", "--compress-strings=no"])
        .args(&["--toggle-collect=starling_cost::counted*"])
        .args(&[out])
        .args(&[program])
        .args(&[case])
        .output()
        .with_context(|| format!("{case} cannot be counted"))?;
    let units: u64 = units.trim().parse().context("no number of units")?;
    let text = fs::read_to_string(&profile)
        .with_context(|| format!("there is no {}", profile.display()))?;
    let functions = callgrind::functions(&text);
    ensure!(
        units > 0 && !functions.is_empty(),
        "{case}: nothing was counted"
    );
    Ok(Cost::new(&functions, units))
}

fn folder() -> PathBuf {
    cache().join("instructions")
}

fn baseline_file() -> PathBuf {
    root().join("crates/cost/instructions.toml")
}
