//! Puts what the journal made durable into the tables: a thread of its own
//! takes a layer that has stopped to grow and writes all of it, in the order of
//! keys and a portion at a time, with a rest after each. Many batches share the
//! pages they dirty, and nobody waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, Durability};

use crate::fault::{Fault, Health};
use crate::journal::record::Id;
use crate::layers::{Layer, Layers, Row};
use crate::metrics::Metrics;
use crate::schema::Mark;
use crate::{pulse, table};

/// Octets of rows that reach the tables in one transaction: some milliseconds'
/// worth, and much more than a transaction costs by itself.
const PORTION_BYTES: usize = if cfg!(test) { 300 } else { 512 * 1024 };

/// How many times as long as a portion took the thread rests after it, so that
/// those who wait for acknowledgements have the processor most of the time. It
/// does not rest once somebody waits for it.
const REST_FACTOR: u32 = 2;

/// A layer whose batches end with `number`.
pub(crate) struct Job {
    /// Its parts, from the oldest to the newest.
    pub(crate) parts: Vec<Arc<Layer>>,
    pub(crate) number: u64,
    /// Whether no batch comes after it: the tables are the store then.
    pub(crate) is_last: bool,
}

/// The thread that settles, as its user sees it.
pub(crate) struct Settler {
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_busy: bool,
    /// Somebody waits for the end of it, or soon will.
    is_hurried: bool,
}

impl Progress {
    fn begin(&self) {
        self.set(true, false);
    }

    fn end(&self) {
        self.set(false, false);
    }

    fn set(&self, is_busy: bool, is_hurried: bool) {
        *self.lock() = State {
            is_busy,
            is_hurried,
        };
        self.changed.notify_all();
    }

    fn hurry(&self) {
        self.lock().is_hurried = true;
        self.changed.notify_all();
    }

    /// Waits until so much time has passed or there is a hurry.
    fn pause(&self, time: Duration) {
        let state = self.lock();
        let woken = self
            .changed
            .wait_timeout_while(state, time, |state| !state.is_hurried);
        drop(woken);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread works with.
pub(crate) struct Ground {
    pub(crate) database: Arc<Database>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Metrics,
    pub(crate) id: Id,
    pub(crate) is_recovery_instant: bool,
}

impl Settler {
    pub(crate) fn start(ground: Ground) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(1);
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let thread = std::thread::Builder::new().name("store-settler".to_owned());
        let thread = thread.spawn(move || ground.run(&jobs, &told))?;
        Ok(Settler {
            jobs: Some(sender),
            thread: Some(thread),
            progress,
        })
    }

    /// Whether a layer is being settled.
    pub(crate) fn is_busy(&self) -> bool {
        self.progress.lock().is_busy
    }

    /// Has it finish as soon as it can: there is little room for what comes next.
    pub(crate) fn hurry(&self) {
        self.progress.hurry();
    }

    /// Waits until none is.
    pub(crate) fn finish(&self) {
        self.hurry();
        let state = self.progress.lock();
        let finished = self
            .progress
            .changed
            .wait_while(state, |state| state.is_busy);
        drop(finished);
    }

    /// Settles a layer, while none is being settled.
    pub(crate) fn settle(&self, job: Job) {
        self.progress.begin();
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_err()
        {
            self.progress.end(); // It has failed, and the store with it.
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.jobs = None;
        self.hurry();
        if let Some(thread) = self.thread.take() {
            // It catches panics and stops the store.
            let _ = thread.join();
        }
    }
}

impl Ground {
    fn run(&self, jobs: &Receiver<Job>, progress: &Progress) {
        while let Ok(job) = jobs.recv() {
            // All of it: whatever fails here, the writer must not wait for ever.
            let attempt = catch_unwind(AssertUnwindSafe(|| self.settle(job, progress)));
            match attempt {
                Ok(Ok(())) => {}
                // What the journal has stays there for the next start.
                Ok(Err(fault)) => {
                    self.health.fail(fault.at("the data file".to_owned()));
                }
                Err(_panic) => {
                    self.health.fail_of_panic("writing the tables");
                }
            }
            progress.end();
        }
    }

    fn settle(&self, job: Job, progress: &Progress) -> Result<(), Fault> {
        let started = pulse::now();
        self.write(&job, progress)?;
        drop(job);
        self.layers.settled();
        self.metrics.settled(started.elapsed());
        Ok(())
    }

    /// The rows a portion at a time: a transaction each, so that no commit
    /// takes the disk and a core for long. If it ends between two of them, the
    /// journal still has all: only the last one notes how far the tables are.
    fn write(&self, job: &Job, progress: &Progress) -> Result<(), Fault> {
        let rows: Vec<Row<'_>> = job.parts.iter().flat_map(|part| part.all()).collect();
        let mut rest = rows.as_slice();
        loop {
            let (portion, behind) = rest.split_at(portion_of(rest));
            rest = behind;
            let mark = rest.is_empty().then_some(Mark {
                id: self.id,
                number: job.number,
                is_needed: !job.is_last,
            });
            let started = pulse::now();
            self.write_portion(portion, mark)?;
            if rest.is_empty() {
                return Ok(());
            }
            progress.pause(started.elapsed() * REST_FACTOR);
        }
    }

    fn write_portion(&self, rows: &[Row<'_>], mark: Option<Mark>) -> Result<(), Fault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(self.is_recovery_instant);
        table::settle(&transaction, rows)?;
        if let Some(mark) = mark {
            mark.note(&transaction)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// How many of the rows, from the first on, are a portion.
fn portion_of(rows: &[Row<'_>]) -> usize {
    let mut bytes = 0;
    let within = rows.iter().take_while(|(_, key, value)| {
        let is_within = bytes < PORTION_BYTES;
        bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        is_within
    });
    within.count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
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
}
