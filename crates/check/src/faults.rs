//! What is done to the server while clients talk, by script.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::error::Error;
use crate::history::{EVERYBODY, Recorder, What};
use crate::passage::Passage;
use crate::target::Target;

/// A kind of fault that meets everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` and a start.
    Kill,
    /// SIGSTOP, and SIGCONT after up to two seconds.
    Halt,
    /// Every connection ends, and none is let through for up to a second.
    Shut,
    /// Everything takes up to 100 ms longer, each way, for up to two seconds.
    Slow,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Halt, Self::Shut, Self::Slow];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Halt => "halt",
            Self::Shut => "shut",
            Self::Slow => "slow",
        }
    }

    const fn needs_process(self) -> bool {
        matches!(self, Self::Kill | Self::Halt)
    }
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
    world: (&mut Target, &Passage, &Recorder),
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (target, passage, recorder) = world;
    let possible: Vec<Fault> = faults
        .iter()
        .copied()
        .filter(|fault| target.can_be_killed() || !fault.needs_process())
        .collect();
    loop {
        let half = u64::try_from(every.as_millis() / 2).unwrap_or(1).max(1);
        let wait = Duration::from_millis(dice.within(half, half * 3));
        tokio::select! {
            _ = stop.wait_for(|is_over| *is_over) => return target.lives(),
            () = sleep(wait) => {}
        }
        let count = possible.len() as u64;
        if count == 0 {
            continue;
        }
        let chosen = usize::try_from(dice.within(0, count)).unwrap_or(0);
        let fault = possible[chosen];
        recorder.record(EVERYBODY, 0, What::FaultBegan(fault.name()));
        let result = happen(fault, &mut dice, target, passage).await;
        recorder.record(EVERYBODY, 0, What::FaultEnded(fault.name()));
        result?;
    }
}

async fn happen(
    fault: Fault,
    dice: &mut Dice,
    target: &mut Target,
    passage: &Passage,
) -> Result<(), Error> {
    let lasting = Duration::from_millis(dice.within(100, 2_000));
    match fault {
        Fault::Kill => {
            target.kill().await?;
            target.start().await?;
        }
        Fault::Halt => {
            target.halt()?;
            sleep(lasting).await;
            target.go_on();
        }
        Fault::Shut => {
            passage.shut();
            sleep(lasting / 2).await;
            passage.clear();
        }
        Fault::Slow => {
            passage.slow(Duration::from_millis(dice.within(5, 100)));
            sleep(lasting).await;
            passage.clear();
        }
    }
    Ok(())
}
