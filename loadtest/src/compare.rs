//! Servers side by side: each is started with a folder of its own, gets the
//! users a scenario needs, is loaded and stopped; all in turn, in several
//! rounds, on the same CPUs. Nothing of the system's own services is touched.

pub(crate) mod certificate;
mod contender;
mod ejabberd;
mod packages;
mod prosody;
mod relay;
mod server;
mod starling;
mod suite;
mod summary;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::progress::Progress;
use crate::report::Report;
use crate::run::{self, Plan};
use crate::scenario::Scenario;
use contender::{Contender, Setting};
use server::Ground;
use summary::Outcome;

/// Rounds are for medians, not for days.
const ROUNDS_MAX: u32 = 100;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Files with scenarios; those that come with this program if there are none.
    scenarios: Vec<PathBuf>,
    /// Of the scenarios, only those whose name contains one of these.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<String>,
    /// Which servers.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "starling,prosody,ejabberd,relay"
    )]
    servers: Vec<Contender>,
    /// The program starling.
    #[arg(long, value_name = "PATH", default_value = "target/release/starling")]
    starling: PathBuf,
    /// How often everything is run; the median is told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    rounds: u32,
    /// How long each load counts, instead of what scenarios say.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// CPUs for the server. By default the first one, and the others for the
    /// load.
    #[arg(long, value_name = "CPU", value_delimiter = ',')]
    server_cpus: Vec<usize>,
    /// CPUs for the load.
    #[arg(long, value_name = "CPU", value_delimiter = ',')]
    load_cpus: Vec<usize>,
    /// Fails instead of installing packages that are missing.
    #[arg(long)]
    no_install: bool,
    /// Keeps the servers' folders, with configurations and logs.
    #[arg(long)]
    keep: bool,
    /// Folder for the comparison and the reports of all runs.
    #[arg(long, default_value = "loadtest-compare")]
    out: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    let deserializer = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    humantime_serde::deserialize(deserializer).map_err(|error| error.to_string())
}

/// Compares; whether nothing failed anywhere.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let scenarios = scenarios(arguments)?;
    let ground = ground(arguments)?;
    packages::have(&arguments.servers, arguments.no_install)?;
    server::allow_files();
    server::stay_on(&ground.load_cpus)?;
    let reports = arguments.out.join("reports");
    std::fs::create_dir_all(&reports)?;
    let progress = Progress::new();
    let mut outcome = Outcome::default();
    for round in 1..=arguments.rounds {
        for scenario in &scenarios {
            for setting in settings(scenario, &arguments.servers, round) {
                let label = setting.label(scenario);
                progress.begin(&format!("round {round}, {}, {label}", scenario.name));
                match Box::pin(once(scenario, &setting, &label, &ground, &progress)).await {
                    Ok(report) => {
                        let name = format!(
                            "{}-{}-{round}.json",
                            scenario.name,
                            label.replace(", ", "-").replace(' ', "-")
                        );
                        report.write(&reports.join(name))?;
                        progress.say(&summary::line(&report));
                        outcome.add(report);
                    }
                    // One server that cannot be measured must not cost the others' figures.
                    Err(error) => {
                        progress.say(&format!("failed: {error:#}"));
                        outcome.fail(&scenario.name, &label, &format!("{error:#}"));
                    }
                }
                outcome.write(&arguments.out)?;
            }
        }
    }
    progress.end();
    outcome.tell()?;
    Ok(outcome.is_clean())
}

fn scenarios(arguments: &Arguments) -> Result<Vec<Scenario>> {
    let mut all = if arguments.scenarios.is_empty() {
        suite::scenarios()?
    } else {
        let read = arguments.scenarios.iter().map(|path| Scenario::read(path));
        read.collect::<Result<Vec<_>>>()?
    };
    let is_wanted = |name: &str| arguments.only.iter().any(|part| name.contains(part));
    all.retain(|scenario| arguments.only.is_empty() || is_wanted(&scenario.name));
    for scenario in &mut all {
        if let Some(duration) = arguments.duration {
            scenario.run.duration = duration;
        }
        scenario.check()?;
    }
    ensure!(!all.is_empty(), "no scenario is left");
    Ok(all)
}

/// What is measured in a round, beginning with another one in each.
fn settings(scenario: &Scenario, servers: &[Contender], round: u32) -> Vec<Setting> {
    let mut all: Vec<Setting> = Vec::new();
    for contender in servers {
        for archive in &scenario.compare.archive {
            let setting = Setting {
                contender: *contender,
                archive: *archive,
            };
            if contender.can(scenario)
                && !(contender.has_one_setting()
                    && !all.is_empty()
                    && all.iter().any(|other| other.contender == *contender))
            {
                all.push(setting);
            }
        }
    }
    let begin = round as usize % all.len().max(1);
    all.rotate_left(begin);
    all
}

fn ground(arguments: &Arguments) -> Result<Ground> {
    let cpus = std::thread::available_parallelism()?.get();
    let (mut server, mut load) = (arguments.server_cpus.clone(), arguments.load_cpus.clone());
    if server.is_empty() && cpus > 1 {
        server = vec![0];
    }
    if load.is_empty() && cpus > 1 {
        load = (0..cpus).filter(|cpu| !server.contains(cpu)).collect();
    }
    if arguments.servers.contains(&Contender::Starling) && !arguments.starling.exists() {
        bail!(
            "{} is not there: cargo build --release",
            arguments.starling.display()
        );
    }
    Ok(Ground {
        server_cpus: server,
        load_cpus: load,
        starling: arguments.starling.clone(),
        keeps: arguments.keep,
    })
}

async fn once(
    scenario: &Scenario,
    setting: &Setting,
    label: &str,
    ground: &Ground,
    progress: &Progress,
) -> Result<Report> {
    let server = setting.start(ground, scenario.users()).await;
    let server = server.with_context(|| format!("{label} cannot be started"))?;
    let report = run::run(&Plan {
        scenario,
        target: &server.target,
        label,
        server: &[server.pid()?],
        cpus: &ground.load_cpus,
        progress,
    })
    .await;
    let report = report.with_context(|| server.last_words());
    server.end().await?;
    report
}
