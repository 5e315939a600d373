//! `starling-check`: one run against one server, and what it proves.
//!
//! This file reads the command line. It ends with 1 if a promise was broken.

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use starling_check::faults::Fault;
use starling_check::target::Target;
use starling_check::{Report, Script, life};

#[derive(Parser)]
#[command(about = "Proves from what clients saw that a server kept its promises.")]
struct Arguments {
    /// The program starling, which is started with an empty store.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["command", "server"])]
    starling: Option<PathBuf>,
    /// A command that runs a server in the foreground; needs --server.
    #[arg(long, value_name = "COMMAND", requires = "server")]
    command: Option<String>,
    /// Where a server speaks TLS from the first byte, with in-band registration.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<SocketAddr>,
    /// The host of the accounts on such a server.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Messages to be acknowledged before the run ends.
    #[arg(long, default_value_t = 20_000)]
    sends: u64,
    /// Clients that take part.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    clients: u32,
    /// Seconds after which it ends with fewer.
    #[arg(long, default_value_t = 3_600)]
    seconds_max: u64,
    /// In how many of 10,000 bursts a client loses its connection.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    cuts: u64,
    /// What happens to the server: kill, halt, shut, slow; or nothing.
    #[arg(long, value_delimiter = ',', default_value = "kill,halt,shut,slow")]
    faults: Vec<String>,
    /// Milliseconds between two faults, on average.
    #[arg(long, default_value_t = 4_000)]
    fault_every: u64,
    /// The script; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut target = target(&arguments)?;
    let script = script(&arguments)?;
    let history = life::run(&script, &mut target)
        .await
        .with_context(|| format!("the run with --seed {}", script.seed))?;
    let report = Report::of(&target.name, script.seed, &history);
    let mut out = stdout();
    if arguments.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        writeln!(out, "{report}")?;
    }
    let is_enough = report.verdict.acknowledged >= arguments.sends;
    if !is_enough {
        writeln!(std::io::stderr(), "fewer were acknowledged than asked for")?;
    }
    let is_kept = report.verdict.violations.is_empty() && is_enough;
    Ok(if is_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn target(arguments: &Arguments) -> Result<Target> {
    Ok(
        match (&arguments.starling, &arguments.command, arguments.server) {
            (Some(path), ..) => Target::starling(path)?,
            (None, Some(command), Some(address)) => {
                Target::command(command, address, &arguments.host)?
            }
            (None, None, Some(address)) => Target::running(address, &arguments.host),
            _ => bail!("give --starling or --server"),
        },
    )
}

fn script(arguments: &Arguments) -> Result<Script> {
    let mut faults = Vec::new();
    for name in arguments.faults.iter().filter(|name| *name != "none") {
        let known = Fault::ALL.into_iter().find(|fault| fault.name() == name);
        faults.push(known.with_context(|| format!("there is no fault {name}"))?);
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => u64::from(std::process::id()),
    };
    Ok(Script {
        seed,
        clients: arguments.clients,
        sends: arguments.sends,
        time_max: Duration::from_secs(arguments.seconds_max),
        cuts: arguments.cuts,
        faults,
        fault_every: Duration::from_millis(arguments.fault_every),
        settle_max: Duration::from_secs(60),
    })
}
