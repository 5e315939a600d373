//! Sessions that lose their connections and come back: all at once, as when an
//! edge is lost, or whenever the server itself lets them go.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::crowd::{self, Crowd};
use super::{Phases, Prepared, Share};
use crate::clock::{Nanos, nanos, now};
use crate::negotiate::{Memory, NotResumed};
use crate::pace::Random;
use crate::scenario::Mistakes;
use crate::session::Session;
use crate::worker::Worker;

pub(super) const WORK: &str = "reconnections";
/// Totals: sessions that lost their connections, and how they came back.
pub(crate) const CUT_OFF: &str = "sessions cut off";
pub(crate) const RESUMED: &str = "sessions resumed";
pub(crate) const BEGUN_ANEW: &str = "sessions begun anew";
/// Connections that were lost while they were made; the client tries again.
pub(crate) const IN_VAIN: &str = "reconnections in vain";
const SESSIONS_MAX: u64 = 1_000_000;
const TIME_MAX: Duration = Duration::from_secs(3600);
/// What a client waits after it could not come back.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Sessions that come back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reconnect {
    sessions: u64,
    /// When all connections are cut, from the beginning of what counts. Without
    /// it: when the server cuts them.
    #[serde(default, with = "humantime_serde")]
    cut_after: Option<Duration>,
    /// Clients wait for a random part of this before they come back.
    #[serde(default, with = "humantime_serde")]
    spread: Duration,
    /// Whether they try to resume their sessions (XEP-0198).
    #[serde(default = "yes")]
    resume: bool,
    /// Whether they have the target's first address for themselves, until it does
    /// not take them any more: so that nobody else is hit when it goes.
    #[serde(default)]
    apart: bool,
}

fn yes() -> bool {
    true
}

impl Reconnect {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("reconnect.sessions", self.sessions, 1, SESSIONS_MAX);
        let most = TIME_MAX.as_secs_f64();
        mistakes.range(
            "reconnect.spread in seconds",
            self.spread.as_secs_f64(),
            0.0,
            most,
        );
        let cut_after = self.cut_after.unwrap_or_default().as_secs_f64();
        mistakes.range("reconnect.cut_after in seconds", cut_after, 0.0, most);
    }

    pub(super) fn users(&self) -> u64 {
        self.sessions
    }

    pub(super) fn is_apart(&self) -> bool {
        self.apart
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let users = share.units(self.sessions).map(|unit| first + unit);
        let crowd = Crowd::of(worker, users).await;
        let (load, worker) = (Rc::new(self.clone()), Rc::clone(worker));
        Ok(Box::new(move |phases| {
            Box::pin(async move {
                let mut running = JoinSet::new();
                for session in crowd.collect().await.into_iter().flatten() {
                    running.spawn_local(live(
                        Rc::clone(&worker),
                        Rc::clone(&load),
                        session,
                        phases,
                    ));
                }
                while running.join_next().await.is_some() {}
            })
        }))
    }
}

async fn live(worker: Rc<Worker>, load: Rc<Reconnect>, mut session: Session, phases: Phases) {
    let mut alarm = worker.timer.alarm();
    let mut random = Random::new(session.user);
    let mut cut = load
        .cut_after
        .map(|after| phases.window.begin + nanos(after));
    let (back, work) = (worker.recorder.timer("back"), worker.recorder.counter(WORK));
    loop {
        let wake = cut.unwrap_or(Nanos::MAX).min(phases.window.end);
        tokio::select! {
            () = alarm.at(wake) => {}
            _ = session.idle() => {}
        }
        let lost = now();
        if lost >= phases.window.end {
            return crowd::close([session].into_iter()).await;
        }
        // Invariant: a cut happens once, at its time or when the server was first.
        let lost = cut.take().map_or(lost, |cut| lost.min(cut));
        worker.recorder.total(CUT_OFF).add(1);
        let mut memory = Memory {
            token: session.token.clone(),
            resumption: session.resumption().filter(|_| load.resume),
        };
        let user = session.user;
        drop(session);
        let delay = (nanos(load.spread) as f64 * random.unit()) as Nanos;
        alarm.at(lost + delay).await;
        let Some(again) = come_back(&worker, user, &mut memory, phases).await else {
            worker.recorder.failure("reconnect: did not come back");
            return;
        };
        session = again;
        back.record(lost, now());
        work.add(1, now());
        worker.recorder.total("reconnections made").add(1);
        let how = match memory.resumption {
            Some(_) => RESUMED,
            None => BEGUN_ANEW,
        };
        worker.recorder.total(how).add(1);
    }
}

/// Whether a connection was lost while it was made: a server that dies takes those
/// with it that it has not looked at yet.
fn is_cut(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        )
    )
}

/// Tries until the deadline; a session that cannot be resumed is begun anew.
async fn come_back(
    worker: &Worker,
    user: u64,
    memory: &mut Memory,
    phases: Phases,
) -> Option<Session> {
    while now() < phases.deadline {
        let turn = worker.gate.acquire().await.ok()?;
        let error = match crowd::log_in(worker, user, memory, now()).await {
            Ok(session) => return Some(session),
            Err(error) => error,
        };
        drop(turn);
        if is_cut(&error) {
            worker.recorder.total(IN_VAIN).add(1);
        } else {
            worker.recorder.failure(&format!("reconnect: {error:#}"));
        }
        if error.downcast_ref::<NotResumed>().is_some() {
            memory.resumption = None;
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
    None
}
