//! The commands: what they are called with, and which part does the work.

use std::io::{Write as _, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::progress::Progress;
use crate::report::Report;
use crate::report::figures::order;
use crate::run::{self, Part, Plan};
use crate::scenario::Scenario;
use crate::target::TargetArguments;
use crate::{compare, html, process, relay, worker};

/// What is written beside the terminal's table.
const JSON: &str = "report.json";
const HTML: &str = "report.html";

#[derive(Parser)]
#[command(
    name = "loadtest",
    version,
    about = "Measures what an XMPP server costs and how fast it is."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios against a server that is there.
    Run(RunArguments),
    /// Starts servers, runs the same scenarios on each in turn, and compares.
    Compare(compare::Arguments),
    /// Starts clusters of Starling of several sizes, and tells what each part of
    /// them costs beside a single node.
    Cluster(compare::cluster::Arguments),
    /// Makes one page of several reports.
    Html(HtmlArguments),
    /// Hands bytes from one TLS connection to another: the floor below servers.
    Relay(relay::Arguments),
    /// Makes load as standard input says; started by the other commands.
    #[command(hide = true)]
    Worker,
}

#[derive(Args)]
struct RunArguments {
    /// Files with scenarios, run one after another.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    target: TargetArguments,
    /// What the server is called in reports.
    #[arg(long, default_value = "server")]
    label: String,
    /// The server's processes on this machine, to measure what they use; those
    /// they started belong to them.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// The same, by name.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Where the server serves its metrics (those that Prometheus reads, under
    /// "/metrics"): reports then tell of its queues.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    metrics: Vec<SocketAddr>,
    /// CPUs for the load, so that it does not take those of the server.
    #[arg(long, value_name = "CPU", value_delimiter = ',')]
    load_cpus: Vec<usize>,
    /// Folder for report.json and report.html; below it one for each scenario
    /// if there are several.
    #[arg(long, value_name = "FOLDER", default_value = "loadtest-report")]
    out: PathBuf,
}

#[derive(Args)]
struct HtmlArguments {
    /// JSON reports.
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// The page.
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
}

/// Does what the command line says. It ends with 1 if anything was lost,
/// repeated, refused or failed.
///
/// # Errors
/// When it cannot be done.
pub fn main() -> Result<ExitCode> {
    let command = Arguments::parse().command;
    if let Command::Worker = command {
        worker::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let is_clean = runtime.block_on(async {
        match command {
            Command::Run(arguments) => Box::pin(several(&arguments)).await,
            Command::Compare(arguments) => Box::pin(compare::run(&arguments)).await,
            Command::Cluster(arguments) => Box::pin(compare::cluster::run(&arguments)).await,
            Command::Relay(arguments) => relay::run(&arguments).await.map(|()| true),
            Command::Html(arguments) => page(&arguments).map(|()| true),
            Command::Worker => Ok(true),
        }
    })?;
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn several(arguments: &RunArguments) -> Result<bool> {
    let scenarios = arguments.scenarios.iter().map(|path| Scenario::read(path));
    let scenarios = scenarios.collect::<Result<Vec<_>>>()?;
    let target = arguments.target.resolve()?;
    let mut server = arguments.server_pid.clone();
    if let Some(name) = &arguments.server_name {
        let found = process::named(name);
        ensure!(!found.is_empty(), "there is no process {name}");
        server.extend(found);
    }
    let parts = match server.is_empty() {
        true => Vec::new(),
        false => vec![Part::server(server, arguments.metrics.clone())],
    };
    let progress = Progress::new();
    let mut is_clean = true;
    for scenario in &scenarios {
        progress.begin(&scenario.name);
        let plan = Plan {
            scenario,
            target: &target,
            label: &arguments.label,
            server: parts.as_slice(),
            cpus: &arguments.load_cpus,
            kill: None,
            progress: &progress,
        };
        let report = Box::pin(run::run(&plan))
            .await
            .with_context(|| scenario.name.clone())?;
        is_clean &= report.is_clean();
        let folder = match scenarios.as_slice() {
            [_] => arguments.out.clone(),
            _ => arguments.out.join(&scenario.name),
        };
        std::fs::create_dir_all(&folder)?;
        report.write(&folder.join(JSON))?;
        std::fs::write(folder.join(HTML), html::page(std::slice::from_ref(&report)))?;
        progress.end();
        tell(&report)?;
    }
    Ok(is_clean)
}

/// Figures and what went wrong, on standard output.
fn tell(report: &Report) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{} · {}", report.scenario, report.label)?;
    let mut figures: Vec<_> = report.figures.iter().collect();
    figures.sort_by_key(|(name, _)| order(name));
    for (name, value) in figures {
        writeln!(out, "  {name:<44} {:>14}", html::number(*value))?;
    }
    for (name, count) in report.totals.iter().filter(|(_, count)| **count > 0) {
        writeln!(out, "  {name:<44} {count:>14}")?;
    }
    for (name, count) in &report.failures {
        writeln!(out, "  failed {count} times: {name}")?;
    }
    Ok(())
}

fn page(arguments: &HtmlArguments) -> Result<()> {
    let reports = arguments.reports.iter().map(|path| Report::read(path));
    let reports = reports.collect::<Result<Vec<_>>>()?;
    let out = &arguments.out;
    std::fs::write(out, html::page(&reports)).with_context(|| out.display().to_string())
}
