//! `starling-check`: one run against one server, and what it proves.
//!
//! This file reads the command line. It ends with 1 if a promise was broken.

use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use starling_check::cluster::{self, Size};
use starling_check::faults::Fault;
use starling_check::rival::Rival;
use starling_check::target::Target;
use starling_check::{Report, Script, life};

#[derive(Parser)]
#[command(about = "Proves from what clients saw that a server kept its promises.")]
struct Arguments {
    /// The program starling, which is started with an empty store.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["command", "server"])]
    starling: Option<PathBuf>,
    /// Starts it as a cluster, with an etcd and a Cassandra: edges and session
    /// nodes, as in 2,3.
    #[arg(long, value_name = "EDGES,SESSIONS", requires = "starling", value_parser = size)]
    cluster: Option<Size>,
    /// A folder on a small file system for its data, which `full` fills up.
    #[arg(long, value_name = "FOLDER", requires = "starling")]
    room: Option<PathBuf>,
    /// A folder for what its processes write.
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// A command that runs a server in the foreground; needs --server.
    #[arg(long, value_name = "COMMAND", requires = "server")]
    command: Option<String>,
    /// A server of others, as Debian packages it: prosody, prosody-files,
    /// ejabberd, ejabberd-mnesia.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["starling", "command", "server"])]
    rival: Option<String>,
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
    /// How many of them are devices of one account.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    devices: u32,
    /// Clients send again, when a session cannot be resumed, what they do not
    /// know the fate of.
    #[arg(long)]
    send_again: bool,
    /// Seconds after which it ends with fewer.
    #[arg(long, default_value_t = 3_600)]
    seconds_max: u64,
    /// In how many of 10,000 bursts a client loses its connection.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    cuts: u64,
    /// Milliseconds for which a client is silent after each burst of messages, at
    /// most; half of it on average.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    silence: u64,
    /// What happens to the server: kill, stop, halt, shut, slow, full; crash for
    /// each failpoint of a debug build, or one of those by its name; of a cluster
    /// kill-session, stop-session, halt-session, shut-session, part-session,
    /// slow-session, kill-edge, stop-edge, halt-edge, kill-etcd, halt-etcd,
    /// part-etcd, kill-database, halt-database, part-database, slow-database;
    /// none. Without, most of them.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Milliseconds between two faults, on average.
    #[arg(long, default_value_t = 4_000)]
    fault_every: u64,
    /// Goes on until every fault has happened, also when enough is acknowledged.
    #[arg(long)]
    thorough: bool,
    /// The script; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// A file for everything that the clients saw, a line each.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

const FAULTS_OF_ONE: [&str; 4] = ["kill", "halt", "shut", "slow"];
const FAULTS_OF_MANY: [&str; 14] = [
    "shut",
    "slow",
    "kill-session",
    "stop-session",
    "halt-session",
    "shut-session",
    "part-session",
    "kill-edge",
    "halt-edge",
    "kill-etcd",
    "part-etcd",
    "halt-database",
    "part-database",
    "slow-database",
];

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut target = target(&arguments).await?;
    if let Some(folder) = &arguments.logs {
        std::fs::create_dir_all(folder)?;
        target.log_to(folder);
    }
    let script = script(&arguments)?;
    let history = life::run(&script, &mut target)
        .await
        .with_context(|| format!("the run with --seed {}", script.seed))?;
    if let Some(path) = &arguments.history {
        let mut file = BufWriter::new(File::create(path)?);
        for event in &history {
            writeln!(file, "{event}")?;
        }
        file.flush()?;
    }
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

/// Two numbers of at least one.
fn size(text: &str) -> Result<Size> {
    let (edges, sessions) = text.split_once(',').context("two numbers are needed")?;
    let (edges, sessions) = (edges.parse()?, sessions.parse()?);
    anyhow::ensure!(edges > 0 && sessions > 0, "there must be one of each");
    Ok(Size { edges, sessions })
}

async fn target(arguments: &Arguments) -> Result<Target> {
    if let Some(name) = &arguments.rival {
        let rival = Rival::named(name).with_context(|| format!("there is no rival {name}"))?;
        return Ok(rival.target()?);
    }
    Ok(
        match (&arguments.starling, &arguments.command, arguments.server) {
            (Some(path), ..) => match arguments.cluster {
                Some(size) => cluster::target(path, size).await?,
                None => Target::starling(path, arguments.room.as_deref())?,
            },
            (None, Some(command), Some(address)) => {
                Target::command(command, address, &arguments.host)?
            }
            (None, None, Some(address)) => Target::running(address, &arguments.host),
            _ => bail!("give --starling, --rival or --server"),
        },
    )
}

fn script(arguments: &Arguments) -> Result<Script> {
    let mut faults = Vec::new();
    let names: Vec<&str> = match (&*arguments.faults, arguments.cluster) {
        ([], None) => FAULTS_OF_ONE.to_vec(),
        ([], Some(_)) => FAULTS_OF_MANY.to_vec(),
        (names, _) => names.iter().map(String::as_str).collect(),
    };
    for name in names.into_iter().filter(|name| *name != "none") {
        let known = Fault::named(name);
        anyhow::ensure!(!known.is_empty(), "there is no fault {name}");
        faults.extend(known);
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => u64::from(std::process::id()),
    };
    Ok(Script {
        seed,
        clients: arguments.clients,
        devices: arguments.devices,
        sends_again: arguments.send_again,
        sends: arguments.sends,
        time_max: Duration::from_secs(arguments.seconds_max),
        cuts: arguments.cuts,
        silence: Duration::from_millis(arguments.silence),
        faults,
        is_thorough: arguments.thorough,
        fault_every: Duration::from_millis(arguments.fault_every),
        settle_max: Duration::from_secs(120),
    })
}
