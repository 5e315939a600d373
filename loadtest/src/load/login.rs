//! Log-ins: users come and go, or all come at once and stay.

use std::rc::Rc;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::crowd::{self, Crowd};
use super::{Phases, Prepared, RATE_MAX, Share};
use crate::clock::now;
use crate::negotiate::Memory;
use crate::pace::Schedule;
use crate::scenario::{Mechanism, Mistakes};
use crate::session::Session;
use crate::worker::Worker;

pub(super) const WORK: &str = "log-ins";
const SESSIONS_MAX: u64 = 1_000_000;

/// Users who log in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    sessions: u64,
    /// Log-ins a second, of all users. Without it: as many at once as
    /// `login.at_once` lets, each user again as soon as the session has ended.
    rate: Option<f64>,
    /// Whether sessions stay; otherwise each ends at once and its user comes
    /// again.
    #[serde(default)]
    stay: bool,
}

impl Login {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("login.sessions", self.sessions, 1, SESSIONS_MAX);
        mistakes.range("login.rate", self.rate.unwrap_or(1.0), 0.001, RATE_MAX);
    }

    pub(super) fn users(&self) -> u64 {
        self.sessions
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let users: Vec<u64> = share
            .units(self.sessions)
            .map(|unit| first + unit)
            .collect();
        // They come once before, for what they have from then on.
        let has_before =
            worker.login.mechanism == Mechanism::Fast || worker.login.roster_entries > 0;
        let before = users.iter().copied().filter(move |_| has_before);
        let crowd = Crowd::of(worker, before).await;
        let (load, worker) = (Rc::new(self.clone()), Rc::clone(worker));
        let rate = load
            .rate
            .map(|rate| share.rate(rate, load.sessions) / users.len().max(1) as f64);
        Ok(Box::new(move |phases| {
            Box::pin(async move {
                let sessions: Vec<Session> = crowd.collect().await.into_iter().flatten().collect();
                let tokens = sessions
                    .iter()
                    .map(|session| (session.user, session.token.clone()));
                let mut tokens: std::collections::BTreeMap<u64, Option<String>> = tokens.collect();
                crowd::close(sessions.into_iter()).await;
                let mut running = JoinSet::new();
                for user in users {
                    let token = tokens.remove(&user).flatten();
                    let memory = Memory {
                        token,
                        resumption: None,
                    };
                    let user = User {
                        worker: Rc::clone(&worker),
                        number: user,
                        memory,
                        stays: load.stay,
                        rate,
                    };
                    running.spawn_local(user.run(phases));
                }
                while running.join_next().await.is_some() {}
            })
        }))
    }
}

struct User {
    worker: Rc<Worker>,
    number: u64,
    memory: Memory,
    stays: bool,
    /// Log-ins of this user by the second.
    rate: Option<f64>,
}

impl User {
    async fn run(mut self, phases: Phases) {
        let mut alarm = self.worker.timer.alarm();
        let mut schedule = self
            .rate
            .map(|rate| Schedule::new(phases.start, rate, self.number));
        let (work, end) = (self.worker.recorder.counter(WORK), phases.window.end);
        loop {
            let next = schedule.as_ref().map_or(phases.start, Schedule::peek);
            if next.max(now()) >= end {
                return;
            }
            alarm.at(next).await;
            let Ok(turn) = self.worker.gate.acquire().await else {
                return;
            };
            let intended = match &mut schedule {
                Some(schedule) => schedule.take_due(now()).unwrap_or(next),
                None => now(),
            };
            if now() >= end {
                return;
            }
            let session = crowd::log_in(&self.worker, self.number, &self.memory, intended).await;
            drop(turn);
            let session = match session {
                Ok(session) => session,
                Err(error) => {
                    self.worker.recorder.failure(&format!("{error:#}"));
                    continue;
                }
            };
            work.add(1, now());
            self.memory.token.clone_from(&session.token);
            if self.stays {
                return self.stay(session, phases).await;
            }
            crowd::close([session].into_iter()).await;
        }
    }

    async fn stay(&self, mut session: Session, phases: Phases) {
        let mut alarm = self.worker.timer.alarm();
        tokio::select! {
            () = alarm.at(phases.window.end) => crowd::close([session].into_iter()).await,
            result = session.idle() => if let Err(error) = result {
                self.worker.recorder.failure(&format!("login: {error:#}"));
            },
        }
    }
}
