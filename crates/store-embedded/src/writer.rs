//! The one thread that writes, with group commit: whatever was queued while
//! the last sync ran becomes one record of the journal and one sync, and then
//! every caller that waited is released.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, ReadableDatabase};
use starling_store::{Account, Creation, Error, Write};
use starling_xmpp::jid::BareJid;
use tokio::sync::{mpsc, oneshot};

use crate::fault::{Fault, Health};
use crate::journal::Journal;
use crate::journal::record::Id;
use crate::layers::{Layer, Layers};
use crate::metrics::Metrics;
use crate::pulse::Pulse;
use crate::settle::Settler;
use crate::space::Space;
use crate::table::{File, Name, Tables};
use crate::view::View;
use crate::{apply, key, pulse, settle, size};

/// Commits that may wait for the writer; callers beyond it wait for a place.
pub(crate) const QUEUE_COMMITS_MAX: usize = 4_096;

/// Most commits that share a sync.
const BATCH_COMMITS_MAX: usize = 4_096;

/// Most bytes of records that share a sync, so that one sync stays short.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most octets that one commit may change, all rows together: far beyond any,
/// and within what the length of a record can tell.
const RECORD_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Rows of a log that are erased at once: some megabytes of a record.
const ERASED_ROWS_MAX: usize = if cfg!(test) { 100 } else { 20_000 };

/// A segment of the journal may become so many times as long as it should,
/// while the other one is not in the tables yet; then callers wait for that.
const OVERLONG_FACTOR: u64 = 2;

/// How long a batch that is smaller than the last one waits for more. Those who
/// were released together come back together, but not at once: without this
/// the first of them would start a sync for itself, and all others would wait
/// for two. The benchmark `commit` shows what it is worth.
const GATHER_MAX: Duration = Duration::from_micros(100);

/// How often it looks meanwhile whether all are back. The system adds its own
/// slack, some 50 µs, so there are about two looks.
const GATHER_STEP: Duration = Duration::from_micros(10);

/// What a caller wants written.
pub(crate) enum Task {
    Commit(Vec<Write>),
    Create(Box<Account>),
    InitMeta { key: String, value: Bytes },
    SetMeta { key: String, value: Bytes },
}

/// What it is told once that is durable.
pub(crate) enum Answer {
    Done,
    Creation(Creation),
    Value(Bytes),
}

/// A task and who waits for it.
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) done: oneshot::Sender<Result<Answer, Error>>,
}

impl Job {
    fn answer(self, answer: Result<Answer, Error>) {
        // A caller that no longer waits has lost interest, not its write.
        let _ = self.done.send(answer);
    }
}

/// The writing half of the store.
pub(crate) struct Writer {
    pub(crate) database: Arc<Database>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) journal: Journal,
    pub(crate) id: Id,
    /// How long a segment of it should become.
    pub(crate) journal_bytes: u64,
    pub(crate) settler: Settler,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Metrics,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) space: Arc<Space>,
    /// Commits that shared the last sync: so many may be about to come back.
    pub(crate) gathered: usize,
}

/// Why a transaction came to nothing.
enum Stop {
    /// Because of one job; the others can go on without it.
    Job(usize, Fault),
    /// Because of the files.
    Store(Fault),
    /// Because the store has stopped.
    Failed(Error),
}

impl Stop {
    /// Because of a fault that a job has met.
    fn of(at: usize, fault: Fault) -> Self {
        if fault.is_local() {
            return Stop::Job(at, fault);
        }
        Stop::Store(fault)
    }
}

impl Writer {
    /// Works until every sender is gone.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let batch = self.collect(first);
            match self.health.check() {
                Ok(()) => self.store(batch),
                Err(error) => answer_all(batch, &error),
            }
        }
        self.close();
    }

    /// Everything goes into the tables, and the journal is emptied.
    fn close(&mut self) {
        self.settler.finish();
        if self.health.check().is_err() {
            return; // The journal keeps what is not in the tables.
        }
        self.settle(true);
        self.settler.finish();
        if self.health.check().is_ok()
            && let Err(error) = self.journal.close(self.id)
        {
            tracing::warn!(%error, "the journal could not be emptied; it is read at the next start");
        }
    }

    /// Has what the current segment holds put into the tables, and goes on in
    /// the other one.
    fn settle(&mut self, is_last: bool) {
        self.settler.settle(settle::Job {
            parts: self.layers.freeze(),
            number: self.journal.number(),
            is_last,
        });
        self.journal.turn();
    }

    /// The same, once the segment is long enough and the other one is free.
    fn turn(&mut self) -> Result<(), Error> {
        let bytes = self.journal.bytes();
        self.settler.note_fill(bytes, self.journal_bytes);
        if bytes < self.journal_bytes {
            return Ok(());
        }
        if self.settler.is_busy() {
            self.settler.hurry();
            if bytes < self.journal_bytes * OVERLONG_FACTOR {
                return Ok(());
            }
            self.settler.finish();
        }
        // It has finished, too, when it has failed.
        self.health.check()?;
        self.settle(false);
        Ok(())
    }

    /// Takes what is queued, as far as there is room for it on the disk.
    fn collect(&mut self, first: Job) -> Vec<Job> {
        let owed_bytes = self.layers.bytes();
        let mut budget = self.space.budget(owed_bytes);
        self.metrics.free(budget.free_bytes());
        let (mut batch, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        let mut has_waited = false;
        while let Some(job) = next.take() {
            let job_bytes = size::of_task(&job.task);
            match budget.take(job_bytes, size::is_removal(&job.task)) {
                Ok(()) => {
                    batch.push(job);
                    bytes += job_bytes;
                }
                Err(error) => {
                    self.metrics.refused();
                    job.answer(Err(error));
                }
            }
            if batch.len() < BATCH_COMMITS_MAX && bytes < BATCH_BYTES_MAX {
                next = self.jobs.try_recv().ok();
                if next.is_none() && batch.len() < self.gathered && !has_waited {
                    has_waited = true;
                    self.gather(batch.len());
                    next = self.jobs.try_recv().ok();
                }
            }
        }
        self.gathered = batch.len();
        batch
    }

    /// Waits for those who shared the last sync, beyond the `taken`.
    fn gather(&self, taken: usize) {
        #[expect(
            clippy::disallowed_methods,
            reason = "bounds a wait; decides nothing that is stored"
        )]
        let since = std::time::Instant::now();
        while taken + self.jobs.len() < self.gathered && since.elapsed() < GATHER_MAX {
            std::thread::sleep(GATHER_STEP);
        }
    }

    fn store(&mut self, mut batch: Vec<Job>) {
        while !batch.is_empty() {
            // A panic may leave a record half written, which nobody will read:
            // nothing was synced. Whatever caused it would do so again.
            let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(&batch)));
            match attempt {
                Ok(Ok(answers)) => {
                    for (job, answer) in batch.drain(..answers.len()).zip(answers) {
                        job.answer(Ok(answer));
                    }
                }
                Ok(Err(Stop::Job(at, fault))) => {
                    let job = batch.remove(at);
                    let error = fault.at(size::place_of(&job.task));
                    tracing::warn!(%error, "a commit was refused");
                    job.answer(Err(error));
                }
                Ok(Err(Stop::Failed(error))) => {
                    answer_all(std::mem::take(&mut batch), &error);
                }
                Ok(Err(Stop::Store(fault))) => {
                    let error = self.health.fail(fault.at("the data file".to_owned()));
                    answer_all(std::mem::take(&mut batch), &error);
                }
                Err(_panic) => {
                    let error = self.health.fail_of_panic("writing");
                    answer_all(std::mem::take(&mut batch), &error);
                }
            }
        }
    }

    /// One record, of the whole batch or as much of its beginning as fits:
    /// everything of each job, or nothing. Tells those that are in it.
    fn attempt(&mut self, batch: &[Job]) -> Result<Vec<Answer>, Stop> {
        for (at, job) in batch.iter().enumerate() {
            for owner in size::erased_by(&job.task) {
                self.erase_ahead(at, owner)?;
            }
        }
        self.record(|tables| {
            let mut answers = Vec::with_capacity(batch.len());
            for (at, job) in batch.iter().enumerate() {
                let answer = perform(tables, &job.task);
                answers.push(answer.map_err(|fault| Stop::of(at, fault))?);
                let bytes = tables.changes_bytes();
                if bytes > RECORD_BYTES_MAX {
                    let fault = redb::StorageError::ValueTooLarge(bytes);
                    return Err(Stop::Job(at, fault.into()));
                }
                if bytes > BATCH_BYTES_MAX {
                    break; // The others go into the next record.
                }
            }
            let count = answers.len();
            Ok((answers, count))
        })
    }

    /// Erases what is in the log of an account beyond what one record should
    /// hold, some at a time. Whoever removes the account has given up all of
    /// it: if that is cut short here, there is an account with a shorter log,
    /// and nobody was told that it is gone.
    fn erase_ahead(&mut self, at: usize, owner: &BareJid) -> Result<(), Stop> {
        let mut from = Some(key::owner(owner));
        while let Some(start) = from.take() {
            let end = key::end_of(&key::owner(owner));
            from = self.record(|tables| {
                let rest = apply::log::erase_some(tables, start..end, ERASED_ROWS_MAX);
                Ok((rest.map_err(|fault| Stop::of(at, fault))?, 0))
            })?;
        }
        Ok(())
    }

    /// Makes durable what `change` does to the tables, and then visible. It
    /// tells for how many commits that was, too.
    fn record<T>(
        &mut self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<(T, usize), Stop>,
    ) -> Result<T, Stop> {
        let pulse = Arc::clone(&self.pulse);
        let busy = pulse.begin();
        self.turn().map_err(Stop::Failed)?;
        let ((result, commits), changes) = self.changes(change)?;
        let started = pulse::now();
        if !changes.is_empty() {
            let appended = self.journal.append(&changes);
            appended.map_err(|error| Stop::Store(redb::StorageError::Io(error).into()))?;
        }
        let took = started.elapsed();
        // Readers see it from here on, and not before it was synced.
        self.layers.publish(changes);
        if commits > 0 {
            self.metrics.synced(commits, took);
        }
        busy.done(took);
        Ok(result)
    }

    fn changes<T>(
        &mut self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, Stop>,
    ) -> Result<(T, Layer), Stop> {
        let (levels, transaction) = self.layers.now_with(|| self.database.begin_read());
        let file = File::new(transaction.map_err(|error| Stop::Store(error.into()))?);
        let before = View {
            layers: levels.newest_first().collect(),
            tables: &file,
        };
        let mut tables = Tables::new(before);
        let result = change(&mut tables)?;
        Ok((result, tables.into_changes()))
    }
}

fn perform(tables: &mut Tables<'_>, task: &Task) -> Result<Answer, Fault> {
    match task {
        Task::Commit(writes) => {
            writes
                .iter()
                .try_for_each(|write| apply::write(tables, write))?;
            Ok(Answer::Done)
        }
        Task::Create(account) => Ok(Answer::Creation(match apply::create(tables, account)? {
            true => Creation::Created,
            false => Creation::AlreadyExists,
        })),
        Task::InitMeta { key, value } => {
            if let Some(found) = tables.value(Name::Meta, key.as_bytes())? {
                return Ok(Answer::Value(found.into()));
            }
            tables.put(Name::Meta, key.as_bytes(), value)?;
            Ok(Answer::Value(value.clone()))
        }
        Task::SetMeta { key, value } => {
            tables.put(Name::Meta, key.as_bytes(), value)?;
            Ok(Answer::Done)
        }
    }
}

fn answer_all(batch: Vec<Job>, error: &Error) {
    for job in batch {
        job.answer(Err(error.clone()));
    }
}
