//! Which accounts stay loaded although nobody uses them, and for how long.

use std::collections::VecDeque;

use starling_cluster::Shard as ShardNumber;
use starling_xmpp::BareJid;

use super::shards::Shards;
use crate::Account;
use crate::account::Lasting;
use crate::commit::Progress;
use crate::shard::Unload;

/// Names of accounts without a session. Each is listed once.
pub(super) struct Residence {
    idle_max: usize,
    /// Accounts of the store, oldest first: messages to absent users need not
    /// read them again.
    idle: VecDeque<(ShardNumber, BareJid)>,
    /// Names without an account that were loaded only to be refused, hosts, and
    /// accounts just removed: unloaded as soon as nothing of them is on its way.
    gone: VecDeque<(ShardNumber, BareJid)>,
}

impl Residence {
    pub(super) fn new(idle_max: usize) -> Self {
        Self {
            idle_max,
            idle: VecDeque::new(),
            gone: VecDeque::new(),
        }
    }

    /// Nobody uses this account at the moment.
    pub(super) fn note_idle(&mut self, number: ShardNumber, account: &mut Account) {
        if account.lasting != Lasting::Stored {
            self.gone.push_back((number, account.jid.clone()));
        } else if !std::mem::replace(&mut account.is_listed_idle, true) {
            self.idle.push_back((number, account.jid.clone()));
        }
    }

    /// Unloads what is gone, and the accounts that nobody has needed for longest.
    pub(super) fn unload(&mut self, shards: &mut Shards, progress: &Progress) {
        let mut try_unload = |(number, name): &(ShardNumber, BareJid)| {
            let shard = shards.get_mut(number);
            shard.map_or(Unload::Done, |shard| {
                shard.unload(name, |account| progress.is_completed(account.cycle))
            })
        };
        self.gone
            .retain(|listed| try_unload(listed) == Unload::Busy);
        while self.idle.len() > self.idle_max {
            let Some(listed) = self.idle.pop_front() else {
                return;
            };
            if try_unload(&listed) == Unload::Busy {
                // Whatever keeps it busy ends in another turn.
                self.idle.push_back(listed);
                return;
            }
        }
    }
}
