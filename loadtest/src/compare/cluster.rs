//! Clusters of Starling on this machine: so many edges and as many session
//! nodes, over an etcd and a database, beside one node that is everything
//! itself, on the same CPUs. What a message costs is told by role.
//!
//! - [`beneath`]: etcd and the database, started once for all sizes.
//! - [`nodes`]: the nodes of one size.
//! - [`size`]: how many of each kind.
//! - [`table`]: what it comes to.

mod beneath;
mod nodes;
mod size;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::common::{self, Common, Wants};
use super::server::{self, Ground, Server};
use super::summary::{self, Outcome};
use super::{file, starling, suite};
use crate::progress::Progress;
use crate::run::{self, Kill, Part, Plan};
use crate::scenario::Scenario;
use crate::target::Target;
use beneath::Beneath;
use nodes::Cluster;
use size::Size;
use table::SINGLE;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many nodes each cluster has: 2 for two edges and two session nodes, 6+2
    /// for six edges and two session nodes.
    #[arg(
        long,
        value_name = "NODES",
        value_delimiter = ',',
        default_value = "1,2,4"
    )]
    sizes: Vec<Size>,
    /// Leaves out the one node that clusters are measured beside: where it could
    /// not hold all sessions.
    #[arg(long)]
    no_single: bool,
    /// Kills the first edge without a word, that long into the time that counts.
    /// For one scenario; there is no single node then.
    #[arg(long, value_name = "TIME", value_parser = common::duration)]
    kill_edge: Option<Duration>,
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
    arguments.check(&scenarios)?;
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
    let single = (!arguments.no_single && arguments.kill_edge.is_none()).then_some(None);
    let sizes: Vec<Option<Size>> = single.into_iter().chain(sizes).collect();
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
                    kill: match arguments.kill_edge {
                        Some(after) => Some(deployment.kill(after)?),
                        None => None,
                    },
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

impl Arguments {
    /// Refuses what would measure something else.
    fn check(&self, scenarios: &[Scenario]) -> Result<()> {
        if self.kill_edge.is_some() {
            ensure!(
                scenarios.len() == 1,
                "--kill-edge is for one scenario: what comes after it would lack the edge"
            );
            ensure!(
                self.sizes.iter().all(|size| size.edges > 1),
                "--kill-edge needs another edge that clients can go to: --sizes 2+1 or more"
            );
        }
        Ok(())
    }
}

impl Deployment {
    /// Starts what is measured, with the users that the scenarios need.
    async fn start(
        size: Option<Size>,
        round: u32,
        ground: &Ground,
        beneath: &Beneath,
        scenarios: &[Scenario],
    ) -> Result<Self> {
        let wants = Wants::of(scenarios);
        let Some(size) = size else {
            let server = starling::start(ground, wants, true).await;
            let server = server.with_context(|| format!("{SINGLE} cannot be started"))?;
            return Ok(Self::Single(server));
        };
        let name = format!("load{round}of{}and{}", size.edges, size.sessions);
        let cluster = Cluster::start(ground, beneath, &name, size, wants).await;
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
            Self::Single(server) => Ok(vec![server.part()?]),
            Self::Cluster(cluster) => {
                let mut parts = cluster.parts()?;
                parts.extend(beneath.parts());
                Ok(parts)
            }
        }
    }

    /// That the first edge is to die.
    fn kill(&self, after: Duration) -> Result<Kill> {
        match self {
            Self::Single(_) => bail!("a node that is alone has no edge to kill"),
            Self::Cluster(cluster) => Ok(Kill {
                after,
                pid: cluster.first_edge()?,
            }),
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
