//! One run of a scenario: starts the workers, tells them when, watches the
//! processes meanwhile and puts everything together. What a worker does is the
//! work of `worker`; what comes of it, of `report`.

mod crew;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{nanos, now};
use crate::gauges;
use crate::load::Phases;
use crate::process::{self, Usage};
use crate::progress::Progress;
use crate::record::Window;
use crate::report::{Report, Role, Run};
use crate::scenario::Scenario;
use crate::target::Target;
use crew::Crew;
use watch::Watch;
pub(crate) use watch::until;

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
    /// A process that is not to live as long as the load.
    pub(crate) kill: Option<Kill>,
    pub(crate) progress: &'a Progress,
}

/// A process that dies without a word, that long into the time that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    pub(crate) after: Duration,
    pub(crate) pid: u32,
}

/// Processes that are told of together, with those they started.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) pids: Vec<u32>,
    /// Where they serve their metrics, if they do.
    pub(crate) metrics: Vec<SocketAddr>,
}

impl Part {
    /// A server of one kind of process.
    pub(crate) fn server(pids: Vec<u32>, metrics: Vec<SocketAddr>) -> Self {
        Self {
            name: "server".to_owned(),
            role: Role::Server,
            pids,
            metrics,
        }
    }
}

/// Runs it.
pub(crate) async fn run(plan: &Plan<'_>) -> Result<Report> {
    let scenario = plan.scenario;
    scenario.check()?;
    let needed = usize::try_from(scenario.users().div_ceil(SESSIONS_PER_WORKER_MAX))?;
    let workers = scenario.run.workers.max(needed);
    let before = usage(plan.server);
    let mut crew = Crew::start(plan, workers).await?;
    let prepared = crew.ready(plan.progress).await?;
    tokio::time::sleep(scenario.run.settle).await;
    let ready = usage(plan.server);
    let phases = phases(scenario);
    crew.begin(&phases).await?;
    let watch = Watch::new(plan.server, crew.pids());
    let metrics = plan.server.iter().flat_map(|part| part.metrics.clone());
    let metrics: Vec<SocketAddr> = metrics.collect();
    let (watched, gauges, record, killed) = tokio::join!(
        watch.run(phases.window),
        gauges::watch(&metrics, phases.window),
        crew.done(plan.progress),
        kill(plan.kill, phases.window),
    );
    killed?;
    let (gauges, record) = (gauges?, record?);
    Ok(Report::new(Run {
        scenario,
        label: plan.label,
        workers,
        prepared,
        before,
        ready,
        watched,
        gauges,
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

/// What the server itself uses, by part.
fn usage(parts: &[Part]) -> BTreeMap<String, Usage> {
    let server = parts.iter().filter(|part| part.role == Role::Server);
    let usage = |part: &Part| {
        let all = process::with_children(&part.pids).into_iter();
        let usages = all.filter_map(|pid| process::usage(pid, true));
        let usage = usages.fold(Usage::default(), Usage::plus);
        (part.name.clone(), usage)
    };
    server.map(usage).collect()
}

async fn kill(kill: Option<Kill>, window: Window) -> Result<()> {
    let Some(Kill { after, pid }) = kill else {
        return Ok(());
    };
    until(window.begin + nanos(after)).await;
    let pid = Pid::from_raw(i32::try_from(pid)?).context("no process to kill")?;
    Ok(kill_process(pid, Signal::KILL)?)
}
