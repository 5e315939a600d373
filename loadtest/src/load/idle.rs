//! Sessions that are there and do nothing: what they cost in memory.

use std::rc::Rc;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::crowd::{self, Crowd};
use super::{Phases, Prepared, Share};
use crate::scenario::Mistakes;
use crate::session::Session;
use crate::worker::Worker;

const SESSIONS_MAX: u64 = 1_000_000;

/// So many sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Idle {
    sessions: u64,
}

impl Idle {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("idle.sessions", self.sessions, 1, SESSIONS_MAX);
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
        let users = share.units(self.sessions).map(|unit| first + unit);
        let crowd = Crowd::of(worker, users).await;
        let worker = Rc::clone(worker);
        Ok(Box::new(move |phases| {
            Box::pin(async move {
                let sessions = crowd.collect().await.into_iter().flatten();
                let mut running = JoinSet::new();
                for session in sessions {
                    running.spawn_local(stay(Rc::clone(&worker), session, phases));
                }
                while running.join_next().await.is_some() {}
            })
        }))
    }
}

async fn stay(worker: Rc<Worker>, mut session: Session, phases: Phases) {
    let mut alarm = worker.timer.alarm();
    tokio::select! {
        () = alarm.at(phases.window.end) => crowd::close([session].into_iter()).await,
        result = session.idle() => if let Err(error) = result {
            worker.recorder.failure(&format!("idle: {error:#}"));
        },
    }
}
