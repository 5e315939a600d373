//! Clusters of Starling on this machine: so many edges and as many session
//! nodes, over an etcd and a database, beside one node that is everything
//! itself, on the same CPUs. What a message costs is told by role.
//!
//! - [`beneath`]: etcd and the database, started once for all sizes.
//! - [`nodes`]: the nodes of one size.
//! - [`table`]: what it comes to.

mod beneath;
mod nodes;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::common::{self, Common};
use super::server::{self, Ground, Server};
use super::summary::{self, Outcome};
use super::{file, starling, suite};
use crate::progress::Progress;
use crate::run::{self, Part, Plan};
use crate::scenario::Scenario;
use crate::target::Target;
use beneath::Beneath;
use nodes::Cluster;
use table::SINGLE;

/// Edges, and as many session nodes.
const SIZE_MAX: i64 = 32;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many edges, and as many session nodes, each cluster has.
    #[arg(
        long,
        value_name = "NODES",
        value_delimiter = ',',
        default_value = "1,2,4",
        value_parser = clap::value_parser!(u8).range(1..=SIZE_MAX)
    )]
    sizes: Vec<u8>,
    /// How often everything is run, each time with new nodes; the median is told.
    #[arg(long, default_value_t = 1, value_parser = common::rounds())]
    rounds: u32,
    /// Folder for the table, the comparison and the reports of all runs.
    #[arg(long, default_value = "loadtest-cluster")]
    out: PathBuf,
}

/// What is measured: one node, or so many of each kind.
enum Deployment {
    Single(Server),
    Cluster(Cluster),
}

/// Measures; whether nothing failed anywhere.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let scenarios = arguments.common.scenarios(suite::of_clusters)?;
    let ground = arguments.common.ground(true)?;
    server::allow_files();
    let progress = Progress::new();
    progress.begin("etcd and the database");
    // On the servers' CPUs, like all that is not the load.
    server::stay_on(&ground.server_cpus)?;
    let beneath = Beneath::start().await?;
    server::stay_on(&ground.load_cpus)?;
    let reports = arguments.out.join("reports");
    std::fs::create_dir_all(&reports)?;
    let mut outcome = Outcome::default();
    let sizes = arguments.sizes.iter().copied().map(Some);
    let sizes: Vec<Option<u8>> = std::iter::once(None).chain(sizes).collect();
    for round in 1..=arguments.rounds {
        for size in &sizes {
            let label = table::label(*size);
            progress.begin(&format!("round {round}, {label}: starts"));
            let deployment = Deployment::start(*size, round, &ground, &beneath, &scenarios).await;
            let deployment = match deployment {
                Ok(deployment) => deployment,
                // One size that cannot be measured must not cost the others' figures.
                Err(error) => {
                    progress.say(&format!("failed: {error:#}"));
                    outcome.fail("start", &label, &format!("{error:#}"));
                    continue;
                }
            };
            for scenario in &scenarios {
                progress.begin(&format!("round {round}, {label}, {}", scenario.name));
                let plan = Plan {
                    scenario,
                    target: deployment.target(),
                    label: &label,
                    server: &deployment.parts(&beneath)?,
                    cpus: &ground.load_cpus,
                    progress: &progress,
                };
                match Box::pin(run::run(&plan)).await {
                    Ok(report) => {
                        report.write(&reports.join(file(&report, round)))?;
                        progress.say(&summary::line(&report));
                        outcome.add(report);
                    }
                    Err(error) => {
                        let error = format!("{error:#}; {}", deployment.last_words());
                        progress.say(&format!("failed: {error}"));
                        outcome.fail(&scenario.name, &label, &error);
                    }
                }
                outcome.write(&arguments.out)?;
            }
            deployment.end().await?;
        }
    }
    progress.end();
    outcome.tell()?;
    table::tell(&outcome, &scenarios, &sizes, &arguments.out)?;
    Ok(outcome.is_clean())
}

impl Deployment {
    /// Starts what is measured, with the users that the scenarios need.
    async fn start(
        size: Option<u8>,
        round: u32,
        ground: &Ground,
        beneath: &Beneath,
        scenarios: &[Scenario],
    ) -> Result<Self> {
        let users = scenarios.iter().map(Scenario::users).max();
        let users = users.unwrap_or_default();
        let Some(size) = size else {
            let server = starling::start(ground, users, true).await;
            let server = server.with_context(|| format!("{SINGLE} cannot be started"))?;
            return Ok(Self::Single(server));
        };
        let name = format!("load{round}of{size}");
        let cluster = Cluster::start(ground, beneath, &name, size, users).await;
        cluster.map(Self::Cluster)
    }

    fn target(&self) -> &Target {
        match self {
            Self::Single(server) => &server.target,
            Self::Cluster(cluster) => &cluster.target,
        }
    }

    fn parts(&self, beneath: &Beneath) -> Result<Vec<Part>> {
        match self {
            Self::Single(server) => Ok(vec![Part::server(vec![server.pid()?])]),
            Self::Cluster(cluster) => {
                let mut parts = cluster.parts()?;
                parts.extend(beneath.parts());
                Ok(parts)
            }
        }
    }

    fn last_words(&self) -> String {
        match self {
            Self::Single(server) => server.last_words(),
            Self::Cluster(cluster) => cluster.last_words(),
        }
    }

    async fn end(self) -> Result<()> {
        match self {
            Self::Single(server) => server.end().await,
            Self::Cluster(cluster) => cluster.end().await,
        }
    }
}
