//! A worker: one task that owns every shard with its number, so that whatever
//! happens in a shard happens one thing after another.
//!
//! It takes work in batches, runs each piece to its effects, collects them
//! into commit cycles and releases them. What a piece of work does is written
//! in `tasks`, `outbound` and `inbound`; which accounts stay loaded in
//! `worker/residence.rs`; here is only the turning of the wheel.

mod arriving;
mod asking;
mod early;
mod gathering;
mod inbox;
mod loss;
mod opening;
mod ownership;
mod reading;
mod residence;
mod shards;
mod timers;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use starling_cluster::Shard as ShardNumber;
use starling_link::{ActiveSpan, Tally};
use starling_store::{Error, Stamp, Write};
use starling_xmpp::{BareJid, Head};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::commit::{self, Commits, Committed, CycleNumber, Share};
use crate::effects::{Effect, Effects};
use crate::failpoint::{Step, reach};
use crate::feature::BoxFuture;
use crate::shard::{Found as InShard, Shard};
use crate::tasks::{self, Handling};
use crate::work::{Done, Survey, Task, Work};
use crate::{Account, Ctx, Env, metrics, reject, router, summary};
use arriving::Returned;
pub(crate) use asking::Asking;
use inbox::Closing;
pub(crate) use inbox::Inbox;
use opening::Opening;
use ownership::Owned;
use residence::Residence;
use shards::Shards;
use timers::Timers;

/// What log lines of a handling carry: the trace, if its stanza is in one.
fn log_span(watched: Option<&ActiveSpan>) -> Span {
    match watched.and_then(|watched| watched.context().trace_id()) {
        Some(trace_id) => tracing::error_span!("stanza", %trace_id),
        None => Span::none(),
    }
}

/// The worker.
pub(crate) struct Worker {
    env: Arc<Env>,
    inbox: Arc<Inbox>,
    shards: Shards,
    away: FuturesUnordered<BoxFuture<'static, Returned>>,
    commits: Commits,
    residence: Residence,
    timers: Timers,
    owned: Owned,
    /// Shards of which is not known yet what an earlier owner has promised, and
    /// the work that waits for them.
    opening: HashMap<ShardNumber, Opening>,
    /// When is looked at what is on its way to other nodes.
    sweep_at: Instant,
    /// Accounts whose memory is ahead of the store, in the hands of a handler.
    spoilt: HashSet<BareJid>,
    /// Room for the effects of the next handling.
    spare: Effects,
    /// Counts the writes of this worker, for their stamps.
    writes: u64,
    /// Counts the work it began, so that a drain can tell rest from a pause.
    begun: u64,
}

impl Worker {
    pub(crate) fn new(env: Arc<Env>, inbox: Arc<Inbox>) -> Self {
        let sink = commit::sink(Arc::clone(&env.store), env.fence.clone());
        let commits = Commits::new(sink, env.config.store_patience);
        let residence = Residence::new(env.config.accounts_idle_max);
        Self {
            env,
            inbox,
            shards: Shards::default(),
            away: FuturesUnordered::new(),
            commits,
            residence,
            timers: Timers::new(),
            owned: Owned::default(),
            opening: HashMap::new(),
            sweep_at: Instant::now(),
            spoilt: HashSet::new(),
            spare: Effects::default(),
            writes: 0,
            begun: 0,
        }
    }

    /// Works until told to stop; whoever stops it has drained the engine.
    ///
    /// # Errors
    /// The store has stopped. Nothing that depended on it was released.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let inbox = Arc::clone(&self.inbox);
        let _closing = Closing(Arc::clone(&inbox));
        let (mut batch, mut surveys) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                biased;
                done = self.commits.next(), if !self.commits.is_idle() => self.committed(done?),
                Some(returned) = self.away.next() => self.take_back(returned),
                () = inbox.surveys.drain(&mut surveys) => {
                    for survey in surveys.drain(..) {
                        self.answer(survey);
                    }
                }
                () = inbox.work.drain(&mut batch) => {
                    for work in batch.drain(..) {
                        self.begin(work);
                    }
                }
                () = self.timers.next() => self.ring(),
                () = sleep_until(self.sweep_at), if !inbox.outbox.is_idle() => self.sweep(),
                () = self.owned.overdue() => self.expire(),
                () = shutdown.cancelled(), if self.is_quiet() => return Ok(()),
            }
            self.look_early();
            self.commits.start();
            self.finish_leaving();
            self.residence
                .unload(&mut self.shards, self.commits.progress());
            // One that always finds something to do lets others have a turn:
            // those who wait on this thread include who would end it.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Whether nothing that was begun is unfinished.
    fn is_quiet(&self) -> bool {
        self.commits.is_idle() && self.away.is_empty()
    }

    /// The shard, if this node owns it. It is taken under the epoch of now.
    fn shard(&mut self, number: ShardNumber) -> Option<&mut Shard> {
        if self.is_frozen(number) {
            return None;
        }
        if !self.shards.contains_key(&number) {
            let epoch = self.epoch_of(number)?;
            self.shards.insert(number, Shard::new(epoch));
            self.open(number, epoch);
        }
        self.shards.get_mut(&number)
    }

    /// Finds the account for a piece of work, or has it read.
    fn begin(&mut self, work: Work) {
        let work = match self.env.fence {
            // Alone, there is nothing to wait for.
            None => work,
            Some(_) => match self.hold_back(work) {
                Some(work) => work,
                None => return,
            },
        };
        self.begun += 1;
        let waiting_max = self.env.config.account_waiting_stanzas_max;
        if self.shard(work.shard).is_none() {
            return self.release(reject::unowned(work.task));
        }
        let Some(Work {
            shard: number,
            target,
            task,
        }) = self.pass_open(work)
        else {
            return;
        };
        let Some(shard) = self.shard(number) else {
            return self.release(reject::unowned(task));
        };
        match shard.take(&target, task, waiting_max) {
            InShard::Ready(account, task) => self.act(number, account, task),
            InShard::Queued => {}
            InShard::Absent => self.load(number, target, CycleNumber::default()),
            InShard::Overloaded(task) => {
                metrics::account_overloaded();
                self.release(reject::overloaded(task));
            }
        }
    }

    /// Does one piece of work after the other at an account, until it has none
    /// left or has to wait.
    fn act(&mut self, number: ShardNumber, account: Box<Account>, task: Task) {
        let mut next = Some((account, task));
        while let Some((account, mut task)) = next.take() {
            let Some(epoch) = self.shards.get(&number).map(|shard| shard.epoch) else {
                return self.release(reject::unowned(task));
            };
            let progress = Arc::clone(self.commits.progress());
            let (name, head) = (account.jid.clone(), task.head());
            let mut ctx = Ctx::new(Arc::clone(&self.env), progress, epoch, account);
            ctx.watched = task.watch();
            ctx.effects = std::mem::take(&mut self.spare);
            let log = log_span(ctx.watched.as_deref());
            // A fault in one account stays in that account.
            match catch_unwind(AssertUnwindSafe(|| log.in_scope(|| tasks::run(ctx, task)))) {
                Ok(Handling::Done(ctx)) => next = self.settle(number, ctx, head),
                Ok(Handling::Waiting(handler)) => {
                    let handled = AssertUnwindSafe(handler).catch_unwind().instrument(log);
                    self.away.push(Box::pin(async move {
                        match handled.await {
                            Ok(ctx) => Returned::Handled(number, ctx, head),
                            Err(_) => Returned::Lost(number, name, head),
                        }
                    }));
                }
                Err(_) => self.lose(number, &name, head),
            }
        }
    }

    /// Collects the effects of a handled piece of work and puts the account
    /// back; returns it with the next task if one waits.
    fn settle(
        &mut self,
        number: ShardNumber,
        ctx: Box<Ctx>,
        head: Option<Head>,
    ) -> Option<(Box<Account>, Task)> {
        let epoch = ctx.epoch();
        let Ctx {
            mut account,
            mut effects,
            watched,
            ..
        } = *ctx;
        let alarms = std::mem::take(&mut effects.alarms);
        self.timers.add(number, &account.jid, alarms);
        self.release(std::mem::take(&mut effects.at_once));
        if !self.spoilt.is_empty() && self.spoilt.remove(&account.jid) {
            self.drop_account(number, account);
            return None;
        }
        if self.env.fence.is_some() {
            summary::refresh(&self.env.registry, &mut account, &mut effects);
        }
        let trace = watched.map(|handled| effects.follow(*handled));
        let is_behind = !self.commits.progress().is_completed(account.cycle);
        if !effects.writes.is_empty() || is_behind {
            // Invariant: what an account releases never overtakes what it
            // released earlier and is not durable yet.
            let owner = &account.jid;
            let written = &mut self.writes;
            let stamped = effects.writes.drain(..).map(|change| {
                *written += 1;
                Write {
                    owner: owner.clone(),
                    stamp: Stamp::new(epoch.0, *written),
                    change,
                }
            });
            let share = Share {
                owner: owner.clone(),
                head,
                watched: trace.map(|trace| Box::new(trace.start("commit"))),
            };
            account.cycle = self.commits.collect(share, stamped, &mut effects.releases);
        } else {
            self.release(effects.releases.drain(..));
        }
        self.spare = effects.reused();
        self.put_back(number, account)
    }

    /// A cycle is durable: what it held back happens now.
    fn committed(&mut self, done: Committed) {
        self.release(done.releases);
        reach(Step::CommitReleased);
        for name in done.failed {
            self.spoil(&name);
        }
    }

    /// Alarms are due.
    fn ring(&mut self) {
        while let Some(work) = self.timers.due() {
            let shard = self.shards.get(&work.shard);
            // An account that is not loaded has nothing to wait for.
            if shard.is_some_and(|shard| shard.has(&work.target)) {
                self.begin(work);
            }
        }
    }

    fn release(&self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            router::release(&self.env, &self.inbox, effect);
        }
    }

    fn answer(&mut self, survey: Survey) {
        match survey {
            Survey::Sessions(limit, answer) => {
                let accounts = self.shards.values().flat_map(Shard::ready);
                let sessions = accounts.flat_map(|account| &account.sessions);
                let _ = answer.send(sessions.take(limit).map(|session| session.info()).collect());
            }
            Survey::Tally(answer) => {
                let accounts = self.shards.values().flat_map(Shard::ready);
                let sessions = accounts
                    .map(|account| account.sessions.len())
                    .sum::<usize>();
                let _ = answer.send(Tally {
                    sessions: sessions as u64,
                    storing: self.commits.age(),
                });
            }
            Survey::Progress(answer) => {
                let _ = answer.send(Done {
                    count: self.begun + self.commits.progress().count(),
                    // It is asked ahead of work that nobody has looked at.
                    is_all: self.is_quiet() && self.inbox.work.is_empty(),
                });
            }
            Survey::Own(change) => self.own(change),
        }
    }
}
