//! The life of one client: it talks, leaves, is cut and comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Phase;
use crate::device::{Device, RESUME_SECONDS};
use crate::dice::Dice;
use crate::history::{Message, Recorder, What};

/// Messages that a client may have unacknowledged before it waits.
const WINDOW: usize = 48;
/// Messages sent at once, at most.
const BURST: u64 = 8;
/// How often the archive is read by who only listens.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long after the end of a connection another is tried.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// The life of one client.
pub(super) struct Life {
    pub(super) client: u32,
    /// The number of its account, below that of [`Self::jids`].
    pub(super) account: u32,
    pub(super) device: Device,
    pub(super) dice: Dice,
    /// The address of every account.
    pub(super) jids: Arc<[String]>,
    /// Messages sent to each.
    pub(super) numbers: Vec<u32>,
    pub(super) cuts: u64,
    pub(super) silence: Duration,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) recorder: Arc<Recorder>,
}

impl Life {
    pub(super) async fn run(mut self) {
        let account = self.account;
        self.recorder.record(self.client, 0, What::Uses { account });
        while self.now() == Phase::Live {
            self.come_online().await;
            self.talk().await;
        }
        while self.now() == Phase::Settle {
            self.come_online().await;
            self.listen(Phase::Settle).await;
        }
        if super::parts(self.client) {
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
        let mut phase = self.phase.clone();
        let mut next = Instant::now();
        loop {
            let heard = tokio::select! {
                heard = self.device.hear() => Some(heard),
                () = over(&mut phase, during) => return,
                () = sleep_until(next) => None,
            };
            // Not below the select: what is begun to be answered is finished.
            let done = match heard {
                Some(Ok(element)) => self.device.answer(&element).await,
                Some(Err(error)) => Err(error),
                None => {
                    next = Instant::now() + SYNC_EVERY;
                    // What came only into the archive.
                    self.device.sync().await
                }
            };
            if done.is_err() {
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
                    next = Instant::now() + self.silence();
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
            let away = self.dice.within(0, 2_000);
            return self.stay_away(away).await;
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

    fn silence(&mut self) -> Duration {
        let most = u64::try_from(self.silence.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.dice.within(0, most.max(1)))
    }

    fn reader(&mut self) -> u32 {
        let others = self.jids.len() as u64 - 1;
        let step = u32::try_from(self.dice.within(1, others + 1)).unwrap_or(1);
        (self.account + step) % u32::try_from(self.jids.len()).unwrap_or(1)
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
        self.stay_away(away).await;
        self.recorder.record(self.client, 0, What::FaultEnded(kind));
    }

    /// Is not there for so many milliseconds, or until everybody comes home.
    async fn stay_away(&mut self, away: u64) {
        let mut phase = self.phase.clone();
        let is_over = over(&mut phase, Phase::Live);
        let _ = timeout(Duration::from_millis(away), is_over).await;
    }
}

/// Waits until a phase is over.
async fn over(phase: &mut watch::Receiver<Phase>, which: Phase) {
    // A run that is gone is over as well.
    let _ = phase.wait_for(|phase| *phase > which).await;
}
