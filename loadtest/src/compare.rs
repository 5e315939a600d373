//! Servers side by side: each is started with a folder of its own, gets the
//! users a scenario needs, is loaded and stopped; all in turn, in several
//! rounds, on the same CPUs. Nothing of the system's own services is touched.

pub(crate) mod certificate;
pub(crate) mod cluster;
mod common;
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

use anyhow::{Context as _, Result};

use crate::progress::Progress;
use crate::report::Report;
use crate::run::{self, Part, Plan};
use crate::scenario::Scenario;
use common::Common;
use contender::{Contender, Setting};
use server::Ground;
use summary::Outcome;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Which servers.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "starling,prosody,ejabberd,relay"
    )]
    servers: Vec<Contender>,
    /// How often everything is run; the median is told.
    #[arg(long, default_value_t = 3, value_parser = common::rounds())]
    rounds: u32,
    /// Fails instead of installing packages that are missing.
    #[arg(long)]
    no_install: bool,
    /// Folder for the comparison and the reports of all runs.
    #[arg(long, default_value = "loadtest-compare")]
    out: PathBuf,
}

/// Compares; whether nothing failed anywhere.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let scenarios = arguments.common.scenarios(suite::scenarios)?;
    let has_starling = arguments.servers.contains(&Contender::Starling);
    let ground = arguments.common.ground(has_starling)?;
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
                        report.write(&reports.join(file(&report, round)))?;
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

/// The name of a run's report.
fn file(report: &Report, round: u32) -> String {
    let label = report.label.replace(", ", "-").replace(' ', "-");
    format!("{}-{label}-{round}.json", report.scenario)
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
        server: &[Part::server(vec![server.pid()?])],
        cpus: &ground.load_cpus,
        progress,
    })
    .await;
    let report = report.with_context(|| server.last_words());
    server.end().await?;
    report
}
