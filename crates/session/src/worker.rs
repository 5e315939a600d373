//! A worker: one task that owns every shard with its number, so that whatever
//! happens in a shard happens one thing after another.
//!
//! It takes work in batches, runs each piece to its effects, collects them
//! into commit cycles and releases them. What a piece of work does is written
//! in `tasks`, `outbound` and `inbound`; here is only the turning of the wheel.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use starling_cluster::Shard as ShardNumber;
use starling_link::Mailbox;
use starling_store::{Error, LoginBundle, Stamp, Write};
use starling_xmpp::BareJid;
use tokio_util::sync::CancellationToken;

use crate::account::Lasting;
use crate::commit::Commits;
use crate::effects::Effect;
use crate::feature::BoxFuture;
use crate::shard::{Found, Shard};
use crate::tasks::{self, Handling};
use crate::work::{Survey, Task, Work};
use crate::{Account, Ctx, Env, metrics, reject, router};

/// Surveys that may wait for one worker.
const SURVEYS_MAX: usize = 64;

/// Where work for a worker arrives.
pub(crate) struct Inbox {
    pub(crate) work: Mailbox<Work>,
    pub(crate) surveys: Mailbox<Survey>,
}

impl Inbox {
    pub(crate) fn new(frames_max: usize) -> Self {
        Self {
            work: Mailbox::new(frames_max),
            surveys: Mailbox::new(SURVEYS_MAX),
        }
    }
}

/// An account that comes back: read from the store, or from a handler that had
/// to wait.
enum Returned {
    Loaded(ShardNumber, BareJid, Result<Option<LoginBundle>, Error>),
    Handled(ShardNumber, Ctx),
    /// Its handler panicked, and its memory went with it.
    Lost(ShardNumber, BareJid),
}

/// The worker.
pub(crate) struct Worker {
    env: Arc<Env>,
    inbox: Arc<Inbox>,
    shards: HashMap<ShardNumber, Shard>,
    away: FuturesUnordered<BoxFuture<'static, Returned>>,
    commits: Commits,
    /// Accounts without a session, oldest first. A hint: a name in it may have
    /// got a session since.
    idle: VecDeque<(ShardNumber, BareJid)>,
    /// Names without an account that were loaded only to be refused, hosts, and
    /// accounts just removed: unloaded as soon as nothing of them is on its way.
    gone: VecDeque<(ShardNumber, BareJid)>,
    sessions: tasks::SessionNumbers,
    /// Counts the writes of this worker, for their stamps.
    writes: u64,
}

impl Worker {
    pub(crate) fn new(env: Arc<Env>, inbox: Arc<Inbox>, number: u64) -> Self {
        let commits = Commits::new(Arc::clone(&env.store));
        Self {
            env,
            inbox,
            shards: HashMap::new(),
            away: FuturesUnordered::new(),
            commits,
            idle: VecDeque::new(),
            gone: VecDeque::new(),
            sessions: tasks::SessionNumbers::of_worker(number),
            writes: 0,
        }
    }

    /// Works until told to stop, then finishes what it has accepted.
    ///
    /// # Errors
    /// The store has stopped. Nothing that depended on it was released.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let inbox = Arc::clone(&self.inbox);
        let (mut batch, mut surveys) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                biased;
                done = self.commits.next(), if !self.commits.is_idle() => self.release(done?),
                Some(returned) = self.away.next() => self.take_back(returned),
                () = inbox.work.drain(&mut batch) => {
                    for work in batch.drain(..) {
                        self.begin(work);
                    }
                }
                () = inbox.surveys.drain(&mut surveys) => {
                    for survey in surveys.drain(..) {
                        self.answer(survey);
                    }
                }
                () = shutdown.cancelled(), if self.is_quiet() => return Ok(()),
            }
            self.commits.start();
            self.unload_idle();
        }
    }

    /// Whether nothing that was accepted is unfinished.
    fn is_quiet(&self) -> bool {
        self.commits.is_idle() && self.away.is_empty()
    }

    /// Finds the account for a piece of work, or has it read.
    fn begin(&mut self, work: Work) {
        let Work {
            shard: number,
            target,
            task,
        } = work;
        let waiting_max = self.env.config.account_waiting_stanzas_max;
        let shard = self.shards.entry(number).or_default();
        match shard.take(&target, task, waiting_max) {
            Found::Ready(account, task) => self.act(number, account, task),
            Found::Queued => {}
            Found::Absent => self.load(number, target),
            Found::Overloaded(task) => {
                metrics::account_overloaded();
                self.release(reject::overloaded(task));
            }
        }
    }

    /// Does one piece of work after the other at an account, until it has none
    /// left or has to wait.
    fn act(&mut self, number: ShardNumber, account: Box<Account>, task: Task) {
        let mut next = Some((account, task));
        while let Some((account, task)) = next.take() {
            let progress = Arc::clone(self.commits.progress());
            let ctx = Ctx::new(Arc::clone(&self.env), progress, account);
            let name = ctx.account.jid.clone();
            let sessions = &mut self.sessions;
            // A fault in one account stays in that account.
            match catch_unwind(AssertUnwindSafe(|| tasks::run(ctx, task, sessions))) {
                Ok(Handling::Done(ctx)) => next = self.settle(number, ctx),
                Ok(Handling::Waiting(handler)) => {
                    let handled = AssertUnwindSafe(handler).catch_unwind();
                    self.away.push(Box::pin(async move {
                        match handled.await {
                            Ok(ctx) => Returned::Handled(number, ctx),
                            Err(_) => Returned::Lost(number, name),
                        }
                    }));
                }
                Err(_) => self.lose(number, &name),
            }
        }
    }

    /// Collects the effects of a handled piece of work and puts the account
    /// back; returns it with the next task if one waits.
    fn settle(&mut self, number: ShardNumber, ctx: Ctx) -> Option<(Box<Account>, Task)> {
        let Ctx {
            mut account,
            mut effects,
            ..
        } = ctx;
        let is_behind = !self.commits.progress().is_completed(account.cycle);
        if !effects.writes.is_empty() || is_behind {
            // Invariant: what an account releases never overtakes what it
            // released earlier and is not durable yet.
            let epoch = self.env.epoch(&account.jid).0;
            let owner = account.jid.clone();
            let writes = &mut self.writes;
            let stamped = effects.writes.drain(..).map(|change| {
                *writes += 1;
                Write {
                    owner: owner.clone(),
                    stamp: Stamp::new(epoch, *writes),
                    change,
                }
            });
            account.cycle = self.commits.collect(stamped, &mut effects.releases);
        } else {
            self.release(effects.releases);
        }
        self.put_back(number, account)
    }

    fn put_back(
        &mut self,
        number: ShardNumber,
        account: Box<Account>,
    ) -> Option<(Box<Account>, Task)> {
        if account.sessions.is_empty() {
            let idle = if account.lasting == Lasting::Stored {
                &mut self.idle
            } else {
                &mut self.gone
            };
            idle.push_back((number, account.jid.clone()));
        }
        self.shards.entry(number).or_default().put(account)
    }

    /// Reads an account; it is already marked away.
    fn load(&mut self, number: ShardNumber, name: BareJid) {
        if name.local().is_none() {
            // A host answers for itself and has nothing to be read.
            return self.arrive(number, Account::unstored(name, Lasting::Host));
        }
        let store = Arc::clone(&self.env.store);
        self.away.push(Box::pin(async move {
            let bundle = store.login(&name).await;
            Returned::Loaded(number, name, bundle)
        }));
    }

    fn take_back(&mut self, returned: Returned) {
        match returned {
            Returned::Handled(number, ctx) => {
                if let Some((account, task)) = self.settle(number, ctx) {
                    self.act(number, account, task);
                }
            }
            Returned::Lost(number, name) => self.lose(number, &name),
            Returned::Loaded(number, name, Ok(Some(bundle))) => {
                self.arrive(number, Account::stored(name, bundle));
            }
            Returned::Loaded(number, name, Ok(None)) => {
                // Those who bind anonymously bring their account with them.
                self.arrive(number, Account::unstored(name, Lasting::Session));
            }
            Returned::Loaded(number, name, Err(error)) => {
                tracing::error!(account = %name, %error, "an account could not be read");
                let shard = self.shards.entry(number).or_default();
                for task in shard.forget(&name) {
                    self.release(reject::unreadable(task, &error));
                }
            }
        }
    }

    /// A handler panicked: the account is read again for whatever comes next.
    /// Its sessions are closed as they are dropped, so their clients come back.
    fn lose(&mut self, number: ShardNumber, name: &BareJid) {
        metrics::account_lost();
        tracing::error!(account = %name, "a handler panicked; the account starts anew");
        for task in self.shards.entry(number).or_default().forget(name) {
            self.begin(Work {
                shard: number,
                target: name.clone(),
                task,
            });
        }
    }

    /// An account is in memory for the first time: what waited for it goes on.
    fn arrive(&mut self, number: ShardNumber, account: Account) {
        if let Some((account, task)) = self.put_back(number, Box::new(account)) {
            self.act(number, account, task);
        }
    }

    fn release(&self, effects: Vec<Effect>) {
        for effect in effects {
            router::release(&self.env, &self.inbox, effect);
        }
    }

    fn answer(&self, survey: Survey) {
        match survey {
            Survey::Sessions(limit, answer) => {
                let accounts = self.shards.values().flat_map(Shard::ready);
                let sessions = accounts.flat_map(|account| &account.sessions);
                let _ = answer.send(sessions.take(limit).map(|session| session.info()).collect());
            }
        }
    }

    /// Unloads what is gone, and the accounts that nobody has needed for longest.
    fn unload_idle(&mut self) {
        for _ in 0..self.gone.len() {
            if let Some((number, name)) = self.gone.pop_front()
                && !self.unload(number, &name)
            {
                self.gone.push_back((number, name));
            }
        }
        while self.idle.len() > self.env.config.accounts_idle_max {
            if let Some((number, name)) = self.idle.pop_front() {
                self.unload(number, &name);
            }
        }
    }

    /// Unloads an account unless it has to stay: it has a session, or a write
    /// on its way without which it would be read back. `false` for the latter.
    fn unload(&mut self, number: ShardNumber, name: &BareJid) -> bool {
        let progress = self.commits.progress();
        let mut is_settled = true;
        self.shards
            .entry(number)
            .or_default()
            .unload_if(name, |account| {
                is_settled = progress.is_completed(account.cycle);
                is_settled && account.sessions.is_empty()
            });
        is_settled
    }
}
