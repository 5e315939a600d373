//! A shard: the accounts that hash to it and are loaded.
//!
//! It only keeps them. Reading them from the store and acting on them is the
//! worker's part, which owns the shard and is its only thread.

use std::collections::{HashMap, VecDeque};

use starling_cluster::Epoch;
use starling_xmpp::BareJid;

use crate::Account;
use crate::work::Task;

/// The loaded accounts of one shard.
pub(crate) struct Shard {
    /// Under which this node owns it.
    pub(crate) epoch: Epoch,
    accounts: HashMap<BareJid, Slot>,
}

/// Where an account is.
enum Slot {
    /// Here, and free.
    Ready(Box<Account>),
    /// Being read, or in the hands of a handler that waits. Work queues here,
    /// so that its order is kept.
    Away(VecDeque<Task>),
}

/// What was found under a name.
pub(crate) enum Found {
    /// The account, taken out: put it back or mark it away.
    Ready(Box<Account>, Task),
    /// It is away, and the task waits for it.
    Queued,
    /// It is away, and too much waits for it already.
    Overloaded(Task),
    /// It is not loaded. It now counts as away, with the task waiting.
    Absent,
}

/// How many times as much waits of what a sender was promised. All that is said
/// to one account while it was out of reach comes at once.
const PROMISED_FACTOR: usize = 32;

/// How much may wait before this.
fn room(waiting_max: usize, task: &Task) -> usize {
    match task.is_promised() {
        true => waiting_max.saturating_mul(PROMISED_FACTOR),
        false => waiting_max,
    }
}

/// What became of an attempt to unload an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unload {
    /// It is unloaded, or was not there.
    Done,
    /// It has sessions: it stays.
    InUse,
    /// It is away, or something of it is on its way: try later.
    Busy,
}

impl Shard {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            accounts: HashMap::new(),
        }
    }

    /// Whether an account is loaded, or about to be.
    pub(crate) fn has(&self, name: &BareJid) -> bool {
        self.accounts.contains_key(name)
    }

    /// Takes an account out to do something, or lets the task wait for it.
    pub(crate) fn take(&mut self, name: &BareJid, task: Task, waiting_max: usize) -> Found {
        match self.accounts.get_mut(name) {
            Some(Slot::Away(waiting))
                if task.is_refusable() && waiting.len() >= room(waiting_max, &task) =>
            {
                Found::Overloaded(task)
            }
            Some(Slot::Away(waiting)) => {
                waiting.push_back(task);
                Found::Queued
            }
            Some(slot @ Slot::Ready(_)) => {
                match std::mem::replace(slot, Slot::Away(VecDeque::new())) {
                    Slot::Ready(account) => Found::Ready(account, task),
                    Slot::Away(_) => Found::Queued,
                }
            }
            None => {
                let waiting = VecDeque::from([task]);
                self.accounts.insert(name.clone(), Slot::Away(waiting));
                Found::Absent
            }
        }
    }

    /// Puts an account back. If work waits for it, it is not put back: it is
    /// returned with the oldest task.
    pub(crate) fn put(&mut self, account: Box<Account>) -> Option<(Box<Account>, Task)> {
        let Some(slot) = self.accounts.get_mut(&account.jid) else {
            debug_assert!(false, "only an account that was taken is put back");
            let name = account.jid.clone();
            self.accounts.insert(name, Slot::Ready(account));
            return None;
        };
        if let Slot::Away(waiting) = slot
            && let Some(task) = waiting.pop_front()
        {
            return Some((account, task));
        }
        *slot = Slot::Ready(account);
        None
    }

    /// Forgets an account wherever it is, and hands over what waited for it.
    pub(crate) fn forget(&mut self, name: &BareJid) -> (Option<Box<Account>>, VecDeque<Task>) {
        match self.accounts.remove(name) {
            Some(Slot::Away(waiting)) => (None, waiting),
            Some(Slot::Ready(account)) => (Some(account), VecDeque::new()),
            None => (None, VecDeque::new()),
        }
    }

    /// Marks a name as away again, with what waits for it.
    pub(crate) fn expect(&mut self, name: &BareJid, waiting: VecDeque<Task>) {
        self.accounts.insert(name.clone(), Slot::Away(waiting));
    }

    /// Unloads an account that nobody uses and of which nothing is on its way.
    pub(crate) fn unload(
        &mut self,
        name: &BareJid,
        is_settled: impl FnOnce(&Account) -> bool,
    ) -> Unload {
        match self.accounts.get_mut(name) {
            None => Unload::Done,
            Some(Slot::Away(_)) => Unload::Busy,
            Some(Slot::Ready(account)) if account.is_in_use() => {
                account.is_listed_idle = false;
                Unload::InUse
            }
            Some(Slot::Ready(account)) if is_settled(account) => {
                self.accounts.remove(name);
                Unload::Done
            }
            Some(Slot::Ready(_)) => Unload::Busy,
        }
    }

    /// Whether an account is being read, or in the hands of a handler.
    pub(crate) fn is_any_away(&self) -> bool {
        let mut accounts = self.accounts.values();
        accounts.any(|slot| matches!(slot, Slot::Away(_)))
    }

    /// Whether every account is here, and has released everything.
    pub(crate) fn is_at_rest(&self, is_settled: impl Fn(&Account) -> bool) -> bool {
        let mut accounts = self.accounts.values();
        accounts.all(|slot| match slot {
            Slot::Ready(account) => is_settled(account),
            Slot::Away(_) => false,
        })
    }

    /// The names of the accounts that are here.
    pub(crate) fn ready_names(&self) -> Vec<BareJid> {
        self.ready().map(|account| account.jid.clone()).collect()
    }

    /// The names of all accounts, wherever they are.
    pub(crate) fn names(&self) -> Vec<BareJid> {
        self.accounts.keys().cloned().collect()
    }

    /// Tells the edges of all sessions to bring them elsewhere, once every account
    /// is here and has released everything, so that what is in no log reaches its
    /// client before; whether it did. The accounts stay, in case the shard does.
    pub(crate) fn move_away(&self, is_settled: impl Fn(&Account) -> bool) -> bool {
        let is_complete = self.is_at_rest(is_settled);
        if is_complete {
            let sessions = self.ready().flat_map(|account| &account.sessions);
            sessions.for_each(crate::Session::move_away);
        }
        is_complete
    }

    /// The accounts that are here.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values().filter_map(|slot| match slot {
            Slot::Ready(account) => Some(account.as_ref()),
            Slot::Away(_) => None,
        })
    }
}
