//! A whole cluster on loopback, to try things by hand: etcd, a database, three
//! session nodes and three edges, as processes that outlive the command.
//!
//! - [`parts`]: how each part is started, and when it is ready.
//! - [`processes`]: which of them run, and their end.
//!
//! Everything is below `.cache/cluster`, and gone after `down`.

mod parts;
mod processes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use starling_testkit::cassandra;

use crate::command::Command;
use crate::report::say;
use crate::system::{ETCD, JAVA, MAVEN};
use crate::workspace;
use parts::Parts;
use processes::Processes;

/// What to do with the cluster.
#[derive(Subcommand)]
pub(crate) enum What {
    /// Starts it, and tells how to use it
    Up {
        /// Builds the program with optimisations, which takes minutes
        #[arg(long)]
        release: bool,
    },
    /// Tells whether it runs, and how it is
    Status,
    /// Ends it and removes all it kept
    Down,
}

/// What the commands that follow have to know.
const GUIDE: &str = "guide";

pub(crate) fn run(what: &What) -> Result<ExitCode> {
    let folder = workspace::cache().join("cluster");
    match what {
        What::Up { release } => up(&folder, *release)?,
        What::Status => status(&folder)?,
        What::Down => down(&folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn up(folder: &Path, is_release: bool) -> Result<()> {
    if Processes::read(folder)?.is_any_alive() {
        say("it is up already");
        return guide(folder);
    }
    remove(folder)?;
    for need in [&ETCD, &JAVA, &MAVEN] {
        need.provide()?;
    }
    cassandra::fetch().context("no Apache Cassandra")?;
    let starling = workspace::starling_alone(is_release)?;
    fs::create_dir_all(folder)?;
    let mut processes = Processes::read(folder)?;
    let started = start(folder, &starling, &mut processes);
    if let Err(why) = started {
        // What does not run whole is of no use to anybody. Its logs are.
        processes.kill();
        say(&format!("the logs are in {}", folder.display()));
        return Err(why);
    }
    guide(folder)
}

fn start(folder: &Path, starling: &Path, processes: &mut Processes) -> Result<()> {
    let mut parts = Parts::new(folder, starling, processes);
    say("starting etcd and the database");
    parts.beneath()?;
    say("starting three session nodes");
    parts.session_nodes()?;
    say("starting three edges");
    let edges = parts.edges()?;
    fs::write(folder.join(GUIDE), text(folder, starling, &edges))?;
    Ok(())
}

/// What somebody wants to know who has a cluster.
fn text(folder: &Path, starling: &Path, edges: &[parts::Edge]) -> String {
    let (starling, folder) = (starling.display(), folder.display());
    let mut text = String::from("\nA cluster serves \"localhost\" on this machine.\n\n");
    for edge in edges {
        let (name, starttls, tls) = (&edge.name, edge.starttls, edge.tls);
        text += &format!("  {name}        clients at {starttls} (STARTTLS), {tls} (TLS)\n");
    }
    let at = format!("--data {folder}/session-1");
    text += &format!(
        "
  add a user    {starling} {at} user add alice@localhost
  look          {starling} {at} cluster status
  drain a node  {starling} {at} node drain session-2
  logs          {folder}/*/log
  end it        cargo xtask cluster down

The certificates are self-signed: tell your client to trust them.
"
    );
    text
}

fn guide(folder: &Path) -> Result<()> {
    let text = fs::read_to_string(folder.join(GUIDE)).context(
        "its beginning was cut short: \"cargo xtask cluster down\" removes what there is",
    )?;
    say(&text);
    Ok(())
}

fn status(folder: &Path) -> Result<()> {
    let processes = Processes::read(folder)?;
    if !processes.is_any_alive() {
        bail!("it does not run: \"cargo xtask cluster up\" starts it");
    }
    for (name, is_alive) in processes.names() {
        if !is_alive {
            say(&format!(
                "{name} has ended: see {}/{name}/log",
                folder.display()
            ));
        }
    }
    let starling = processes.program().context("there are no nodes")?;
    Command::new(PathBuf::from(starling))
        .args(&["cluster", "status", "--data"])
        .args(&[folder.join("session-1")])
        .succeeds()?;
    guide(folder)
}

fn down(folder: &Path) -> Result<()> {
    let mut processes = Processes::read(folder)?;
    let was_there = folder.exists();
    processes.kill();
    remove(folder)?;
    say(match was_there {
        true => "it is gone, with all it kept",
        false => "there was none",
    });
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            Err(why).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
