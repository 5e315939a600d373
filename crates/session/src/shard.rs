//! A shard: the accounts that hash to it and are loaded.
//!
//! It only keeps them. Reading them from the store and acting on them is the
//! worker's part, which owns the shard and is its only thread.

use std::collections::{HashMap, VecDeque};

use starling_cluster::Epoch;
use starling_xmpp::BareJid;

use crate::Account;
use crate::commit::{CycleNumber, Progress};
use crate::work::Task;
use crate::worker::Asking;

/// The loaded accounts of one shard.
pub(crate) struct Shard {
    /// Under which this node owns it.
    pub(crate) epoch: Epoch,
    accounts: HashMap<BareJid, Slot>,
    /// How many of them are away: a shard that leaves is asked in every turn of
    /// its worker whether any is.
    away: usize,
    /// Those that are being read.
    reading: HashMap<BareJid, Asking>,
    /// The last cycle that anything of an account is in.
    cycle: CycleNumber,
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
            away: 0,
            reading: HashMap::new(),
            cycle: CycleNumber::default(),
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
                    Slot::Ready(account) => {
                        self.away += 1;
                        Found::Ready(account, task)
                    }
                    Slot::Away(_) => Found::Queued,
                }
            }
            None => {
                self.expect(name, VecDeque::from([task]));
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
        self.cycle = self.cycle.max(account.cycle);
        if !self.reading.is_empty() {
            self.reading.remove(&account.jid);
        }
        if let Slot::Away(waiting) = slot {
            if let Some(task) = waiting.pop_front() {
                return Some((account, task));
            }
            self.away -= 1;
        }
        *slot = Slot::Ready(account);
        None
    }

    /// Forgets an account wherever it is, and hands over what waited for it.
    pub(crate) fn forget(&mut self, name: &BareJid) -> (Option<Box<Account>>, VecDeque<Task>) {
        self.reading.remove(name);
        match self.accounts.remove(name) {
            Some(Slot::Away(waiting)) => {
                self.away -= 1;
                (None, waiting)
            }
            Some(Slot::Ready(account)) => (Some(account), VecDeque::new()),
            None => (None, VecDeque::new()),
        }
    }

    /// Marks a name as away again, with what waits for it.
    pub(crate) fn expect(&mut self, name: &BareJid, waiting: VecDeque<Task>) {
        let before = self.accounts.insert(name.clone(), Slot::Away(waiting));
        self.away += usize::from(!matches!(before, Some(Slot::Away(_))));
    }

    /// An account that is away is being read.
    pub(crate) fn read(&mut self, name: &BareJid, asking: Asking) {
        self.reading.insert(name.clone(), asking);
    }

    /// Whether an account is being read.
    pub(crate) fn is_read(&self, name: &BareJid) -> bool {
        self.reading.contains_key(name)
    }

    /// Waits no longer for accounts that are being read, unless something of them
    /// is on its way to the store; what waited for each.
    pub(crate) fn give_up_reading(&mut self) -> Vec<(BareJid, VecDeque<Task>)> {
        let reading = self.reading.extract_if(|_, asking| !asking.is_writing());
        let given_up: Vec<_> = reading.map(|(name, _)| name).collect();
        let waiting = given_up.into_iter().map(|name| {
            let (_, waiting) = self.forget(&name);
            (name, waiting)
        });
        waiting.collect()
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
        self.away > 0
    }

    /// The last cycle that anything of an account that was here is in.
    pub(crate) fn cycle(&self) -> CycleNumber {
        self.cycle
    }

    /// Whether every account is here, and has released everything.
    pub(crate) fn is_at_rest(&self, progress: &Progress) -> bool {
        self.away == 0 && progress.is_completed(self.cycle)
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
    pub(crate) fn move_away(&self, progress: &Progress) -> bool {
        let is_complete = self.is_at_rest(progress);
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;
    use crate::account::Lasting;

    /// It is not looked through for that.
    #[test]
    fn a_shard_knows_whether_an_account_is_away_whatever_becomes_of_it() {
        let [juliet, romeo] =
            ["juliet", "romeo"].map(|of| BareJid::parse(&format!("{of}@localhost")).unwrap());
        let mut shard = Shard::new(Epoch(1));
        for name in [&juliet, &romeo] {
            assert!(matches!(shard.take(name, Task::Recover, 1), Found::Absent));
        }
        let (asking, _asked) = Asking::begin();
        shard.read(&romeo, asking);
        let account = Box::new(Account::unstored(juliet.clone(), Lasting::Host));
        let (account, _) = shard.put(account).unwrap();
        assert!(shard.put(account).is_none());
        assert!(shard.is_any_away(), "romeo is");
        let given_up = shard.give_up_reading();
        let given_up: Vec<_> = given_up
            .iter()
            .map(|(of, tasks)| (of, tasks.len()))
            .collect();
        assert_eq!(given_up, [(&romeo, 1)]);
        assert!(!shard.is_any_away());
        assert!(matches!(
            shard.take(&juliet, Task::Recover, 1),
            Found::Ready(..)
        ));
        assert!(shard.is_any_away());
        shard.expect(&juliet, VecDeque::new());
        shard.forget(&juliet);
        shard.forget(&juliet);
        assert!(!shard.is_any_away());
        let progress = Progress::default();
        assert!(shard.is_at_rest(&progress));
    }
}
