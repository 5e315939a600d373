//! How fast the thread that settles works: a little at a time, so that those who
//! wait for acknowledgements have the processor nearly always, and just so much
//! of the time that it is done before the journal needs its room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::pulse;

/// It works for so long before it rests. What waits for its end, or for the
/// core that it is on, waits for less than a sync takes.
const SPELL: Duration = Duration::from_micros(200);

/// How many times as long it rests: when it is ahead of the journal, and when
/// it is behind. It does not rest once somebody waits for it.
const REST_FACTOR_AHEAD: u32 = 8;
const REST_FACTOR_BEHIND: u32 = 1;

/// Work that took longer, because of the disk or of others on its core, is not
/// rested from for longer: the journal may have filled meanwhile.
const WORK_MAX: Duration = Duration::from_millis(1);

/// It keeps so much ahead of the journal: to free what is in the tables takes
/// time, too.
const LEAD_THOUSANDTHS: u64 = 1_300;

/// What the thread and its users know of each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// How much of the journal's next segment is full.
    filled_thousandths: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    is_busy: bool,
    /// Somebody waits for the end of it, or soon will.
    is_hurried: bool,
}

impl Progress {
    pub(super) fn begin(&self) {
        self.filled_thousandths.store(0, Ordering::Relaxed);
        self.set(true, false);
    }

    pub(super) fn end(&self) {
        self.set(false, false);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.lock().is_busy
    }

    pub(super) fn hurry(&self) {
        self.lock().is_hurried = true;
        self.changed.notify_all();
    }

    /// Waits until it is not busy.
    pub(super) fn finish(&self) {
        let finished = self.changed.wait_while(self.lock(), |state| state.is_busy);
        drop(finished);
    }

    pub(super) fn note_fill(&self, bytes: u64, journal_bytes: u64) {
        let filled = bytes.saturating_mul(1_000) / journal_bytes.max(1);
        self.filled_thousandths.store(filled, Ordering::Relaxed);
    }

    fn set(&self, is_busy: bool, is_hurried: bool) {
        *self.lock() = State {
            is_busy,
            is_hurried,
        };
        self.changed.notify_all();
    }

    /// Waits until so much time has passed or there is a hurry.
    fn pause(&self, time: Duration) {
        let woken = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.is_hurried);
        drop(woken);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pace of one layer.
pub(super) struct Pace<'a> {
    progress: &'a Progress,
    rows: u64,
    done: u64,
    since: Instant,
}

impl<'a> Pace<'a> {
    pub(super) fn new(progress: &'a Progress, rows: usize) -> Self {
        Pace {
            progress,
            rows: rows as u64,
            done: 0,
            since: pulse::now(),
        }
    }

    /// So many more rows are done. Rests if it has worked for long enough.
    pub(super) fn worked(&mut self, rows: usize) {
        self.done += rows as u64;
        let took = self.since.elapsed();
        if took < SPELL {
            return;
        }
        self.progress.pause(took.min(WORK_MAX) * self.rest_factor());
        self.since = pulse::now();
    }

    /// Rests for once, whatever it has worked.
    pub(super) fn rest(&mut self) {
        self.progress.pause(SPELL * REST_FACTOR_AHEAD);
        self.since = pulse::now();
    }

    fn rest_factor(&self) -> u32 {
        let filled = self.progress.filled_thousandths.load(Ordering::Relaxed);
        let due = self
            .rows
            .saturating_mul(filled.saturating_mul(LEAD_THOUSANDTHS))
            / 1_000_000;
        let is_ahead = self.done >= due;
        if is_ahead {
            REST_FACTOR_AHEAD
        } else {
            REST_FACTOR_BEHIND
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The writer waits for the settler when both segments are full: then every
    /// rest would be one for all senders.
    #[test]
    fn nobody_waits_for_a_rest() {
        let progress = Arc::new(Progress::default());
        progress.begin();
        let settler = Arc::clone(&progress);
        let resting = std::thread::spawn(move || settler.pause(Duration::from_hours(1)));
        progress.hurry();
        resting.join().unwrap();
    }

    #[test]
    fn it_is_as_fast_as_the_journal_grows() {
        let progress = Progress::default();
        progress.begin();
        let mut pace = Pace::new(&progress, 1_000);
        assert_eq!(pace.rest_factor(), REST_FACTOR_AHEAD, "nothing comes");
        progress.note_fill(100, 1_000);
        assert_eq!(pace.rest_factor(), REST_FACTOR_BEHIND);
        pace.done = 100;
        assert_eq!(pace.rest_factor(), REST_FACTOR_BEHIND, "only just as far");
        pace.done = 130;
        assert_eq!(pace.rest_factor(), REST_FACTOR_AHEAD);
        progress.begin();
        assert_eq!(pace.rest_factor(), REST_FACTOR_AHEAD, "another segment");
    }
}
