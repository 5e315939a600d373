//! One process that makes load, on one thread: takes an assignment on standard
//! input, says on standard output how it goes and what it recorded. It decides
//! nothing.

use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};

use crate::load::{Phases, Prepared, Share};
use crate::record::{self, Record, Recorder};
use crate::route::Route;
use crate::scenario::{Login, Scenario};
use crate::target::Target;
use crate::timer::Timer;
use crate::{scram, tls};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// What all loads of a worker share.
pub(crate) struct Worker {
    pub(crate) target: Target,
    pub(crate) route: Route,
    pub(crate) login: Login,
    pub(crate) tls: tls::Connectors,
    pub(crate) salted: scram::Cache,
    pub(crate) recorder: Recorder,
    pub(crate) timers: Timers,
    /// Log-ins so far.
    pub(crate) online: record::Total,
    pub(crate) timer: Timer,
    /// How many may log in at a time.
    pub(crate) gate: Semaphore,
    /// Turns true when the load begins.
    pub(crate) begun: watch::Receiver<bool>,
}

/// Latencies that every load has.
pub(crate) struct Timers {
    pub(crate) login: record::Timer,
}

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) scenario: Scenario,
    pub(crate) target: Target,
    pub(crate) index: u64,
    pub(crate) of: u64,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Saying {
    /// How far it is.
    Progress {
        online: u64,
        failed: u64,
        /// Events by name since the window began.
        counts: Vec<(String, u64)>,
    },
    /// Everybody who can be there is: so many.
    Ready { online: u64 },
    /// That is what it recorded.
    Done(Box<Record>),
}

/// Does what standard input says.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = LocalSet::new().block_on(&runtime, work());
    // A session that cannot be closed must not keep the process.
    runtime.shutdown_background();
    done
}

async fn work() -> Result<()> {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let assignment: Assignment = read(&mut input).await?;
    let Assignment {
        scenario,
        target,
        index,
        of,
    } = assignment;
    allow_files(scenario.users().div_ceil(of))?;
    let (begin, begun) = watch::channel(false);
    let recorder = Recorder::default();
    let share = Share { index, of };
    let at_once = scenario.login.at_once.div_ceil(usize::try_from(of)?);
    let worker = Rc::new(Worker {
        tls: tls::Connectors::new(target.ca.as_deref(), scenario.login.tls_tickets)?,
        route: Route::new(target.addresses.clone(), scenario.apart())?,
        target,
        login: scenario.login.clone(),
        salted: scram::Cache::default(),
        timers: Timers {
            login: recorder.timer("login"),
        },
        online: recorder.total("log-ins"),
        recorder,
        timer: Timer::new()?,
        gate: Semaphore::new(at_once),
        begun,
    });
    let driver = tokio::task::spawn_local(worker.timer.clone().drive());
    let progress = tokio::task::spawn_local(progress(Rc::clone(&worker)));
    let prepared = prepare(&worker, &scenario, share).await?;
    say(&Saying::Ready {
        online: worker.online.get(),
    })?;
    let phases: Phases = read(&mut input).await?;
    worker.recorder.open(phases.window);
    let _ = begin.send(true);
    let mut running = JoinSet::new();
    for load in prepared {
        running.spawn_local(load(phases));
    }
    while let Some(done) = running.join_next().await {
        done?;
    }
    progress.abort();
    driver.abort();
    say(&Saying::Done(Box::new(worker.recorder.record())))
}

async fn prepare(worker: &Rc<Worker>, scenario: &Scenario, share: Share) -> Result<Vec<Prepared>> {
    let mut preparing = JoinSet::new();
    let mut first = 0;
    for load in &scenario.load {
        let (load, worker, begin) = (load.clone(), Rc::clone(worker), first);
        preparing.spawn_local(async move { load.prepare(&worker, share, begin).await });
        first += load_users(scenario, preparing.len() - 1);
    }
    let mut prepared = Vec::new();
    let all = async {
        while let Some(load) = preparing.join_next().await {
            prepared.push(load??);
        }
        anyhow::Ok(())
    };
    let limit = scenario.run.prepare_max;
    let in_time = tokio::time::timeout(limit, all).await;
    in_time.with_context(|| format!("the load was not prepared within {limit:?}"))??;
    Ok(prepared)
}

fn load_users(scenario: &Scenario, index: usize) -> u64 {
    scenario.load.get(index).map_or(0, |load| load.users())
}

async fn progress(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        let said = say(&Saying::Progress {
            online: worker.online.get(),
            failed: worker.recorder.failed(),
            counts: worker.recorder.counted(),
        });
        if said.is_err() {
            // Nobody listens any more: whoever started this is gone.
            std::process::exit(1);
        }
    }
}

async fn read<T: serde::de::DeserializeOwned>(input: &mut Lines<BufReader<Stdin>>) -> Result<T> {
    let Some(line) = input.next_line().await? else {
        bail!("the coordinator is gone");
    };
    Ok(serde_json::from_str(&line)?)
}

fn say(saying: &Saying) -> Result<()> {
    let mut line = serde_json::to_vec(saying)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// Files that a worker needs besides its sockets.
const FILES_BESIDES: u64 = 64;

/// Lets this process have a file for each session.
fn allow_files(sessions: u64) -> Result<()> {
    let needed = sessions + FILES_BESIDES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    let raised = Rlimit {
        current: Some(needed),
        maximum,
    };
    setrlimit(Resource::Nofile, raised).with_context(|| {
        let maximum = limit.maximum.unwrap_or_default();
        format!(
            "{needed} files are needed, and {maximum} allowed: raise `ulimit -Hn` or run.workers"
        )
    })
}
