//! Faults, one after the other, each undone before the next.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::Fault;
use crate::dice::Dice;
use crate::error::Error;
use crate::history::{EVERYBODY, Recorder, What};
use crate::passage::Passage;
use crate::target::{Role, Target};

/// How long it may take until an armed step is reached, on a machine that is very
/// slow. One that is never reached is an error.
const CRASH_MAX: Duration = Duration::from_secs(600);
/// What the end of a node is called that its cluster gave up.
const ENDED: &str = "ended by itself";
/// What it is called that a node did not end though it was asked to.
const STUCK: &str = "did not end, was killed";
/// How long a session node that came back has to be given shards, at first.
const GIVEN_AFTER: Duration = Duration::from_secs(4);
/// How often it is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a step is passed before the process ends there, at most.
const PASSED_MAX: u64 = 60;
/// More than this is not filled up: it would be somebody's disk.
const ROOM_BYTES_MAX: u64 = 1 << 30;

/// What faults happen to.
pub struct World<'a> {
    /// The server.
    pub target: &'a mut Target,
    /// The ways of the clients to it.
    pub passages: &'a [Passage],
    /// Where it is written down.
    pub recorder: &'a Recorder,
    /// Told how many faults happened so far.
    pub happened: watch::Sender<usize>,
}

/// Injects faults until told to stop, one after the other, and gives the
/// target back as it was.
///
/// # Errors
/// If the server ended by itself or does not start again.
pub async fn inject(
    faults: &[Fault],
    every: Duration,
    mut dice: Dice,
    world: World<'_>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let World {
        target,
        passages,
        recorder,
        happened,
    } = world;
    let possible = faults.iter().filter_map(|fault| fault.for_target(target));
    let possible: Vec<Fault> = possible.collect();
    // Each once, in any order, before any comes again: so a run that is long
    // enough has seen all of them.
    let mut left = Vec::new();
    loop {
        let half = u64::try_from(every.as_millis() / 2).unwrap_or(1).max(1);
        let wait = Duration::from_millis(dice.within(half, half * 3));
        tokio::select! {
            // A node may be on its way to its end because of the last fault.
            _ = stop.wait_for(|is_over| *is_over) => return revive(target, recorder).await,
            done = watch_over(target, recorder, sleep(wait)) => done?,
        }
        if left.is_empty() {
            left.clone_from(&possible);
        }
        let Some(last) = left.len().checked_sub(1) else {
            continue;
        };
        let chosen = usize::try_from(dice.within(0, last as u64 + 1)).unwrap_or(0);
        let fault = left.swap_remove(chosen);
        recorder.record(EVERYBODY, 0, What::FaultBegan(fault.name()));
        let result = happen(fault, &mut dice, target, passages, recorder).await;
        recorder.record(EVERYBODY, 0, What::FaultEnded(fault.name()));
        result?;
        happened.send_modify(|count| *count += 1);
    }
}

async fn happen(
    fault: Fault,
    dice: &mut Dice,
    target: &mut Target,
    passages: &[Passage],
    recorder: &Recorder,
) -> Result<(), Error> {
    let lasting = Duration::from_millis(dice.within(100, 2_000));
    let victim = |role, dice: &mut Dice| {
        let count = target.count(role) as u64;
        usize::try_from(dice.within(0, count.max(1))).unwrap_or(0)
    };
    match fault {
        Fault::Kill(role) => {
            let number = victim(role, dice);
            target.kill(role, number).await?;
            if role != Role::Server {
                sleep(lasting).await;
            }
            target.start().await?;
        }
        Fault::Stop(role) => {
            let number = victim(role, dice);
            if !target.stop(role, number).await? {
                recorder.record(EVERYBODY, 0, What::FaultBegan(STUCK));
                recorder.record(EVERYBODY, 0, What::FaultEnded(STUCK));
            }
            target.start().await?;
        }
        Fault::Halt(role) => {
            let number = victim(role, dice);
            let is_alone = target.count(role) < 2;
            target.halt(role, number, true).await?;
            sleep(if is_alone { lasting } else { lasting * 5 / 2 }).await;
            target.halt(role, number, false).await?;
        }
        Fault::Shut(role) | Fault::Part(role) | Fault::Slow(role) => {
            let number = victim(role, dice);
            let delay = Duration::from_millis(dice.within(5, 100));
            let ways = match role {
                Role::Clients => passages.iter().collect(),
                role => target.ways(role, number),
            };
            let (change, lasting): (&dyn Fn(&Passage), _) = match fault {
                Fault::Shut(_) => (&Passage::shut, lasting / 2),
                Fault::Part(_) => (&Passage::hold, lasting * 5 / 2),
                _ => (&|way| way.slow(delay), lasting),
            };
            ways.iter().for_each(|way| change(way));
            sleep(lasting).await;
            ways.iter().for_each(|way| way.clear());
        }
        Fault::Full => {
            let room = target.room.clone().unwrap_or_default();
            let filled = tokio::task::block_in_place(|| fill(&room))?;
            sleep(lasting).await;
            std::fs::remove_file(filled)?;
        }
        Fault::Crash(role, step) => crash(target, role, step, dice).await?,
    }
    Ok(())
}

/// Does something, and meanwhile starts again what ends by itself.
///
/// # Errors
/// If one ended that has to serve, or does not start again.
pub async fn watch_over<T>(
    target: &mut Target,
    recorder: &Recorder,
    work: impl Future<Output = T>,
) -> Result<T, Error> {
    let watch = async {
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(error) = revive(target, recorder).await {
                return error;
            }
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        error = watch => Err(error),
    }
}

/// A node that its cluster gave up ends, as it must. It is started again, as
/// whatever runs nodes does.
async fn revive(target: &mut Target, recorder: &Recorder) -> Result<(), Error> {
    if target.can_end() && target.has_gap()? {
        recorder.record(EVERYBODY, 0, What::FaultBegan(ENDED));
        let started = target.start().await;
        recorder.record(EVERYBODY, 0, What::FaultEnded(ENDED));
        return started;
    }
    target.lives()
}

/// Has a process end at a step of its own.
async fn crash(target: &mut Target, role: Role, step: &str, dice: &mut Dice) -> Result<(), Error> {
    let role = match target.count(role) {
        0 => Role::Session,
        _ => role,
    };
    let count = target.count(role);
    let number = usize::try_from(dice.within(0, count as u64)).unwrap_or(0);
    let passed = match step.split_once('.') {
        // Several shards are handed over at once.
        Some(("shard", "handed-over")) => 1,
        // These are rarer.
        Some(("shard" | "account", _)) => 1 + dice.within(0, PASSED_MAX) / 20,
        _ => dice.within(1, PASSED_MAX),
    };
    let gives = matches!(
        step,
        "shard.freezing" | "shard.frozen" | "shard.handed-over"
    );
    let (start, mut patience) = (Instant::now(), GIVEN_AFTER);
    loop {
        target
            .arm(role, number, &format!("{step}={passed}"))
            .await?;
        if gives {
            // It is given shards when it is back, and gives them away when it is
            // to end.
            sleep(patience).await;
            target.dismiss(role, number)?;
        }
        while !target.has_ended(role, number)? {
            if start.elapsed() > CRASH_MAX {
                return Err(Error::Target(format!("{step} was not reached")));
            }
            sleep(LOOK_EVERY).await;
        }
        if !gives || target.has_crashed(role, number)? {
            return target.start().await;
        }
        // It had none yet, or too few.
        patience *= 2;
    }
}

/// Fills a small file system; returns what to remove.
fn fill(room: &Path) -> Result<std::path::PathBuf, Error> {
    let space = rustix::fs::statvfs(room).map_err(std::io::Error::from)?;
    let free = space.f_bavail * space.f_frsize;
    if free > ROOM_BYTES_MAX {
        return Err(Error::Target(format!(
            "{} has {free} bytes free: too many to fill up",
            room.display()
        )));
    }
    let path = room.join("ballast");
    let mut file = File::create(&path)?;
    let block = vec![0; 1 << 20];
    for bytes in [block.len(), 4_096, 1] {
        while file.write_all(&block[..bytes]).is_ok() {}
    }
    Ok(path)
}
