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

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::progress::Progress;
use crate::report::Report;
use crate::run::{self, Plan};
use crate::scenario::Scenario;
use common::{Common, Wants};
use contender::{Contender, Setting};
use server::{Ground, Server};
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
    let groups = groups(&scenarios)?;
    let has_starling = arguments.servers.contains(&Contender::Starling);
    let ground = arguments.common.ground(has_starling)?;
    packages::have(&arguments.servers, arguments.no_install)?;
    server::allow_files();
    server::stay_on(&ground.load_cpus)?;
    let reports = arguments.out.join("reports");
    std::fs::create_dir_all(&reports)?;
    let mut course = Course {
        ground,
        reports,
        out: &arguments.out,
        progress: Progress::new(),
        outcome: Outcome::default(),
    };
    for round in 1..=arguments.rounds {
        for group in &groups {
            for setting in settings(group, &arguments.servers, round) {
                course.take(group, &setting, round).await?;
            }
        }
    }
    course.progress.end();
    course.outcome.tell()?;
    Ok(course.outcome.is_clean())
}

/// The scenarios by the server they are run on: one, and those that go on with
/// its server.
fn groups(scenarios: &[Scenario]) -> Result<Vec<&[Scenario]>> {
    if let Some(first) = scenarios.first().filter(|first| first.compare.continues) {
        bail!(
            "{} goes on with the server of another scenario: name that one before it",
            first.name
        );
    }
    let groups = scenarios.chunk_by(|_, next| next.compare.continues);
    let groups: Vec<&[Scenario]> = groups.collect();
    for group in &groups {
        for pair in group.windows(2) {
            ensure!(
                pair[0].compare.archive == pair[1].compare.archive,
                "{} goes on with the server of {}, with other settings of compare.archive",
                pair[1].name,
                pair[0].name
            );
        }
    }
    Ok(groups)
}

/// The name of a run's report.
fn file(report: &Report, round: u32) -> String {
    let label = report.label.replace(", ", "-").replace(' ', "-");
    format!("{}-{label}-{round}.json", report.scenario)
}

/// What is measured in a round, beginning with another one in each.
fn settings(group: &[Scenario], servers: &[Contender], round: u32) -> Vec<Setting> {
    let mut all: Vec<Setting> = Vec::new();
    let archives = group.first().map(|first| first.compare.archive.as_slice());
    for contender in servers {
        for archive in archives.unwrap_or_default() {
            let setting = Setting {
                contender: *contender,
                archive: *archive,
            };
            if group.iter().all(|scenario| contender.can(scenario))
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

/// A comparison under way.
struct Course<'a> {
    ground: Ground,
    reports: PathBuf,
    out: &'a Path,
    progress: Progress,
    outcome: Outcome,
}

impl Course<'_> {
    /// Runs scenarios on a server, one after another.
    async fn take(&mut self, group: &[Scenario], setting: &Setting, round: u32) -> Result<()> {
        let wants = Wants::of(group);
        let mut server = None;
        for scenario in group {
            let label = setting.label(scenario);
            let progress = &self.progress;
            progress.begin(&format!("round {round}, {}, {label}", scenario.name));
            let measured = async {
                if server.is_none() {
                    let started = setting.start(&self.ground, wants).await;
                    server = Some(started.with_context(|| format!("{label} cannot be started"))?);
                }
                let server = server.as_ref().context("no server")?;
                Box::pin(self.measure(scenario, server, &label)).await
            };
            match measured.await {
                Ok(report) => {
                    report.write(&self.reports.join(file(&report, round)))?;
                    self.progress.say(&summary::line(&report));
                    self.outcome.add(report);
                    self.outcome.write(self.out)?;
                }
                // One server that cannot be measured must not cost the others' figures,
                // but what follows on it would not be what it says it is.
                Err(error) => {
                    self.progress.say(&format!("failed: {error:#}"));
                    self.outcome
                        .fail(&scenario.name, &label, &format!("{error:#}"));
                    self.outcome.write(self.out)?;
                    break;
                }
            }
        }
        match server {
            Some(server) => server.end().await,
            None => Ok(()),
        }
    }

    async fn measure(&self, scenario: &Scenario, server: &Server, label: &str) -> Result<Report> {
        let report = run::run(&Plan {
            scenario,
            target: &server.target,
            label,
            server: &[server.part()?],
            cpus: &self.ground.load_cpus,
            kill: None,
            progress: &self.progress,
        })
        .await;
        report.with_context(|| server.last_words())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::groups;
    use crate::scenario::Scenario;

    fn scenario(name: &str, compare: &str) -> Scenario {
        let load = "[[load]]\nkind = 'idle'\nsessions = 1\n";
        Scenario::parse(name, &format!("[compare]\n{compare}\n{load}")).unwrap()
    }

    #[test]
    fn what_continues_is_run_on_the_server_before() {
        let [one, two] = ["one", "two"].map(|name| scenario(name, ""));
        let more = scenario("more", "continues = true");
        let all = [one, more.clone(), more.clone(), two];
        let sizes = groups(&all)
            .unwrap()
            .iter()
            .map(|group| group.len())
            .collect::<Vec<_>>();
        assert_eq!(sizes, [3, 1]);
        let error = groups(&all[1..]).unwrap_err().to_string();
        assert!(error.contains("more goes on"), "{error}");
        let other = [scenario("on", "archive = [true]"), more];
        assert!(groups(&other).is_err(), "the server is another one");
    }
}
