//! Catching up from archives (XEP-0313): users with messages in their archives
//! read them page by page.

use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::crowd::{self, Crowd};
use super::{Phases, Prepared, RATE_MAX, Share};
use crate::clock::now;
use crate::mark::filler;
use crate::pace::Schedule;
use crate::scan;
use crate::scenario::Mistakes;
use crate::session::Session;
use crate::worker::Worker;

pub(super) const WORK: &str = "archived messages";
/// Messages sent to fill archives: each is in that of either side.
pub(crate) const MADE: &str = "messages archived before";
const USERS_MAX: u64 = 500_000;
const MESSAGES_MAX: u64 = 1_000_000;
const PAGE_MAX: u64 = 10_000;
const BODY_BYTES: usize = 100;
/// Messages that are sent while the archives are filled, before the server has
/// to have taken them.
const FILL_BURST: u64 = 50;

/// Users who catch up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    users: u64,
    /// Messages that each user sends to another one before; zero if the archives
    /// have enough already.
    messages: u64,
    /// The largest page asked for.
    #[serde(default = "page")]
    page: u64,
    /// Messages after which a user has caught up.
    fetch: u64,
    /// Catch-ups a second, of all users. Without it: one after another.
    rate: Option<f64>,
}

fn page() -> u64 {
    50
}

impl Archive {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("archive.users", self.users, 2, USERS_MAX);
        mistakes.range("archive.messages", self.messages, 0, MESSAGES_MAX);
        mistakes.range("archive.page", self.page, 1, PAGE_MAX);
        mistakes.range("archive.fetch", self.fetch, 1, MESSAGES_MAX);
        mistakes.range("archive.rate", self.rate.unwrap_or(1.0), 0.001, RATE_MAX);
    }

    pub(super) fn users(&self) -> u64 {
        self.users
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let (load, of) = (self.clone(), Rc::clone(worker));
        let set_up = async move |session: &mut Session| {
            let next = first + (session.user - first + 1) % load.users;
            fill(session, &of.target.jid(next), load.messages).await?;
            of.recorder.total(MADE).add(load.messages);
            Ok(())
        };
        let users = share.units(self.users).map(|unit| first + unit);
        let crowd = Crowd::gather(worker, users, set_up).await;
        let (load, worker) = (Rc::new(self.clone()), Rc::clone(worker));
        Ok(Box::new(move |phases| {
            Box::pin(async move {
                let mut running = JoinSet::new();
                for session in crowd.collect().await.into_iter().flatten() {
                    running.spawn_local(read(
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

async fn fill(session: &mut Session, to: &str, messages: u64) -> Result<()> {
    let text = filler(BODY_BYTES);
    for number in 0..messages {
        let message =
            format!("<message to='{to}' type='chat' id='f{number}'><body>{text}</body></message>");
        session.send(message.as_bytes());
        if number % FILL_BURST == FILL_BURST - 1 || number == messages - 1 {
            session.request_acknowledgement();
            // Without stream management there is nothing but the socket to wait for.
            while session.backlog() > 0
                || session.has_stream_management() && session.acknowledged() != session.sent()
            {
                session.turn().await?;
                while let Some(range) = session.take()? {
                    let element = session.bytes(range);
                    let is_error = scan::attribute(element, "type") == Some(b"error");
                    ensure!(!is_error, "a message for the archive was refused");
                }
            }
        }
    }
    Ok(())
}

async fn read(worker: Rc<Worker>, load: Rc<Archive>, mut session: Session, phases: Phases) {
    if let Err(error) = repeat(&worker, &load, &mut session, phases).await {
        worker.recorder.failure(&format!("archive: {error:#}"));
    }
    crowd::close([session].into_iter()).await;
}

async fn repeat(
    worker: &Worker,
    load: &Archive,
    session: &mut Session,
    phases: Phases,
) -> Result<()> {
    let mut alarm = worker.timer.alarm();
    let rate = load.rate.map(|rate| rate / load.users as f64);
    let mut schedule = rate.map(|rate| Schedule::new(phases.start, rate, session.user));
    loop {
        let next = schedule.as_ref().map_or(phases.start, Schedule::peek);
        if next.max(now()) >= phases.window.end {
            return Ok(());
        }
        tokio::select! {
            () = alarm.at(next) => {}
            result = session.idle() => result?,
        }
        let intended = match &mut schedule {
            Some(schedule) => schedule.take_due(now()).unwrap_or(next),
            None => now(),
        };
        catch_up(worker, load, session).await?;
        worker.recorder.timer("catch-up").record(intended, now());
        worker.recorder.counter("catch-ups").add(1, now());
        worker.recorder.total("catch-ups made").add(1);
    }
}

async fn catch_up(worker: &Worker, load: &Archive, session: &mut Session) -> Result<()> {
    let (pages, messages) = (worker.recorder.timer("page"), worker.recorder.counter(WORK));
    let (mut fetched, mut after) = (0, String::new());
    while fetched < load.fetch {
        let begun = now();
        let max = load.page.min(load.fetch - fetched);
        let query = format!(
            "<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>{max}</max>{after}</set></query></iq>"
        );
        session.send(query.as_bytes());
        let count = std::cell::Cell::new(0);
        let fin = session
            .find(|element| {
                if scan::contains(element, "urn:xmpp:mam:2") && element.starts_with(b"<message") {
                    count.set(count.get() + 1);
                }
                element.starts_with(b"<iq") && scan::attribute(element, "id") == Some(b"mam")
            })
            .await?;
        pages.record(begun, now());
        messages.add(count.get(), now());
        worker
            .recorder
            .total("archived messages read")
            .add(count.get());
        fetched += count.get();
        let end = scan::child(&fin, "fin");
        let end = end.with_context(|| format!("no page: {}", String::from_utf8_lossy(&fin)))?;
        let is_complete = scan::attribute(end, "complete") == Some(b"true");
        let Some(last) = scan::text(&fin, "last").filter(|_| !is_complete && count.get() > 0)
        else {
            break;
        };
        after = format!("<after>{}</after>", String::from_utf8_lossy(last));
    }
    Ok(())
}
