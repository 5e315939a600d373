//! The worker processes of a run, and the talk with them.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Plan;
use crate::clock::{nanos, now};
use crate::load::Phases;
use crate::progress::{Progress, State};
use crate::record::Record;
use crate::worker::{Assignment, Saying};

/// Lines of workers that wait to be read.
const SAYINGS_MAX: usize = 256;
/// What workers may need after the deadline to end sessions and to report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(120);

/// Workers; gone when it is dropped.
pub(super) struct Crew {
    members: Vec<Member>,
    sayings: mpsc::Receiver<(usize, Result<Saying>)>,
    /// Ends with the members' outputs.
    _readers: JoinSet<()>,
    state: Vec<State>,
    prepare_max: Duration,
    deadline: u64,
}

struct Member {
    child: Child,
    input: ChildStdin,
}

impl Crew {
    pub(super) async fn start(plan: &Plan<'_>, workers: usize) -> Result<Self> {
        let program = std::env::current_exe()?;
        let (sender, sayings) = mpsc::channel(SAYINGS_MAX);
        let (mut members, mut readers) = (Vec::new(), JoinSet::new());
        for index in 0..workers {
            let mut command = pinned(plan.cpus, &program);
            command
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut child = command
                .kill_on_drop(true)
                .spawn()
                .context("a worker cannot be started")?;
            let input = child.stdin.take().context("a worker without input")?;
            let output = child.stdout.take().context("a worker without output")?;
            let sender = sender.clone();
            readers.spawn(async move {
                let mut lines = BufReader::new(output).lines();
                loop {
                    let saying = match lines.next_line().await {
                        Ok(Some(line)) => {
                            serde_json::from_str(&line).context("a worker said nonsense")
                        }
                        _ => Err(anyhow::anyhow!("worker {index} has ended")),
                    };
                    let is_last =
                        !matches!(saying, Ok(Saying::Progress { .. } | Saying::Ready { .. }));
                    if sender.send((index, saying)).await.is_err() || is_last {
                        return;
                    }
                }
            });
            members.push(Member { child, input });
        }
        let mut crew = Self {
            state: vec![State::default(); workers],
            members,
            sayings,
            _readers: readers,
            prepare_max: plan.scenario.run.prepare_max,
            deadline: 0,
        };
        crew.assign(plan).await?;
        Ok(crew)
    }

    async fn assign(&mut self, plan: &Plan<'_>) -> Result<()> {
        let of = self.members.len() as u64;
        for (index, member) in (0..).zip(&mut self.members) {
            let assignment = Assignment {
                scenario: plan.scenario.clone(),
                target: plan.target.clone(),
                index,
                of,
            };
            let line = serde_json::to_string(&assignment)? + "\n";
            member.input.write_all(line.as_bytes()).await?;
        }
        Ok(())
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.members
            .iter()
            .filter_map(|member| member.child.id())
            .collect()
    }

    /// Waits until everybody is there; how many that are.
    pub(super) async fn ready(&mut self, progress: &Progress) -> Result<u64> {
        let (mut waiting, mut all_online) = (self.members.len(), 0);
        let all = async {
            while waiting > 0 {
                let (index, saying) = self.sayings.recv().await.context("no worker is left")?;
                match saying? {
                    Saying::Ready { online: here } => {
                        all_online += here;
                        waiting -= 1;
                    }
                    Saying::Progress {
                        online,
                        failed,
                        counts,
                    } => {
                        self.state[index] = State {
                            online,
                            failed,
                            counts,
                        };
                        progress.preparing(&self.state);
                    }
                    Saying::Done(_) => bail!("a worker was done before it began"),
                }
            }
            Ok(all_online)
        };
        let limit = self.prepare_max;
        tokio::time::timeout(limit, all)
            .await
            .context("the load was not prepared in time")?
    }

    pub(super) async fn begin(&mut self, phases: &Phases) -> Result<()> {
        self.deadline = phases.deadline;
        let line = serde_json::to_string(phases)? + "\n";
        for member in &mut self.members {
            member.input.write_all(line.as_bytes()).await?;
        }
        Ok(())
    }

    /// Waits for what they have recorded.
    pub(super) async fn done(mut self, progress: &Progress) -> Result<Record> {
        let mut record = Record::default();
        let mut waiting = self.members.len();
        let all = async {
            while waiting > 0 {
                let (index, saying) = self.sayings.recv().await.context("no worker is left")?;
                match saying? {
                    Saying::Done(part) => {
                        record.merge(*part);
                        waiting -= 1;
                    }
                    Saying::Progress {
                        online,
                        failed,
                        counts,
                    } => {
                        self.state[index] = State {
                            online,
                            failed,
                            counts,
                        };
                        progress.running(&self.state);
                    }
                    Saying::Ready { .. } => {}
                }
            }
            anyhow::Ok(())
        };
        let limit = self.deadline.saturating_sub(now()) + nanos(REPORT_TIMEOUT);
        let in_time = tokio::time::timeout(Duration::from_nanos(limit), all).await;
        in_time.context("a worker did not end in time")??;
        for mut member in self.members {
            member.child.wait().await?;
        }
        Ok(record)
    }
}

/// This program, on those CPUs.
fn pinned(cpus: &[usize], program: &std::path::Path) -> Command {
    if cpus.is_empty() {
        return Command::new(program);
    }
    let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &list.join(",")]).arg(program);
    command
}
