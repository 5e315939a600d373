//! Accounts that come to a worker: read from the store, or back from a handler
//! that had to wait. What waited for them goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Epoch, Shard as ShardNumber};
use starling_store::Error;
use starling_xmpp::{BareJid, Head};
use tokio::time::sleep;

use super::opening::{RETRY_PAUSE, Waiting};
use super::reading::{self, Found};
use super::{Asking, Worker};
use crate::account::Lasting;
use crate::commit::CycleNumber;
use crate::work::Task;
use crate::{Account, Ctx, reject};

/// An account that comes back: read from the store, or from a handler that had
/// to wait.
pub(super) enum Returned {
    Loaded(ShardNumber, BareJid, Result<Option<Box<Found>>, Error>),
    Handled(ShardNumber, Box<Ctx>, Option<Head>),
    /// A shard whose outbox was read.
    Opened(ShardNumber, Epoch, Result<Waiting, Error>),
    /// Its handler panicked, and its memory went with it.
    Lost(ShardNumber, BareJid, Option<Head>),
    /// Nobody waits for it any more.
    Unwanted,
}

impl Worker {
    /// Reads an account; it is already marked away. What it wrote up to a cycle
    /// is waited for, so that it is read with it.
    pub(super) fn load(&mut self, number: ShardNumber, name: BareJid, after: CycleNumber) {
        self.load_after(Duration::ZERO, number, name, after);
    }

    fn load_after(
        &mut self,
        pause: Duration,
        number: ShardNumber,
        name: BareJid,
        after: CycleNumber,
    ) {
        if name.local().is_none() {
            // A host answers for itself and has nothing to be read.
            let host = Account::unstored(name, Lasting::Host);
            return self.arrive(number, Box::new(host));
        }
        let (store, progress) = (
            Arc::clone(&self.env.store),
            Arc::clone(self.commits.progress()),
        );
        let Some(shard) = self.shards.get_mut(&number) else {
            return;
        };
        // Alone, there is nobody whose late writes could show up.
        let epoch = self.env.fence.is_some().then_some(shard.epoch);
        let (asking, asked) = Asking::begin();
        let mark = asked.is_writing.clone();
        mark.set(!progress.is_completed(after));
        shard.read(&name, asking);
        self.away.push(Box::pin(async move {
            let found = async {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                progress.reach(after).await;
                mark.set(false);
                reading::read(&*store, &name, epoch, &mark).await
            };
            match asked.answered(found).await {
                Some(found) => Returned::Loaded(number, name, found),
                None => Returned::Unwanted,
            }
        }));
    }

    pub(super) fn take_back(&mut self, returned: Returned) {
        match returned {
            Returned::Handled(number, ctx, head) => {
                if let Some((account, task)) = self.settle(number, ctx, head) {
                    self.act(number, account, task);
                }
            }
            Returned::Lost(number, name, head) => self.lose(number, &name, head),
            Returned::Unwanted => {}
            Returned::Opened(number, epoch, found) => self.opened(number, epoch, found),
            Returned::Loaded(number, name, Ok(Some(found))) => {
                let Found {
                    bundle,
                    takeover,
                    recent,
                } = *found;
                let mut account = Box::new(Account::stored(name, bundle));
                for id in recent {
                    account.recent.note(id);
                }
                let is_gathering = self.owned.waiting.is_gathering(number);
                let is_anything = is_gathering || !takeover.is_empty();
                account.takeover = is_anything.then(|| Box::new(takeover));
                if is_anything && !is_gathering {
                    // Before anything that waits for the account.
                    self.act(number, account, Task::Recover);
                } else {
                    self.arrive(number, account);
                }
            }
            Returned::Loaded(number, name, Ok(None)) => {
                // Those who bind anonymously bring their account with them.
                let mut account = Account::unstored(name, Lasting::Session);
                let is_gathering = self.owned.waiting.is_gathering(number);
                account.takeover = is_gathering.then(Box::default);
                self.arrive(number, Box::new(account));
            }
            Returned::Loaded(number, name, Err(error)) => self.unread(number, name, &error),
        }
    }

    /// An account could not be read. Who asks is told so; what was promised waits
    /// until it can be, if that may be soon.
    fn unread(&mut self, number: ShardNumber, name: BareJid, error: &Error) {
        tracing::error!(account = %name, %error, "an account could not be read");
        let can_wait = |task: &Task| matches!(error, Error::Unavailable { .. }) && task.is_kept();
        let (_, waiting) = self.forget(number, &name);
        let (kept, asked): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(can_wait);
        for task in asked {
            self.release(reject::unreadable(task, error));
        }
        let shard = self.shards.get_mut(&number);
        if let Some(shard) = shard.filter(|_| !kept.is_empty()) {
            shard.expect(&name, kept);
            self.load_after(RETRY_PAUSE, number, name, CycleNumber::default());
        }
    }

    /// An account is in memory for the first time: what waited for it goes on.
    pub(super) fn arrive(&mut self, number: ShardNumber, account: Box<Account>) {
        self.spoilt.remove(&account.jid);
        if let Some((account, task)) = self.put_back(number, account) {
            self.act(number, account, task);
        }
    }

    pub(super) fn put_back(
        &mut self,
        number: ShardNumber,
        mut account: Box<Account>,
    ) -> Option<(Box<Account>, Task)> {
        if account.sessions.is_empty() {
            self.residence.note_idle(number, &mut account);
        }
        self.shards.get_mut(&number)?.put(account)
    }
}
