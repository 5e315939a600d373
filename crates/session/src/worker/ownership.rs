//! Shards that come and go: what a worker does when the cluster gives a shard
//! to this node, or to another.
//!
//! A shard that is to go writes down first how far it is, while it is served:
//! its clients wait for as little as possible. Then it is frozen, if it can be
//! when nothing of it is in hand: new work waits, and once nothing of it is with
//! a handler or on its way to the store, its edges are told to bring their
//! clients to the new owner. Who decides, and tells the others, is the caller;
//! what waits, and for what, is in `gathering` and `early`.

use std::collections::{BTreeMap, HashMap, HashSet};

use starling_cluster::{Epoch, Shard as ShardNumber};
use starling_store::fence::Seal;
use starling_store::{Error, LoginBundle, Position, Store};
use starling_xmpp::BareJid;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

use super::Worker;
use super::gathering::Waiting;
use crate::commit::CycleNumber;
use crate::shard::Shard;
use crate::work::{Alarm, Ownership, Task, Work};

/// How long a shard that has just come is waited for, so that its clients do not
/// wait for two moves in a row. One that cannot be served then is another's to
/// serve: a node that stops must not stay because its store does not answer.
const SERVING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a moment is looked for in which nothing of a shard is in hand, so
/// that it is frozen without anybody waiting for the store. Once it is frozen,
/// accounts that nobody has read are waited for as long again.
const MOMENT_TIMEOUT: Duration = Duration::from_millis(500);

/// The shards that this run of the node was given, and those it is about to
/// lose.
#[derive(Default)]
pub(super) struct Owned {
    /// Only what this run was told counts: the table may still name an earlier
    /// run of this node, whose epoch is not ours to serve under.
    taken: HashMap<ShardNumber, Epoch>,
    /// Shards that write down how far they are before they are frozen.
    settling: BTreeMap<ShardNumber, Settling>,
    pub(super) frozen: HashSet<ShardNumber>,
    /// Frozen shards of which something is still in hand.
    unfinished: BTreeMap<ShardNumber, Unfinished>,
    pub(super) waiting: Waiting,
}

/// A shard that is about to be frozen.
struct Settling {
    /// What must be stored before.
    cycle: CycleNumber,
    since: Instant,
    /// When that was stored, and its sessions were there.
    served: Option<Instant>,
    told: oneshot::Sender<()>,
}

/// A frozen shard, and who waits for nothing of it to be in hand.
struct Unfinished {
    since: Instant,
    /// Accounts that are being read are waited for.
    is_reading: bool,
    told: oneshot::Sender<()>,
}

impl Owned {
    fn forget(&mut self, number: ShardNumber) {
        self.settling.remove(&number);
        self.frozen.remove(&number);
        self.unfinished.remove(&number);
    }

    /// When something has been waited for long enough that shards leave behind.
    pub(super) fn leaving_due(&self) -> Option<Instant> {
        let settling = self.settling.iter().filter_map(|(number, of)| {
            match self.waiting.is_gathering(*number) {
                true => Some(of.since + SERVING_TIMEOUT),
                false => of.served.map(|served| served + MOMENT_TIMEOUT),
            }
        });
        let reading = self.unfinished.values().filter(|of| of.is_reading);
        let reading = reading.map(|of| of.since + MOMENT_TIMEOUT);
        settling.chain(reading).min()
    }
}

impl Worker {
    /// The epoch under which this node serves a shard, if it does.
    pub(super) fn epoch_of(&self, number: ShardNumber) -> Option<Epoch> {
        if self.env.fence.is_none() {
            return Some(self.env.membership.owner(number)?.epoch);
        }
        self.owned.taken.get(&number).copied()
    }

    pub(super) fn is_frozen(&self, number: ShardNumber) -> bool {
        !self.owned.frozen.is_empty() && self.owned.frozen.contains(&number)
    }

    pub(super) fn own(&mut self, change: Ownership) {
        match change {
            Ownership::Freeze(number, told) => self.freeze(number, told),
            Ownership::Keep(number) => {
                self.owned.forget(number);
                self.stay(number);
            }
            Ownership::Drop(number) => {
                self.owned.forget(number);
                self.owned.waiting.forget(number);
                self.owned.taken.remove(&number);
                self.shards.remove(&number);
                self.send_after(number);
            }
            Ownership::Take(number, epoch) => {
                self.owned.forget(number);
                self.owned.taken.insert(number, epoch);
                let known = self.shards.get(&number);
                let mut waiting = Vec::new();
                if known.is_some_and(|shard| shard.epoch != epoch) {
                    self.shards.remove(&number);
                    waiting = self.close(number);
                }
                // What an earlier owner has promised does not wait for work.
                self.shard(number);
                self.gather(number, epoch);
                waiting.into_iter().for_each(|work| self.begin(work));
            }
            Ownership::Attended(number, epoch, edge) => self.attended(number, epoch, edge),
        }
    }

    /// Writes down how far the accounts of a shard are. What is left to write
    /// then, when nobody is served, is what happens in the meantime: how far an
    /// account is in the moment that is looked for its new owner learns from the
    /// edges.
    fn freeze(&mut self, number: ShardNumber, told: oneshot::Sender<()>) {
        let names = self.shards.get(&number).map(Shard::ready_names);
        for target in names.unwrap_or_default() {
            self.begin(Work {
                shard: number,
                target,
                task: Task::Alarm(Alarm::Cursor),
            });
        }
        let cycle = self.shards.get(&number).map(Shard::cycle);
        let cycle = cycle.unwrap_or_default();
        let since = Instant::now();
        let settling = Settling {
            cycle,
            since,
            served: None,
            told,
        };
        self.owned.settling.insert(number, settling);
        self.finish_leaving();
    }

    /// Looks how far the shards are that are to go.
    pub(super) fn finish_leaving(&mut self) {
        if !self.owned.settling.is_empty() {
            // A worker that always has work never hears that it is late.
            self.expire();
            self.freeze_settled();
        }
        if self.owned.unfinished.is_empty() {
            return;
        }
        self.give_up_reading();
        let progress = self.commits.progress();
        let shards = &self.shards;
        // Every account that has something on its way is loaded, so that nothing
        // of the shard is written any more once all are here and settled.
        let done = self.owned.unfinished.extract_if(.., |number, _| {
            let shard = shards.get(number);
            shard.is_none_or(|shard| shard.move_away(progress))
        });
        let done: Vec<_> = done.collect();
        for (number, Unfinished { since, told, .. }) in done {
            let elapsed = since.elapsed();
            tracing::debug!(shard = %number, ?elapsed, "nothing is in hand any more");
            // Whoever asked may have given up.
            let _ = told.send(());
        }
    }

    /// Waits no longer for accounts of frozen shards that are still being read:
    /// nobody has done anything with them, and what waits for them goes along.
    fn give_up_reading(&mut self) {
        let owned = &mut self.owned;
        for (number, unfinished) in &mut owned.unfinished {
            if unfinished.since.elapsed() < MOMENT_TIMEOUT {
                continue;
            }
            unfinished.is_reading = false;
            let Some(shard) = self.shards.get_mut(number).filter(|of| of.is_any_away()) else {
                continue;
            };
            let given_up = shard.give_up_reading().into_iter();
            let works = given_up.flat_map(|(target, tasks)| {
                let shard = *number;
                tasks.into_iter().map(move |task| Work {
                    shard,
                    target: target.clone(),
                    task,
                })
            });
            owned.waiting.hold_first(*number, works.collect());
        }
    }

    /// Freezes what has written down how far it is, in a moment in which nothing
    /// of it is in hand if there is one soon. What has just come is served first,
    /// if it can be.
    fn freeze_settled(&mut self) {
        let progress = self.commits.progress();
        let (shards, opening) = (&self.shards, &self.opening);
        let waiting = &self.owned.waiting;
        let settling = &mut self.owned.settling;
        let done = settling.extract_if(.., |number, settling| {
            if waiting.is_gathering(*number) {
                return settling.since.elapsed() >= SERVING_TIMEOUT;
            }
            if !progress.is_completed(settling.cycle) {
                return false;
            }
            let served = *settling.served.get_or_insert_with(Instant::now);
            let at_rest = |shard: &Shard| shard.is_at_rest(progress);
            let is_at_rest = shards.get(number).is_none_or(at_rest);
            is_at_rest && !opening.contains_key(number) || served.elapsed() >= MOMENT_TIMEOUT
        });
        let done: Vec<_> = done.collect();
        for (number, Settling { since, told, .. }) in done {
            let elapsed = since.elapsed();
            tracing::debug!(shard = %number, ?elapsed, "served until here");
            self.owned.frozen.insert(number);
            self.put_off(number);
            let since = Instant::now();
            let unfinished = Unfinished {
                since,
                is_reading: true,
                told,
            };
            self.owned.unfinished.insert(number, unfinished);
        }
    }
}

/// Fixes where the log of an account ended before this epoch, so that what an
/// earlier owner still writes never shows up in it.
pub(super) async fn seal(
    store: &dyn Store,
    owner: &BareJid,
    epoch: Epoch,
    bundle: &LoginBundle,
) -> Result<(), Error> {
    let last = bundle.last_position.unwrap_or(Position::START);
    if last.epoch >= epoch.0 {
        return Ok(());
    }
    let epoch = epoch.0;
    store.seal(owner, Seal { epoch, last }).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::Scene;
    use crate::worker::Inbox;

    /// A worker that has a shard with one account, which somebody has in hand.
    fn busy() -> (Worker, ShardNumber, BareJid) {
        let (scene, name) = (
            Scene::new("juliet@example.com"),
            BareJid::parse("juliet@example.com").unwrap(),
        );
        let mut worker = Worker::new(Arc::clone(scene.env()), Arc::new(Inbox::new(1, 0, 1)));
        let number = ShardNumber::all().next().unwrap();
        let mut shard = Shard::new(Epoch(2));
        shard.expect(&name, [].into());
        worker.shards.insert(number, shard);
        (worker, number, name)
    }

    fn settling(served: Option<Instant>) -> (Settling, oneshot::Receiver<()>) {
        let (told, frozen) = oneshot::channel();
        let settling = Settling {
            cycle: CycleNumber::default(),
            since: Instant::now(),
            served,
            told,
        };
        (settling, frozen)
    }

    /// Whoever waits for the store is served here meanwhile, but not for ever:
    /// somebody always may.
    #[test]
    fn a_shard_is_frozen_when_nothing_of_it_is_in_hand_or_after_a_while() {
        let (mut worker, number, name) = busy();
        let (settling_now, mut told) = settling(None);
        worker.owned.settling.insert(number, settling_now);
        worker.finish_leaving();
        assert!(!worker.is_frozen(number), "its account is in hand");
        assert!(
            worker.owned.leaving_due().is_some(),
            "nobody else may wake it"
        );
        let long_ago = Instant::now() - MOMENT_TIMEOUT;
        worker.owned.settling.get_mut(&number).unwrap().served = Some(long_ago);
        worker.finish_leaving();
        assert!(worker.is_frozen(number));
        assert!(told.try_recv().is_err(), "its account still is");
        // Where nobody waits there is nothing to wait for.
        worker.owned.forget(number);
        worker.shards.get_mut(&number).unwrap().forget(&name);
        let (settling_now, mut told) = settling(None);
        worker.owned.settling.insert(number, settling_now);
        worker.finish_leaving();
        assert!(worker.is_frozen(number));
        assert_eq!(told.try_recv(), Ok(()));
        assert_eq!(worker.owned.leaving_due(), None);
    }
}
