//! What runs, how often and where: the part of the command line that both ways
//! of comparing have, `compare` and `cluster`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::server::Ground;
use crate::scenario::Scenario;

/// Rounds are for medians, not for days.
const ROUNDS_MAX: u32 = 100;

#[derive(clap::Args)]
pub(super) struct Common {
    /// Files with scenarios; those that come with this program if there are none.
    scenarios: Vec<PathBuf>,
    /// Of the scenarios, only those whose name contains one of these.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<String>,
    /// The program starling.
    #[arg(long, value_name = "PATH", default_value = "target/release/starling")]
    pub(super) starling: PathBuf,
    /// How long each load counts, instead of what scenarios say.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// CPUs for the servers. By default the first one, and the others for the
    /// load.
    #[arg(long, value_name = "CPU", value_delimiter = ',')]
    server_cpus: Vec<usize>,
    /// CPUs for the load.
    #[arg(long, value_name = "CPU", value_delimiter = ',')]
    load_cpus: Vec<usize>,
    /// Keeps the servers' folders, with configurations and logs.
    #[arg(long)]
    keep: bool,
}

/// What scenarios want of the server that they are run on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    /// Accounts.
    pub(super) users: u64,
    /// Whether it is to tell of its queues.
    pub(super) metrics: bool,
}

impl Wants {
    pub(super) fn of(scenarios: &[Scenario]) -> Self {
        let users = scenarios.iter().map(Scenario::users);
        Self {
            users: users.max().unwrap_or_default(),
            metrics: scenarios.iter().any(|scenario| scenario.compare.metrics),
        }
    }
}

/// How often everything is run; each command has a default of its own.
pub(super) fn rounds() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX))
}

/// A time as scenarios have it: "5s".
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let deserializer = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    humantime_serde::deserialize(deserializer).map_err(|error| error.to_string())
}

impl Common {
    /// The scenarios that are wanted; `ours` if no files are named.
    pub(super) fn scenarios(
        &self,
        ours: impl FnOnce() -> Result<Vec<Scenario>>,
    ) -> Result<Vec<Scenario>> {
        let mut all = if self.scenarios.is_empty() {
            ours()?
        } else {
            let read = self.scenarios.iter().map(|path| Scenario::read(path));
            read.collect::<Result<Vec<_>>>()?
        };
        let is_wanted = |name: &str| self.only.iter().any(|part| name.contains(part));
        all.retain(|scenario| self.only.is_empty() || is_wanted(&scenario.name));
        for scenario in &mut all {
            if let Some(duration) = self.duration {
                scenario.run.duration = duration;
            }
            scenario.check()?;
        }
        ensure!(!all.is_empty(), "no scenario is left");
        Ok(all)
    }

    /// Where servers and load run.
    pub(super) fn ground(&self, has_starling: bool) -> Result<Ground> {
        let cpus = std::thread::available_parallelism()?.get();
        let (mut server, mut load) = (self.server_cpus.clone(), self.load_cpus.clone());
        if server.is_empty() && cpus > 1 {
            server = vec![0];
        }
        if load.is_empty() && cpus > 1 {
            load = (0..cpus).filter(|cpu| !server.contains(cpu)).collect();
        }
        if has_starling && !self.starling.exists() {
            bail!(
                "{} is not there: cargo build --release",
                self.starling.display()
            );
        }
        Ok(Ground {
            server_cpus: server,
            load_cpus: load,
            starling: self.starling.clone(),
            keeps: self.keep,
        })
    }
}
