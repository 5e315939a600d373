//! A run: accounts are made, clients live by script, faults happen, everybody
//! comes home and settles, and some go for good so that ghosts show.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::device::{Device, Identity, RESUME_SECONDS};
use crate::dice::Dice;
use crate::error::Error;
use crate::faults::{self, Fault};
use crate::history::{History, Message, Recorder, What};
use crate::link::{Door, Link};
use crate::passage::Passage;
use crate::target::Target;
use crate::verdict;

/// Contacts of each client.
const CONTACTS: u32 = 3;
/// Messages that a client may have unacknowledged before it waits.
const WINDOW: usize = 48;
/// Messages sent at once, at most.
const BURST: u64 = 8;
/// How long after the end of a connection another is tried.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked whether something is over.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a session that ended may be seen, beyond the time it waits.
const GHOST_SLACK: Duration = Duration::from_secs(3);
const PASSWORD: &str = "Call me but love";

/// What a run does.
#[derive(Clone, Debug)]
pub struct Script {
    /// Decides who writes to whom, who is cut when, and which faults happen.
    pub seed: u64,
    /// How many clients.
    pub clients: u32,
    /// It goes on until so many messages are acknowledged.
    pub sends: u64,
    /// How long that may take; then it ends with what there is.
    pub time_max: Duration,
    /// In how many of 10,000 bursts a client's connection is cut.
    pub cuts: u64,
    /// What happens to the server.
    pub faults: Vec<Fault>,
    /// How often, on average.
    pub fault_every: Duration,
    /// How long everybody may take in the end to get what is theirs.
    pub settle_max: Duration,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Everybody lives.
    Live,
    /// Everybody is online and reads.
    Settle,
    /// Every fourth client goes for good.
    Part,
    /// Everybody else goes too.
    End,
}

/// How long, in microseconds, a session without a stream may be seen.
#[must_use]
pub fn grace() -> u64 {
    let grace = Duration::from_secs(RESUME_SECONDS) + GHOST_SLACK;
    u64::try_from(grace.as_micros()).unwrap_or(u64::MAX)
}

/// Whether a client goes for good before the end. What it did not get by then
/// is undecided, not lost.
#[must_use]
pub const fn parts(client: u32) -> bool {
    client % 4 == 3
}

/// Runs the script against a server that is started, if it is ours to start.
///
/// # Errors
/// If the server cannot be reached, refuses accounts, or ended by itself.
pub async fn run(script: &Script, target: &mut Target) -> Result<History, Error> {
    target.start().await?;
    let passage = Passage::to(target.address).await?;
    let door = Door {
        address: passage.address(),
        host: target.host.clone(),
        is_tls: true,
    };
    run_through(script, target, &passage, &door).await
}

/// The same through a door of the caller's, before which the passage lies or
/// not: so a test can put something between.
///
/// # Errors
/// As [`run`].
pub async fn run_through(
    script: &Script,
    target: &mut Target,
    passage: &Passage,
    door: &Door,
) -> Result<History, Error> {
    let recorder = Arc::new(Recorder::default());
    // Accounts of an earlier run on the same server are left alone.
    let mark = std::process::id();
    let name = |client: u32| format!("check-{mark}-{:x}-{client}", script.seed);
    for client in 0..script.clients {
        let mut link = Link::open(door).await?;
        link.register(&name(client), PASSWORD).await?;
    }
    let phase = watch::Sender::new(Phase::Live);
    let mut lives = JoinSet::new();
    for client in 0..script.clients {
        let contact = |offset| {
            let contact = (client + offset) % script.clients;
            format!("{}@{}", name(contact), door.host)
        };
        let identity = Identity {
            client,
            user: name(client),
            password: PASSWORD.to_owned(),
            contacts: (1..=CONTACTS).map(contact).collect(),
        };
        let life = Life {
            client,
            device: Device::new(identity, door.clone(), Arc::clone(&recorder)),
            dice: Dice::new(script.seed, u64::from(client) + 1),
            jids: (0..script.clients)
                .map(|other| format!("{}@{}", name(other), door.host))
                .collect(),
            numbers: vec![0; script.clients as usize],
            cuts: script.cuts,
            phase: phase.subscribe(),
            recorder: Arc::clone(&recorder),
        };
        lives.spawn(life.run());
    }
    let (stop, stopped) = watch::channel(false);
    let dice = Dice::new(script.seed, 0);
    let world = (&mut *target, passage, &*recorder);
    let trouble = faults::inject(&script.faults, script.fault_every, dice, world, stopped);
    let progress = async {
        let start = Instant::now();
        while recorder.acknowledged() < script.sends && start.elapsed() < script.time_max {
            sleep(LOOK_EVERY).await;
        }
        stop.send_replace(true);
    };
    let (trouble, ()) = tokio::join!(trouble, progress);
    phase.send_replace(Phase::Settle);
    settle(script, &recorder).await;
    phase.send_replace(Phase::Part);
    sleep(Duration::from_secs(RESUME_SECONDS) + 2 * GHOST_SLACK).await;
    phase.send_replace(Phase::End);
    while lives.join_next().await.is_some() {}
    trouble?;
    target.lives()?;
    Ok(recorder.take())
}

/// Waits until nothing is missing and no session of before waits any more, or
/// until that has taken too long.
async fn settle(script: &Script, recorder: &Recorder) {
    let start = Instant::now();
    let least = Duration::from_secs(RESUME_SECONDS) + GHOST_SLACK;
    while start.elapsed() < script.settle_max {
        sleep(LOOK_EVERY).await;
        if start.elapsed() > least && recorder.with(|history| verdict::missing(history)) == 0 {
            return;
        }
    }
}

/// The life of one client.
struct Life {
    client: u32,
    device: Device,
    dice: Dice,
    /// Everybody's address.
    jids: Vec<String>,
    /// Messages sent to each.
    numbers: Vec<u32>,
    cuts: u64,
    phase: watch::Receiver<Phase>,
    recorder: Arc<Recorder>,
}

impl Life {
    async fn run(mut self) {
        while self.now() == Phase::Live {
            self.come_online().await;
            self.talk().await;
        }
        while self.now() == Phase::Settle {
            self.come_online().await;
            self.listen(Phase::Settle).await;
        }
        if parts(self.client) {
            if self.client % 8 == 3 {
                self.device.leave().await;
            } else {
                self.device.lose();
            }
            return;
        }
        while self.now() == Phase::Part {
            self.come_online().await;
            self.listen(Phase::Part).await;
        }
        if self.device.is_online() {
            self.device.record_here(What::Settled);
        }
        // No farewell: what it would be seen to do now is not part of the run.
    }

    fn now(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Connects until it works, or the run is over.
    async fn come_online(&mut self) {
        while !self.device.is_online() && self.now() != Phase::End {
            if self.device.connect().await.is_err() {
                sleep(TRY_EVERY).await;
            }
        }
    }

    /// Reads until the connection or the phase is over.
    async fn listen(&mut self, during: Phase) {
        // What came only into the archive while this client was online.
        if self.device.sync().await.is_err() {
            return;
        }
        let mut phase = self.phase.clone();
        loop {
            let heard = tokio::select! {
                heard = self.device.hear() => heard,
                () = over(&mut phase, during) => return,
            };
            // Not below the select: what is begun to be answered is finished.
            let Ok(element) = heard else { return };
            if self.device.answer(&element).await.is_err() {
                return;
            }
        }
    }

    /// Talks until the connection or this phase of life is over.
    async fn talk(&mut self) {
        let mut phase = self.phase.clone();
        let mut next = Instant::now();
        while self.device.is_online() {
            let heard = tokio::select! {
                () = over(&mut phase, Phase::Live) => return,
                heard = self.device.hear() => Some(heard),
                () = sleep_until(next), if self.device.unacknowledged() < WINDOW => None,
            };
            // Not below the select: what is begun to be answered is finished.
            match heard {
                Some(Ok(element)) => {
                    let _ = self.device.answer(&element).await;
                }
                Some(Err(_)) => return,
                None => {
                    self.act().await;
                    next = Instant::now() + Duration::from_millis(self.dice.within(0, 12));
                }
            }
        }
    }

    /// One thing that a client does.
    async fn act(&mut self) {
        if self.dice.falls(self.cuts) {
            return self.be_cut().await;
        }
        if self.dice.falls(self.cuts / 2) {
            self.device.leave().await;
            return sleep(Duration::from_millis(self.dice.within(0, 2_000))).await;
        }
        if self.dice.falls(200) {
            let _ = self.device.show("away").await;
        }
        let mut messages = Vec::new();
        let count = self.dice.within(1, BURST + 1);
        // Bursts go to one or two readers, so that order has something to show.
        let readers = [self.reader(), self.reader()];
        for _ in 0..count {
            let to = readers[usize::from(self.dice.falls(3_000))];
            let place = to as usize;
            self.numbers[place] += 1;
            let message = Message {
                from: self.client,
                to,
                number: self.numbers[place],
            };
            messages.push((message, self.jids[place].clone()));
        }
        let _ = self.device.chat(&messages).await;
    }

    fn reader(&mut self) -> u32 {
        let others = self.jids.len() as u64 - 1;
        let step = u32::try_from(self.dice.within(1, others + 1)).unwrap_or(1);
        (self.client + step) % u32::try_from(self.jids.len()).unwrap_or(1)
    }

    /// Loses its connection, at times also what it knew of its session, and at
    /// times for longer than the server waits.
    async fn be_cut(&mut self) {
        let kind = if self.dice.falls(2_000) {
            "lose"
        } else {
            "cut"
        };
        self.recorder.record(self.client, 0, What::FaultBegan(kind));
        if kind == "lose" {
            self.device.forget();
        } else {
            self.device.lose();
        }
        let away = if self.dice.falls(500) {
            RESUME_SECONDS * 1_000 + self.dice.within(0, 2_000)
        } else {
            self.dice.within(0, 300)
        };
        let mut phase = self.phase.clone();
        let is_over = over(&mut phase, Phase::Live);
        let _ = timeout(Duration::from_millis(away), is_over).await;
        self.recorder.record(self.client, 0, What::FaultEnded(kind));
    }
}

/// Waits until a phase is over.
async fn over(phase: &mut watch::Receiver<Phase>, which: Phase) {
    // A run that is gone is over as well.
    let _ = phase.wait_for(|phase| *phase > which).await;
}
