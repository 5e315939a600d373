//! A run: accounts are made, clients live by script, faults happen, everybody
//! comes home and settles, and some go for good so that ghosts show.

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::device::{Device, Identity, RESUME_SECONDS};
use crate::dice::Dice;
use crate::error::Error;
use crate::faults::{self, Fault, World};
use crate::history::{History, Recorder};
use crate::link::{Door, Link};
use crate::passage::Passage;
use crate::target::Target;
use crate::verdict;
use client::Life;

/// Contacts of each client.
const CONTACTS: u32 = 3;
/// How long a server may take to make an account after it was started.
const REGISTER_MAX: Duration = Duration::from_secs(120);
/// How long after a refusal it is tried again.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked whether something is over; looking takes longer the
/// longer the history is, so it is only every so many times as long as it takes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_SHARE: u32 = 10;
/// How long a session that ended may be seen, beyond the time it waits. A machine
/// that is slow may take so long; nobody waits for it if it is not.
const GHOST_SLACK: Duration = Duration::from_secs(30);
/// How long after the longest wait of a session it is over, as a rule.
const END_SLACK: Duration = Duration::from_secs(1);
const PASSWORD: &str = "Call me but love";

/// What a run does.
#[derive(Clone, Debug)]
pub struct Script {
    /// Decides who writes to whom, who is cut when, and which faults happen.
    pub seed: u64,
    /// How many clients.
    pub clients: u32,
    /// How many of them are devices of one account.
    pub devices: u32,
    /// Whether they send again what they do not know the fate of, when a session
    /// cannot be resumed.
    pub sends_again: bool,
    /// It goes on until so many messages are acknowledged.
    pub sends: u64,
    /// How long that may take; then it ends with what there is.
    pub time_max: Duration,
    /// In how many of 10,000 bursts a client's connection is cut.
    pub cuts: u64,
    /// How long a client is silent at most after a burst; half of it on average.
    pub silence: Duration,
    /// What happens to the server.
    pub faults: Vec<Fault>,
    /// Whether it also goes on until each of them has happened.
    pub is_thorough: bool,
    /// How often, on average.
    pub fault_every: Duration,
    /// In the end it is waited until everybody has what is theirs, or until for so
    /// long nobody got anything.
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

/// Runs the script against a server that is started, if it is ours to start.
///
/// # Errors
/// If the server cannot be reached, refuses accounts, or ended by itself.
pub async fn run(script: &Script, target: &mut Target) -> Result<History, Error> {
    target.start().await?;
    let mut passages = Vec::new();
    for door in &target.doors {
        passages.push(Passage::to(*door).await?);
    }
    let door = Door {
        addresses: passages.iter().map(Passage::address).collect(),
        host: target.host.clone(),
        is_tls: true,
    };
    run_through(script, target, &passages, &door).await
}

/// The same through a door of the caller's, before which the passages lie or
/// not: so a test can put something between.
///
/// # Errors
/// As [`run`].
pub async fn run_through(
    script: &Script,
    target: &mut Target,
    passages: &[Passage],
    door: &Door,
) -> Result<History, Error> {
    let recorder = Arc::new(Recorder::default());
    let names = Names::of(script);
    for account in 0..names.count {
        register(door, &names.user(account)).await?;
    }
    let phase = watch::Sender::new(Phase::Live);
    let mut lives = JoinSet::new();
    for client in 0..script.clients {
        lives.spawn(
            names
                .life(client, script, door, &recorder, phase.subscribe())
                .run(),
        );
    }
    let (stop, stopped) = watch::channel(false);
    let (happening, happened) = watch::channel(0);
    let dice = Dice::new(script.seed, 0);
    let world = World {
        target,
        passages,
        recorder: &recorder,
        happened: happening,
    };
    let is_over = AtomicBool::new(false);
    let trouble = async {
        let every = script.fault_every;
        let trouble = faults::inject(&script.faults, every, dice, world, stopped).await;
        is_over.store(true, Ordering::Relaxed);
        trouble
    };
    let progress = async {
        let start = Instant::now();
        let is_done = || {
            // Faults end before only if something went wrong.
            is_over.load(Ordering::Relaxed)
                || recorder.acknowledged() >= script.sends
                    && (!script.is_thorough || *happened.borrow() >= script.faults.len())
        };
        while !is_done() && start.elapsed() < script.time_max {
            sleep(LOOK_EVERY).await;
        }
        stop.send_replace(true);
    };
    let (trouble, ()) = tokio::join!(trouble, progress);
    let calm = async {
        phase.send_replace(Phase::Settle);
        settle(script, &recorder).await;
        phase.send_replace(Phase::Part);
        await_parting(script, &recorder).await;
    };
    let calm = faults::watch_over(target, &recorder, calm).await;
    phase.send_replace(Phase::End);
    while lives.join_next().await.is_some() {}
    trouble?;
    calm?;
    Ok(recorder.take())
}

/// Who takes part, by number.
struct Names {
    /// How many accounts.
    count: u32,
    prefix: String,
}

impl Names {
    fn of(script: &Script) -> Self {
        Self {
            count: script.clients / script.devices.max(1),
            // Accounts of an earlier run on the same server are left alone.
            prefix: format!("check-{}-{:x}", std::process::id(), script.seed),
        }
    }

    fn user(&self, account: u32) -> String {
        format!("{}-{account}", self.prefix)
    }

    fn life(
        &self,
        client: u32,
        script: &Script,
        door: &Door,
        recorder: &Arc<Recorder>,
        phase: watch::Receiver<Phase>,
    ) -> Life {
        let account = client % self.count;
        let jid = |account: u32| format!("{}@{}", self.user(account % self.count), door.host);
        let identity = Identity {
            client,
            account,
            is_one_of_many: script.devices > 1,
            sends_again: script.sends_again,
            user: self.user(account),
            password: PASSWORD.to_owned(),
            contacts: (1..=CONTACTS).map(|offset| jid(account + offset)).collect(),
        };
        Life {
            client,
            account,
            device: Device::new(identity, door.clone(), Arc::clone(recorder)),
            dice: Dice::new(script.seed, u64::from(client) + 1),
            jids: (0..self.count).map(jid).collect(),
            numbers: vec![0; self.count as usize],
            cuts: script.cuts,
            silence: script.silence,
            phase,
            recorder: Arc::clone(recorder),
        }
    }
}

/// Whether a client goes for good before the end. What it did not get by then
/// is undecided, not lost.
#[must_use]
pub const fn parts(client: u32) -> bool {
    client % 4 == 3
}

/// Makes an account. A server may accept connections before it can do anything
/// with them, so it is tried until [`REGISTER_MAX`].
async fn register(door: &Door, name: &str) -> Result<(), Error> {
    let (start, mut turn) = (Instant::now(), 0);
    loop {
        turn += 1;
        let made = async {
            let mut link = Link::open(door, turn).await?;
            link.register(name, PASSWORD).await
        };
        match made.await {
            Err(_) if start.elapsed() < REGISTER_MAX => sleep(TRY_EVERY).await,
            made => return made,
        }
    }
}

/// Waits until nothing is missing and no session of before waits any more, or
/// until that has taken too long.
async fn settle(script: &Script, recorder: &Recorder) {
    let start = Instant::now();
    let least = Duration::from_secs(RESUME_SECONDS) + END_SLACK;
    let (mut fewest, mut since) = (usize::MAX, start);
    look(Duration::MAX, || {
        let missing = recorder.with(|history| verdict::missing(history));
        if missing < fewest {
            (fewest, since) = (missing, Instant::now());
        }
        let is_complete = missing == 0 && start.elapsed() > least;
        is_complete || since.elapsed() > script.settle_max
    })
    .await;
}

/// Waits until those who went for good have gone, and nobody sees them any more,
/// or until they must not be seen any more.
async fn await_parting(script: &Script, recorder: &Recorder) {
    let parting = (0..script.clients).filter(|client| parts(*client)).count();
    look(
        Duration::from_secs(RESUME_SECONDS) + 2 * GHOST_SLACK,
        || recorder.with(|history| verdict::has_nobody_of(history, parting)),
    )
    .await;
}

async fn look(max: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < max {
        let began = Instant::now();
        if is_so() {
            return;
        }
        sleep(LOOK_EVERY.max(began.elapsed() * LOOK_SHARE)).await;
    }
}
