//! `cargo xtask test`: the steps, in order, and what each one runs.
//!
//! Cheap steps come first. All of them run even if one fails, so that one run
//! tells everything. They share one profile and one target folder, so that a
//! dependency is checked once and compiled once; only what is counted in
//! instructions has to be optimised, and has a profile of its own. How steps are timed and
//! counted is in `report`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::command::Command;
use crate::report::{Outcome, Report};
use crate::{cassandra, check, clients, etcd, instructions, tools, workspace};

/// Decides the cases of property tests, so that a change is judged by itself and
/// not by the cases it draws. `cargo test` alone draws others every time.
const CASES_SEED: &str = "6120";

/// What to leave out.
#[derive(Args)]
pub(crate) struct Options {
    /// Leaves a step out; may be given more than once.
    #[arg(long, value_name = "NAME", conflicts_with = "only")]
    skip: Vec<Step>,
    /// Runs only this step; may be given more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt finds nothing to change.
    Fmt,
    /// clippy finds nothing to warn of.
    Clippy,
    /// rustdoc finds nothing to warn of.
    Doc,
    /// Licences, sources and banned crates, by cargo-deny.
    Deny,
    /// Published weaknesses of dependencies, by cargo-deny.
    Advisories,
    /// Unit, contract, scenario and documentation tests.
    Test,
    /// What the hot path costs in instructions, against what was accepted.
    Instructions,
    /// Tests on a real etcd, installed when it is missing.
    Etcd,
    /// The CQL store against Apache Cassandra, which is fetched and started.
    Cql,
    /// Edges and session nodes as processes, on a real etcd and database.
    Cluster,
    /// Every scenario again, on three edges and three session nodes.
    ClusterScenarios,
    /// Nodes, etcd and the database die, hang and are cut off while people write.
    Faults,
    /// A Python client, slixmpp, against the binary.
    Slixmpp,
    /// A JavaScript client, @xmpp/client, against the binary.
    XmppJs,
    /// A receiver of traces, in Python on grpcio, against the binary.
    Otlp,
    /// Clients that talk while the binary is killed: nothing is lost or repeated.
    Check,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it runs only if `--only` names it: what takes long and measures
    /// rather than decides.
    fn is_by_name_only(self) -> bool {
        matches!(self, Self::Faults)
    }

    fn run(self) -> Result<Outcome> {
        match self {
            Self::Fmt => cargo(&["fmt", "--all", "--check"]).outcome(),
            Self::Clippy => cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])
            .outcome(),
            // Private items as well: a module's page names the parts it is made of.
            Self::Doc => cargo(&[
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ])
            .env(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private-intra-doc-links",
            )
            .outcome(),
            Self::Deny => tools::deny(&["check", "bans", "licenses", "sources"]),
            Self::Advisories => tools::advisories(),
            Self::Test => cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
                .args(&["--exclude", cassandra::PACKAGE])
                .env("PROPTEST_RNG_SEED", CASES_SEED)
                .counted(libtest_counts),
            Self::Instructions => instructions::tests(),
            Self::Etcd => etcd::tests(),
            Self::Cql => cassandra::tests(),
            Self::Cluster => cassandra::cluster(),
            Self::ClusterScenarios => cassandra::scenarios(),
            Self::Faults => cassandra::faults(),
            Self::Slixmpp => clients::slixmpp(),
            Self::XmppJs => clients::xmpp_js(),
            Self::Otlp => clients::otlp(),
            Self::Check => check::run(),
        }
    }
}

/// Runs the steps asked for and says how they went.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut report = Report::new();
    for step in Step::value_variants() {
        let is_named = options.only.contains(step);
        if (!options.only.is_empty() && !is_named) || options.skip.contains(step) {
            report.left_out(&step.name(), "by the command line");
        } else if step.is_by_name_only() && !is_named {
            report.left_out(&step.name(), "it takes minutes and runs when it is named");
        } else {
            report.step(&step.name(), || step.run());
        }
    }
    if report.is_empty() {
        bail!("every step was left out");
    }
    Ok(report.finish())
}

fn cargo(arguments: &[&str]) -> Command {
    Command::new("cargo")
        .args(arguments)
        .folder(&workspace::root())
}

/// What one line of a test binary's output adds: passed and failed tests.
pub(crate) fn libtest_counts(line: &str) -> Option<(u64, u64)> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut numbers = counts
        .split("; ")
        .map(|part| part.split(' ').next()?.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::libtest_counts;

    #[test]
    fn the_result_line_of_a_test_binary_is_counted() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(libtest_counts(line), Some((12, 3)));
        assert_eq!(libtest_counts("test foo ... ok"), None);
    }
}
