//! One-to-one messages, in pairs: one session writes, the other reads. Paced,
//! or as many as may be on their way at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::crowd::{self, Crowd};
use super::{BACKLOG_BYTES_MAX, Phases, Prepared, RATE_MAX, Share};
use crate::clock::{Nanos, now};
use crate::mark::{self, Ledger, Template, filler};
use crate::pace::Schedule;
use crate::record::{Counter, Recorder, Timer, Total};
use crate::scan;
use crate::scenario::Mistakes;
use crate::session::Session;
use crate::timer::Alarm;
use crate::worker::Worker;

const PAIRS_MAX: u64 = 500_000;
const WINDOW_MAX: u32 = 10_000;
const BODY_BYTES_MAX: usize = 100_000;

/// Pairs of users, of whom one writes to the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chat {
    pairs: u64,
    /// Messages a second of all pairs. Without it: as fast as the window lets.
    rate: Option<f64>,
    /// Messages of a pair that may be on their way at a time, without a rate.
    #[serde(default = "one")]
    window: u32,
    /// Until when a message is on its way.
    #[serde(default)]
    until: Until,
    /// The writer asks what the server has taken after so many messages.
    #[serde(default = "one")]
    acknowledge_every: u32,
    #[serde(default = "body_bytes")]
    body_bytes: usize,
    /// Whether servers may keep messages; otherwise they carry the hint not to
    /// (XEP-0334).
    #[serde(default = "yes")]
    store: bool,
    /// Whether readers are online; otherwise messages wait for them.
    #[serde(default = "yes")]
    readers_online: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Until {
    /// The reader has it.
    #[default]
    Delivered,
    /// The server has answered for it.
    Acknowledged,
}

fn one() -> u32 {
    1
}

fn body_bytes() -> usize {
    100
}

fn yes() -> bool {
    true
}

impl Chat {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("chat.pairs", self.pairs, 1, PAIRS_MAX);
        mistakes.range("chat.rate", self.rate.unwrap_or(1.0), 0.001, RATE_MAX);
        mistakes.range("chat.window", self.window, 1, WINDOW_MAX);
        mistakes.range(
            "chat.acknowledge_every",
            self.acknowledge_every,
            1,
            WINDOW_MAX,
        );
        mistakes.range(
            "chat.body_bytes",
            self.body_bytes,
            mark::BYTES,
            BODY_BYTES_MAX,
        );
        if !self.readers_online && self.until == Until::Delivered {
            mistakes.note("chat.readers_online = false needs chat.until = \"acknowledged\"");
        }
    }

    pub(super) fn users(&self) -> u64 {
        self.pairs.saturating_mul(2)
    }

    /// Whether bytes that are handed on are all it needs.
    pub(crate) fn is_for_relays(&self) -> bool {
        self.readers_online && self.until == Until::Delivered
    }

    pub(super) fn work(&self) -> &'static str {
        if self.readers_online {
            "delivered"
        } else {
            "acknowledged"
        }
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let (chat, worker) = (self.clone(), Rc::clone(worker));
        let pairs: Vec<u64> = share.units(chat.pairs).collect();
        let per_pair = if chat.readers_online { 2 } else { 1 };
        let users = pairs.iter();
        let users = users.flat_map(|pair| (0..per_pair).map(move |side| first + 2 * pair + side));
        let crowd = Crowd::of(&worker, users).await;
        Ok(Box::new(move |phases| {
            Box::pin(async move {
                let mut sessions = crowd.collect().await.into_iter();
                let mut running = JoinSet::new();
                for pair in pairs {
                    let (writer, reader) = (sessions.next().flatten(), sessions.by_ref());
                    let reader = chat.readers_online.then(|| reader.next().flatten());
                    // Whoever is not there was recorded when that was noticed.
                    let (Some(writer), Some(reader)) =
                        (writer, reader.map_or(Some(None), |reader| reader.map(Some)))
                    else {
                        continue;
                    };
                    let reader_jid = worker.target.jid(first + 2 * pair + 1);
                    let pair = Pair::new(&chat, &worker, pair, writer, reader, &reader_jid);
                    let worker = Rc::clone(&worker);
                    running.spawn_local(async move {
                        if let Some(error) = pair.run(phases).await {
                            worker.recorder.failure(&format!("chat: {error:#}"));
                        }
                    });
                }
                while running.join_next().await.is_some() {}
            })
        }))
    }
}

struct Meters {
    message: Timer,
    acknowledgement: Timer,
    delivered: Counter,
    acknowledged: Counter,
    sent_total: Total,
    delivered_total: Total,
    lost: Total,
    repeated: Total,
    disordered: Total,
    refused: Total,
}

impl Meters {
    fn new(recorder: &Recorder) -> Self {
        Self {
            message: recorder.timer("message"),
            acknowledgement: recorder.timer("acknowledgement"),
            delivered: recorder.counter("delivered"),
            acknowledged: recorder.counter("acknowledged"),
            sent_total: recorder.total("messages sent"),
            delivered_total: recorder.total("messages delivered"),
            lost: recorder.total("messages lost"),
            repeated: recorder.total("messages repeated"),
            disordered: recorder.total("messages out of order"),
            refused: recorder.total("messages refused"),
        }
    }
}

struct Pair {
    window: u32,
    until: Until,
    acknowledge_every: u32,
    schedule: Option<f64>,
    seed: u64,
    writer: Session,
    reader: Option<Session>,
    template: Template,
    meters: Meters,
    alarm: Alarm,
    ledger: Ledger,
    sent: u32,
    /// What the writer had sent when it began.
    sent_before: u32,
    /// Intended times of what is not acknowledged yet.
    open: VecDeque<Nanos>,
}

impl Pair {
    fn new(
        chat: &Chat,
        worker: &Worker,
        number: u64,
        writer: Session,
        reader: Option<Session>,
        reader_jid: &str,
    ) -> Self {
        let to = reader.as_ref().map_or(reader_jid, |reader| &reader.jid);
        let hint = if chat.store {
            ""
        } else {
            "<no-store xmlns='urn:xmpp:hints'/>"
        };
        let filler = filler(chat.body_bytes);
        Self {
            window: chat.window,
            until: chat.until,
            acknowledge_every: chat.acknowledge_every,
            schedule: chat.rate.map(|rate| rate / chat.pairs as f64),
            seed: number,
            template: Template::new(
                &format!("<message to='{to}' type='chat' id='c'><body>"),
                &format!("{filler}</body>{hint}</message>"),
            ),
            meters: Meters::new(&worker.recorder),
            alarm: worker.timer.alarm(),
            ledger: Ledger::default(),
            sent: 0,
            sent_before: writer.sent(),
            open: VecDeque::new(),
            writer,
            reader,
        }
    }

    /// Runs to the end and says what ended it before.
    async fn run(mut self, phases: Phases) -> Option<anyhow::Error> {
        let error = self.talk(phases).await.err();
        let Meters {
            sent_total,
            delivered_total,
            lost,
            repeated,
            disordered,
            ..
        } = &self.meters;
        sent_total.add(u64::from(self.sent));
        if self.reader.is_some() {
            delivered_total.add(self.ledger.arrived);
            lost.add(u64::from(self.sent).saturating_sub(self.ledger.arrived));
            repeated.add(self.ledger.repeated);
            disordered.add(self.ledger.disordered);
        } else {
            lost.add(u64::from(self.sent.saturating_sub(self.acknowledged())));
        }
        crowd::close([Some(self.writer), self.reader].into_iter().flatten()).await;
        error
    }

    async fn talk(&mut self, phases: Phases) -> Result<()> {
        let rate = self.schedule;
        let mut schedule = rate.map(|rate| Schedule::new(phases.start, rate, self.seed));
        let mut is_ended = false;
        loop {
            let time = now();
            let mut wake = phases.deadline;
            if time < phases.start {
                wake = phases.start;
            } else if time < phases.window.end {
                wake = phases.window.end;
                self.write(time, schedule.as_mut());
                let has_room = self.writer.backlog() < BACKLOG_BYTES_MAX;
                if let Some(schedule) = schedule.as_ref().filter(|_| has_room) {
                    wake = schedule.peek().min(wake);
                }
            } else if time >= phases.deadline || self.is_done() {
                return Ok(());
            } else if !is_ended {
                is_ended = true;
                self.writer.request_acknowledgement();
            }
            self.turn(wake).await?;
            self.read()?;
        }
    }

    /// Waits until something was read or written, or until that time.
    async fn turn(&mut self, wake: Nanos) -> Result<()> {
        poll_fn(|context| {
            let mut is_ready = self.writer.poll_turn(context)?.is_ready();
            if let Some(reader) = &mut self.reader {
                is_ready |= reader.poll_turn(context)?.is_ready();
            }
            if is_ready || self.alarm.poll_at(context, wake).is_ready() {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await
    }

    fn write(&mut self, time: Nanos, schedule: Option<&mut Schedule>) {
        let before = self.sent;
        if let Some(schedule) = schedule {
            while self.writer.backlog() < BACKLOG_BYTES_MAX {
                let Some(intended) = schedule.take_due(time) else {
                    break;
                };
                self.send(intended);
            }
        } else {
            while self.on_the_way() < self.window && self.writer.backlog() < BACKLOG_BYTES_MAX {
                self.send(time);
            }
            if self.sent != before && self.until == Until::Acknowledged {
                self.writer.request_acknowledgement();
            }
        }
    }

    fn send(&mut self, intended: Nanos) {
        self.writer.send(self.template.stamp(self.sent, intended));
        self.sent += 1;
        if !self.writer.has_stream_management() {
            return;
        }
        self.open.push_back(intended);
        let is_asked = self.schedule.is_none() && self.until == Until::Acknowledged;
        if !is_asked && self.sent.is_multiple_of(self.acknowledge_every) {
            self.writer.request_acknowledgement();
        }
    }

    fn read(&mut self) -> Result<()> {
        while let Some(range) = self.writer.take()? {
            let element = self.writer.bytes(range);
            if scan::attribute(element, "type") == Some(b"error") {
                self.meters.refused.add(1);
            }
        }
        let time = now();
        let waiting = (self.sent - self.acknowledged()) as usize;
        let fresh = self.open.len().saturating_sub(waiting);
        for intended in self.open.drain(..fresh) {
            self.meters.acknowledgement.record(intended, time);
        }
        self.meters.acknowledged.add(fresh as u64, time);
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        let mut arrived = 0;
        while let Some(range) = reader.take()? {
            let Some((number, intended)) = mark::find(reader.bytes(range)) else {
                continue;
            };
            if number < self.sent && self.ledger.note(number) {
                self.meters.message.record(intended, time);
                arrived += 1;
            }
        }
        self.meters.delivered.add(arrived, time);
        Ok(())
    }

    /// Messages that the server has answered for.
    fn acknowledged(&self) -> u32 {
        let stanzas = self.writer.acknowledged().wrapping_sub(self.sent_before);
        // Until the first answer it is behind what came before the messages.
        if stanzas > u32::MAX / 2 {
            0
        } else {
            stanzas.min(self.sent)
        }
    }

    fn on_the_way(&self) -> u32 {
        match self.until {
            Until::Acknowledged => self.sent - self.acknowledged(),
            Until::Delivered => self.sent - u32::try_from(self.ledger.arrived).unwrap_or(self.sent),
        }
    }

    fn is_done(&self) -> bool {
        let is_delivered = self.reader.is_none() || self.ledger.arrived == u64::from(self.sent);
        is_delivered && self.open.is_empty()
    }
}
