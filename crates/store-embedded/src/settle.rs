//! Puts what the journal made durable into the tables: a thread of its own
//! takes a layer that has stopped to grow and writes all of it, in the order of
//! keys and a portion at a time, with many rests (`pace`). Many batches share
//! the pages they dirty, and nobody waits.

mod pace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use redb::{Database, Durability};

use crate::fault::{Fault, Health};
use crate::journal::record::Id;
use crate::layers::{Layer, Layers, Row};
use crate::metrics::Metrics;
use crate::schema::Mark;
use crate::{pulse, table};
use pace::{Pace, Progress};

/// Octets of rows that reach the tables in one transaction: some milliseconds'
/// worth, and much more than a transaction costs by itself.
const PORTION_BYTES: usize = if cfg!(test) { 300 } else { 512 * 1024 };

/// Rows that are freed without looking at the time.
const FREED_ROWS: usize = 16;

/// How often it is looked whether a layer is still being read. Most who read
/// are done within a rest; the others free it themselves.
const READ_TRIES: usize = 10;

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
        self.progress.is_busy()
    }

    /// How much of the room for what comes next is left decides how fast it is.
    pub(crate) fn note_fill(&self, bytes: u64, journal_bytes: u64) {
        self.progress.note_fill(bytes, journal_bytes);
    }

    /// Has it finish as soon as it can: there is little room for what comes next.
    pub(crate) fn hurry(&self) {
        self.progress.hurry();
    }

    /// Waits until none is.
    pub(crate) fn finish(&self) {
        self.hurry();
        self.progress.finish();
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
        let rows = job.parts.iter().map(|part| part.len()).sum();
        let mut pace = Pace::new(progress, rows);
        self.write(&job, &mut pace)?;
        self.layers.settled();
        for part in job.parts {
            free(part, &mut pace);
        }
        self.metrics.settled(started.elapsed());
        Ok(())
    }

    /// The rows a portion at a time: a transaction each, so that no commit
    /// takes the disk and a core for long. If it ends between two of them, the
    /// journal still has all: only the last one notes how far the tables are.
    fn write(&self, job: &Job, pace: &mut Pace<'_>) -> Result<(), Fault> {
        let mut rows = job.parts.iter().flat_map(|part| part.all()).peekable();
        loop {
            let portion = portion_of(&mut rows);
            let is_last = rows.peek().is_none();
            let mark = is_last.then_some(Mark {
                id: self.id,
                number: job.number,
                is_needed: !job.is_last,
            });
            self.write_portion(&portion, mark, pace)?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn write_portion(
        &self,
        rows: &[Row<'_>],
        mark: Option<Mark>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Fault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(self.is_recovery_instant);
        table::settle_slowly(&transaction, rows, |rows| pace.worked(rows))?;
        if let Some(mark) = mark {
            mark.note(&transaction)?;
        }
        transaction.commit()?;
        pace.worked(0);
        Ok(())
    }
}

/// Frees what is in the tables, as slowly as it was put there: whoever has just
/// read it last would have to do so at once.
fn free(mut part: Arc<Layer>, pace: &mut Pace<'_>) {
    for _ in 0..READ_TRIES {
        match Arc::try_unwrap(part) {
            Ok(part) => {
                let mut rows = part.into_rows();
                while rows.by_ref().take(FREED_ROWS).count() > 0 {
                    pace.worked(0);
                }
                return;
            }
            Err(read) => part = read,
        }
        pace.rest();
    }
}

/// The next rows, as many as a portion has.
fn portion_of<'a>(rows: &mut impl Iterator<Item = Row<'a>>) -> Vec<Row<'a>> {
    let (mut portion, mut bytes) = (Vec::new(), 0);
    while bytes < PORTION_BYTES
        && let Some(row) = rows.next()
    {
        bytes += row.1.len() + row.2.as_ref().map_or(0, Bytes::len);
        portion.push(row);
    }
    portion
}
