//! One run of a scenario: starts the workers, tells them when, watches the
//! processes meanwhile and puts everything together. What a worker does is the
//! work of `worker`; what comes of it, of `report`.

mod crew;
mod watch;

use std::time::Duration;

use anyhow::Result;

use crate::clock::{nanos, now};
use crate::load::Phases;
use crate::process;
use crate::progress::Progress;
use crate::record::Window;
use crate::report::{Report, Role, Run};
use crate::scenario::Scenario;
use crate::target::Target;
use crew::Crew;
use watch::Watch;

/// From telling the workers to the beginning: they all have to hear of it.
const NOTICE: Duration = Duration::from_millis(300);
/// Sessions above which a worker of its own is used, whatever the scenario says.
const SESSIONS_PER_WORKER_MAX: u64 = 15_000;

/// What is to be run.
pub(crate) struct Plan<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) target: &'a Target,
    /// What the server is called in the report.
    pub(crate) label: &'a str,
    /// The server's processes, as far as they are on this machine.
    pub(crate) server: &'a [Part],
    /// The CPUs that workers may use; empty for any.
    pub(crate) cpus: &'a [usize],
    pub(crate) progress: &'a Progress,
}

/// Processes that are told of together, with those they started.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) pids: Vec<u32>,
}

impl Part {
    /// A server of one kind of process.
    pub(crate) fn server(pids: Vec<u32>) -> Self {
        Self {
            name: "server".to_owned(),
            role: Role::Server,
            pids,
        }
    }
}

/// Runs it.
pub(crate) async fn run(plan: &Plan<'_>) -> Result<Report> {
    let scenario = plan.scenario;
    scenario.check()?;
    let needed = usize::try_from(scenario.users().div_ceil(SESSIONS_PER_WORKER_MAX))?;
    let workers = scenario.run.workers.max(needed);
    let before = process_usage(plan.server);
    let mut crew = Crew::start(plan, workers).await?;
    let prepared = crew.ready(plan.progress).await?;
    tokio::time::sleep(scenario.run.settle).await;
    let ready = process_usage(plan.server);
    let phases = phases(scenario);
    crew.begin(&phases).await?;
    let watch = Watch::new(plan.server, crew.pids());
    let (watched, record) = tokio::join!(watch.run(phases.window), crew.done(plan.progress));
    let record = record?;
    Ok(Report::new(Run {
        scenario,
        label: plan.label,
        workers,
        prepared,
        before,
        ready,
        watched,
        record,
    }))
}

fn phases(scenario: &Scenario) -> Phases {
    let start = now() + nanos(NOTICE);
    let begin = start + nanos(scenario.run.warm_up);
    let end = begin + nanos(scenario.run.duration);
    Phases {
        start,
        window: Window { begin, end },
        deadline: end + nanos(scenario.run.drain),
    }
}

/// What the server itself uses.
fn process_usage(parts: &[Part]) -> process::Usage {
    let server = parts.iter().filter(|part| part.role == Role::Server);
    let all = server.flat_map(|part| process::with_children(&part.pids));
    let usages = all.filter_map(|pid| process::usage(pid, true));
    usages.fold(process::Usage::default(), process::Usage::plus)
}
