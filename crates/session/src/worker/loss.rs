//! What happens when the memory of an account cannot be trusted any more: a
//! handler panicked, or something it had done cannot be stored. The account is
//! read again; its clients are closed and come back.

use std::collections::VecDeque;

use starling_cluster::Shard as ShardNumber;
use starling_xmpp::{BareJid, Head};

use super::Worker;
use crate::work::Task;
use crate::{Account, metrics, reject};

impl Worker {
    /// A handler panicked. Its sessions were closed as they were dropped, and
    /// whoever sent the stanza in hand is told.
    pub(super) fn lose(&mut self, number: ShardNumber, name: &BareJid, head: Option<Head>) {
        metrics::account_lost();
        tracing::error!(account = %name, "a handler panicked; the account starts anew");
        if let Some(head) = head {
            self.release(reject::failed(head));
        }
        self.start_anew(number, name);
    }

    /// A change of this account cannot be stored.
    pub(super) fn spoil(&mut self, name: &BareJid) {
        let number = self.env.placement.shard_of(name);
        let shard = self.shards.get(&number);
        if shard.is_some_and(|shard| shard.is_read(name)) {
            // After everything it wrote, whether that was stored or not.
            return;
        }
        match self.forget(number, name) {
            (Some(account), _) => self.drop_account(number, account),
            // A handler has it: it is dropped when it comes back.
            (None, waiting) => {
                self.spoilt.insert(name.clone());
                if let Some(shard) = self.shards.get_mut(&number) {
                    shard.expect(name, waiting);
                }
            }
        }
    }

    /// Ends the sessions of an account whose memory is ahead of the store.
    pub(super) fn drop_account(&mut self, number: ShardNumber, account: Box<Account>) {
        metrics::account_lost();
        for session in &account.sessions {
            session.abandon();
        }
        let name = account.jid.clone();
        drop(account);
        self.start_anew(number, &name);
    }

    pub(super) fn forget(
        &mut self,
        number: ShardNumber,
        name: &BareJid,
    ) -> (Option<Box<Account>>, VecDeque<Task>) {
        let shard = self.shards.get_mut(&number);
        shard.map(|shard| shard.forget(name)).unwrap_or_default()
    }

    /// Reads an account again, with everything it wrote, if work waits for it.
    fn start_anew(&mut self, number: ShardNumber, name: &BareJid) {
        let (_, waiting) = self.forget(number, name);
        let newest = self.commits.newest();
        // Also when nothing waits: whatever comes next must not read it before
        // its own writes are there.
        if let Some(shard) = self.shards.get_mut(&number) {
            shard.expect(name, waiting);
            self.load(number, name.clone(), newest);
        }
    }
}
