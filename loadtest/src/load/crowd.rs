//! Sessions that come online and wait for the load to begin. While they wait
//! they answer what servers ask, as clients have to.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::contacts;
use crate::clock::{Nanos, now};
use crate::negotiate::{self, Memory};
use crate::session::Session;
use crate::worker::Worker;

/// The longest a log-in may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);

/// Sessions by their place, as far as they are there.
pub(super) struct Crowd {
    places: usize,
    sessions: JoinSet<(usize, Option<Session>)>,
}

impl Crowd {
    /// Logs users in and does with each session what has to be done before;
    /// waits until that is done for all. Those that fail are recorded.
    pub(super) async fn gather<F>(
        worker: &Rc<Worker>,
        users: impl Iterator<Item = u64>,
        set_up: F,
    ) -> Self
    where
        F: AsyncFn(&mut Session) -> Result<()> + Clone + 'static,
    {
        let mut sessions = JoinSet::new();
        let (ready, mut are_ready) = mpsc::channel::<()>(1);
        for (place, user) in users.enumerate() {
            let (worker, ready, set_up) = (Rc::clone(worker), ready.clone(), set_up.clone());
            sessions.spawn_local(async move {
                let session = Box::pin(attend(&worker, user, set_up, ready)).await;
                let session =
                    session.map_err(|error| worker.recorder.failure(&format!("{error:#}")));
                (place, session.ok())
            });
        }
        drop(ready);
        // Nothing is ever sent: it ends when the last of them lets go.
        are_ready.recv().await;
        Self {
            places: sessions.len(),
            sessions,
        }
    }

    /// Logs users in.
    pub(super) async fn of(worker: &Rc<Worker>, users: impl Iterator<Item = u64>) -> Self {
        Self::gather(worker, users, async |_: &mut Session| Ok(())).await
    }

    /// The sessions, by their users' order, when the load begins.
    pub(super) async fn collect(mut self) -> Vec<Option<Session>> {
        let mut all: Vec<_> = std::iter::repeat_with(|| None).take(self.places).collect();
        while let Some(joined) = self.sessions.join_next().await {
            if let Ok((place, session)) = joined {
                all[place] = session;
            }
        }
        all
    }
}

async fn attend<F>(
    worker: &Rc<Worker>,
    user: u64,
    set_up: F,
    ready: mpsc::Sender<()>,
) -> Result<Session>
where
    F: AsyncFn(&mut Session) -> Result<()>,
{
    let mut session = {
        let _turn = worker.gate.acquire().await?;
        log_in(worker, user, &Memory::default(), now()).await?
    };
    // How long that may take is bounded for the load as a whole.
    let entries = worker.login.roster_entries;
    if entries > 0 {
        let filled = contacts::fill(&mut session, &worker.target.host, entries).await;
        filled.context("roster")?;
    }
    set_up(&mut session).await?;
    drop(ready);
    let mut begun = worker.begun.clone();
    tokio::select! {
        biased;
        result = begun.wait_for(|begun| *begun) => {
            result?;
        }
        result = session.idle() => result.context("while waiting for the load")?,
    }
    Ok(session)
}

/// A session; how long it took since that time is recorded.
pub(super) async fn log_in(
    worker: &Worker,
    user: u64,
    memory: &Memory,
    intended: Nanos,
) -> Result<Session> {
    let login = Box::pin(negotiate::session(worker, user, memory));
    let session = timeout(LOGIN_TIMEOUT, login).await;
    let session = session
        .context("it took too long")
        .and_then(|session| session);
    let session = session.context("log-in")?;
    worker.timers.login.record(intended, now());
    worker.online.add(1);
    Ok(session)
}

/// Ends sessions in order, all at once.
pub(super) async fn close(sessions: impl Iterator<Item = Session>) {
    /// Who does not take the end of a stream is left.
    const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
    let mut tasks = JoinSet::new();
    for session in sessions {
        tasks.spawn_local(timeout(CLOSE_TIMEOUT, session.close()));
    }
    while tasks.join_next().await.is_some() {}
}
