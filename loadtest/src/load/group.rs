//! Sessions among which what one says comes to several: rooms, nodes, contacts.
//! How they came to be a group is left to the kinds of load.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::Result;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::crowd::Crowd;
use super::{BACKLOG_BYTES_MAX, Phases, crowd};
use crate::clock::{Nanos, SECOND, now};
use crate::mark::{self, Ledger, Template};
use crate::pace::Schedule;
use crate::record::{Counter, Timer};
use crate::scan;
use crate::session::Session;
use crate::worker::Worker;

/// How often those who wait for the last copies look whether all have come.
const LOOK_INTERVAL: Nanos = SECOND / 20;

/// How much is said in a group.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Of each member that says something, by the second.
    pub(super) rate: Option<f64>,
    /// Without a rate: what may be on its way at a time.
    pub(super) window: u32,
}

/// What is counted, under which names.
#[derive(Clone, Copy)]
pub(super) struct Names {
    /// Copies that arrived.
    pub(super) work: &'static str,
    /// How long they took.
    pub(super) series: &'static str,
}

/// A session of a group.
pub(super) struct Member {
    pub(super) session: Session,
    /// What it says, if it says anything.
    pub(super) template: Option<Template>,
    /// Whether it is told what it has said itself.
    pub(super) hears_itself: bool,
}

struct Shared {
    /// Copies of everything that is said.
    copies: u64,
    sent: Cell<u32>,
    arrived: Cell<u64>,
    has_room: Notify,
}

impl Shared {
    fn is_complete(&self) -> bool {
        self.arrived.get() >= u64::from(self.sent.get()) * self.copies
    }

    fn on_the_way(&self) -> u64 {
        let copies = u64::from(self.sent.get()) * self.copies;
        copies
            .saturating_sub(self.arrived.get())
            .div_ceil(self.copies)
    }
}

/// Groups of one size, and how they talk.
pub(super) struct Groups {
    /// All their sessions.
    pub(super) crowd: Crowd,
    /// Their numbers.
    pub(super) numbers: Vec<u64>,
    /// How many sessions each has.
    pub(super) size: u64,
    pub(super) pace: Pace,
    pub(super) names: Names,
}

impl Groups {
    /// The users in groups of these numbers, when the users of group 0 begin
    /// with `first`.
    pub(super) fn users(numbers: &[u64], size: u64, first: u64) -> impl Iterator<Item = u64> {
        let numbers = numbers.iter();
        numbers.flat_map(move |number| first + number * size..first + (number + 1) * size)
    }

    /// Lets them talk until the end. `members` tells of the sessions of a group
    /// what each of them does.
    pub(super) async fn run(
        self,
        worker: Rc<Worker>,
        members: impl Fn(u64, Vec<Session>) -> Vec<Member>,
        phases: Phases,
    ) {
        let (size, pace, names) = (self.size, self.pace, self.names);
        let mut sessions = self.crowd.collect().await.into_iter();
        let mut running = JoinSet::new();
        for number in self.numbers {
            let all = sessions.by_ref().take(usize::try_from(size).unwrap_or(0));
            let members = members(number, all.flatten().collect());
            let worker = Rc::clone(&worker);
            running.spawn_local(async move { run(&worker, members, pace, names, phases).await });
        }
        while running.join_next().await.is_some() {}
    }
}

/// Lets a group talk until the end.
async fn run(worker: &Rc<Worker>, members: Vec<Member>, pace: Pace, names: Names, phases: Phases) {
    let listeners = members.len() as u64;
    let own = members
        .iter()
        .any(|member| member.template.is_some() && !member.hears_itself);
    let shared = Rc::new(Shared {
        copies: listeners.saturating_sub(u64::from(own)).max(1),
        sent: Cell::new(0),
        arrived: Cell::new(0),
        has_room: Notify::new(),
    });
    let mut running = JoinSet::new();
    for member in members {
        let (worker, shared) = (Rc::clone(worker), Rc::clone(&shared));
        running.spawn_local(async move {
            let talk = Talk::new(&worker, member, shared, pace, names);
            if let Some(error) = talk.run(&worker, phases).await {
                worker
                    .recorder
                    .failure(&format!("{}: {error:#}", names.work));
            }
        });
    }
    while running.join_next().await.is_some() {}
    let total = |name: &str| worker.recorder.total(&format!("{} {name}", names.work));
    let wanted = u64::from(shared.sent.get()) * shared.copies;
    total("wanted").add(wanted);
    total("arrived").add(shared.arrived.get());
    total("lost").add(wanted.saturating_sub(shared.arrived.get()));
}

struct Talk {
    member: Member,
    shared: Rc<Shared>,
    pace: Pace,
    ledger: Ledger,
    series: Timer,
    work: Counter,
    repeated: crate::record::Total,
}

impl Talk {
    fn new(worker: &Worker, member: Member, shared: Rc<Shared>, pace: Pace, names: Names) -> Self {
        let recorder = &worker.recorder;
        Self {
            member,
            shared,
            pace,
            ledger: Ledger::default(),
            series: recorder.timer(names.series),
            work: recorder.counter(names.work),
            repeated: recorder.total(&format!("{} repeated", names.work)),
        }
    }

    async fn run(mut self, worker: &Worker, phases: Phases) -> Option<anyhow::Error> {
        let error = self.talk(worker, phases).await.err();
        self.repeated.add(self.ledger.repeated);
        crowd::close([self.member.session].into_iter()).await;
        error
    }

    async fn talk(&mut self, worker: &Worker, phases: Phases) -> Result<()> {
        let mut alarm = worker.timer.alarm();
        let speaks = self.member.template.is_some();
        let rate = self.pace.rate.filter(|_| speaks);
        let seed = self.member.session.user;
        let mut schedule = rate.map(|rate| Schedule::new(phases.start, rate, seed));
        loop {
            let time = now();
            let mut wake = phases.deadline;
            if time < phases.start {
                wake = phases.start;
            } else if time < phases.window.end {
                wake = phases.window.end;
                self.say(time, schedule.as_mut());
                let has_room = self.member.session.backlog() < BACKLOG_BYTES_MAX;
                if let Some(schedule) = schedule.as_ref().filter(|_| has_room) {
                    wake = schedule.peek().min(wake);
                }
            } else if time >= phases.deadline || self.shared.is_complete() {
                return Ok(());
            } else {
                wake = wake.min(time + LOOK_INTERVAL);
            }
            tokio::select! {
                biased;
                result = self.member.session.turn() => result?,
                () = alarm.at(wake) => {}
                () = self.shared.has_room.notified(), if speaks && rate.is_none() => {}
            }
            self.hear()?;
        }
    }

    fn say(&mut self, time: Nanos, mut schedule: Option<&mut Schedule>) {
        let Member {
            session,
            template: Some(template),
            ..
        } = &mut self.member
        else {
            return;
        };
        while session.backlog() < BACKLOG_BYTES_MAX {
            let due = match &mut schedule {
                Some(schedule) => schedule.take_due(time),
                None => (self.shared.on_the_way() < u64::from(self.pace.window)).then_some(time),
            };
            let Some(intended) = due else { break };
            let number = self.shared.sent.get();
            session.send(template.stamp(number, intended));
            self.shared.sent.set(number + 1);
        }
    }

    fn hear(&mut self) -> Result<()> {
        let (time, mut arrived) = (now(), 0);
        let Member {
            session,
            hears_itself,
            ..
        } = &mut self.member;
        while let Some(range) = session.take()? {
            let element = session.bytes(range);
            let Some((number, intended)) = mark::find(element) else {
                continue;
            };
            let from = scan::attribute(element, "from");
            let is_own = || from.is_none_or(|from| from == session.jid.as_bytes());
            if !*hears_itself && is_own() || number >= self.shared.sent.get() {
                continue;
            }
            if self.ledger.note(number) {
                self.series.record(intended, time);
                arrived += 1;
            }
        }
        self.work.add(arrived, time);
        self.shared.arrived.set(self.shared.arrived.get() + arrived);
        if arrived > 0 && self.pace.rate.is_none() {
            self.shared.has_room.notify_one();
        }
        Ok(())
    }
}
