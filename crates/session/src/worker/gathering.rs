//! Between the moment at which a shard comes to this node and the one at which
//! its accounts are served: edges bring the sessions whose clients stayed
//! connected, and everything else waits, in its order.
//!
//! Without it a message would be kept for a user who is there, and a presence
//! would be lost. An edge says when it has brought all; one that does not say
//! so in time is not waited for. What comes for a shard just before this node
//! learns that it has it waits here too; what becomes of it, and of what comes
//! just after the shard was given up, is in `early`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use starling_cluster::{Epoch, NodeId, Role, Shard as ShardNumber};
use starling_xmpp::BareJid;
use tokio::time::{Duration, Instant, sleep_until};

use super::Worker;
use super::ownership::Owned;
use crate::shard::Shard;
use crate::work::{Task, Work};
use crate::{metrics, reject};

/// Pieces of work that wait in one worker at most. Beyond that stanzas from
/// other accounts are refused; the rest is bounded by the credit of its clients.
const HELD_MAX: usize = 65_536;

/// How many times as long a shard may wait for its sessions while it is this
/// node that keeps them waiting: it cannot read their accounts yet, and could
/// serve nobody else.
const OWN_DELAY_FACTOR: u32 = 12;

/// Before it is looked again whether it still does.
const OWN_DELAY_PAUSE: Duration = Duration::from_secs(1);

/// A shard whose sessions are being brought.
pub(super) struct Gathering {
    epoch: Epoch,
    /// Edges that have not brought all.
    awaited: BTreeSet<NodeId>,
    since: Instant,
    deadline: Instant,
}

/// What is known of shards that are not served at this moment.
#[derive(Default)]
pub(super) struct Waiting {
    gathering: BTreeMap<ShardNumber, Gathering>,
    /// Work that waits, and what for at the latest if that is no gathering.
    held: BTreeMap<ShardNumber, Held>,
    held_count: usize,
    /// When is looked again whose the shards are that nobody has said are ours.
    pub(super) look_at: Option<Instant>,
    /// Edges that were done before this node was told to take the shard.
    attended: HashMap<ShardNumber, (Epoch, BTreeSet<NodeId>)>,
}

#[derive(Default)]
struct Held {
    works: VecDeque<Work>,
    /// Nobody has said yet that the shard is ours.
    until: Option<Instant>,
}

impl Waiting {
    /// Keeps work; hands back what there is no room for.
    fn hold(&mut self, work: Work, until: Option<Instant>) -> Option<Task> {
        if self.held_count >= HELD_MAX && work.task.is_refusable() {
            return Some(work.task);
        }
        self.held_count += 1;
        let held = self.held.entry(work.shard).or_default();
        held.until = held.until.or(until);
        held.works.push_back(work);
        None
    }

    /// Keeps what came ahead of all that waits for a shard.
    pub(super) fn hold_first(&mut self, number: ShardNumber, first: Vec<Work>) {
        if first.is_empty() {
            return;
        }
        self.held_count += first.len();
        let held = self.held.entry(number).or_default();
        let later = std::mem::replace(&mut held.works, first.into());
        held.works.extend(later);
    }

    pub(super) fn take(&mut self, number: ShardNumber) -> VecDeque<Work> {
        let works = self.held.remove(&number).unwrap_or_default().works;
        self.held_count -= works.len();
        works
    }

    pub(super) fn is_any_early(&self) -> bool {
        self.held.values().any(|held| held.until.is_some())
    }

    /// Shards that nobody has said are ours, with the target of the oldest work
    /// that waits for each, and how long it waits at most.
    pub(super) fn early(&self) -> Vec<(ShardNumber, BareJid, Instant)> {
        let early = self.held.iter().filter_map(|(number, held)| {
            let oldest = held.works.front()?;
            Some((*number, oldest.target.clone(), held.until?))
        });
        early.collect()
    }

    /// What brings a session, of all that waits for a shard.
    fn take_sessions(&mut self, number: ShardNumber) -> VecDeque<Work> {
        let Some(held) = self.held.get_mut(&number) else {
            return VecDeque::new();
        };
        let is_session = |work: &Work| matches!(work.task, Task::Reattach(..));
        let works = std::mem::take(&mut held.works);
        let (sessions, others) = works.into_iter().partition(is_session);
        held.works = others;
        self.held_count -= VecDeque::len(&sessions);
        sessions
    }

    /// When something has waited for long enough.
    fn due(&self) -> Option<Instant> {
        let gathering = self.gathering.values().map(|gathering| gathering.deadline);
        gathering.chain(self.look_at).min()
    }

    pub(super) fn is_gathering(&self, number: ShardNumber) -> bool {
        !self.gathering.is_empty() && self.gathering.contains_key(&number)
    }

    /// A shard is no longer this node's, or is under another epoch.
    pub(super) fn forget(&mut self, number: ShardNumber) {
        self.gathering.remove(&number);
    }
}

impl Owned {
    /// Waits until something has waited for long enough; for ever if nothing
    /// does. Safe to cancel.
    pub(super) async fn overdue(&self) {
        let due = self.waiting.due().into_iter().chain(self.leaving_due());
        match due.min() {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Worker {
    /// Keeps work that cannot be done yet, or is another node's; hands back what
    /// can be done.
    pub(super) fn hold_back(&mut self, work: Work) -> Option<Work> {
        let number = work.shard;
        let until = if self.is_frozen(number) {
            None
        } else if self.owned.waiting.is_gathering(number) {
            if matches!(work.task, Task::Reattach(..)) {
                return Some(work);
            }
            None
        } else if self.epoch_of(number).is_some() {
            return Some(work);
        } else {
            Some(self.early(number, &work.target))
        };
        self.hold(work, until);
        None
    }

    pub(super) fn hold(&mut self, work: Work, until: Option<Instant>) {
        if let Some(task) = self.owned.waiting.hold(work, until) {
            metrics::account_overloaded();
            self.release(reject::overloaded(task));
        }
    }

    /// A shard is this node's from now on. If another had it before, its
    /// sessions may be on their way here.
    pub(super) fn gather(&mut self, number: ShardNumber, epoch: Epoch) {
        let waiting = &mut self.owned.waiting;
        waiting.forget(number);
        let early = waiting.attended.remove(&number);
        let early = early.filter(|(of, _)| *of >= epoch);
        let done = early.map(|(_, edges)| edges).unwrap_or_default();
        let nodes = self.env.membership.nodes();
        let edges = nodes.iter().filter(|node| node.has_role(Role::Edge));
        let awaited: BTreeSet<_> = edges
            .map(|node| node.id().clone())
            .filter(|edge| !done.contains(edge))
            .collect();
        if let Some(held) = waiting.held.get_mut(&number) {
            held.until = None;
        }
        let now = Instant::now();
        let gathering = Gathering {
            epoch,
            awaited,
            since: now,
            deadline: now + self.env.config.reattach_timeout,
        };
        // A shard that nobody had before has no sessions anywhere.
        if epoch == Epoch::FIRST || gathering.awaited.is_empty() {
            return self.go_on(number);
        }
        waiting.gathering.insert(number, gathering);
        // An edge may have heard of it first: its sessions are what is waited for.
        for session in self.owned.waiting.take_sessions(number) {
            self.begin(session);
        }
    }

    /// An edge has brought all sessions that it has in a shard.
    pub(super) fn attended(&mut self, number: ShardNumber, epoch: Epoch, edge: NodeId) {
        let known = self.epoch_of(number);
        let is_frozen = self.is_frozen(number);
        let waiting = &mut self.owned.waiting;
        let gathering = waiting.gathering.get_mut(&number);
        if let Some(gathering) = gathering.filter(|of| of.epoch == epoch) {
            gathering.awaited.remove(&edge);
            if gathering.awaited.is_empty() && !is_frozen {
                self.gathered(number);
            }
        } else if known.is_none_or(|known| known < epoch) {
            let early = waiting.attended.entry(number);
            let early = early.or_insert_with(|| (epoch, BTreeSet::new()));
            if early.0 != epoch {
                *early = (epoch, BTreeSet::new());
            }
            early.1.insert(edge);
        }
    }

    /// Every session that will come is here: the shard is served.
    fn gathered(&mut self, number: ShardNumber) {
        let Some(gathering) = self.owned.waiting.gathering.remove(&number) else {
            return;
        };
        let names = self.shards.get(&number).map(Shard::names);
        for target in names.unwrap_or_default() {
            self.begin(Work {
                shard: number,
                target,
                task: Task::Recover,
            });
        }
        let elapsed = gathering.since.elapsed();
        tracing::debug!(shard = %number, ?elapsed, "every session that comes is here");
        metrics::gathered(elapsed);
        self.go_on(number);
    }

    /// A frozen shard stays after all: what waited for it is done, or goes on
    /// waiting for its sessions, which have been told to look elsewhere.
    pub(super) fn stay(&mut self, number: ShardNumber) {
        let gathering = self.owned.waiting.gathering.get_mut(&number);
        let Some(gathering) = gathering else {
            return self.go_on(number);
        };
        gathering.deadline = Instant::now() + self.env.config.reattach_timeout;
        let is_complete = gathering.awaited.is_empty();
        for session in self.owned.waiting.take_sessions(number) {
            self.begin(session);
        }
        if is_complete {
            self.gathered(number);
        }
    }

    /// What waited for a shard is done now.
    pub(super) fn go_on(&mut self, number: ShardNumber) {
        for work in self.owned.waiting.take(number) {
            self.begin(work);
        }
    }

    /// What has waited for long enough is waited for no longer.
    pub(super) fn expire(&mut self) {
        let late = self.late(Instant::now());
        for (number, awaited) in late {
            tracing::warn!(shard = %number, edges = ?awaited, "edges did not bring their sessions in time; the shard is served without them");
            self.gathered(number);
        }
    }

    /// Shards whose sessions have had time enough, and the edges that have not
    /// brought theirs.
    fn late(&mut self, now: Instant) -> Vec<(ShardNumber, BTreeSet<NodeId>)> {
        let limit = self.env.config.reattach_timeout * OWN_DELAY_FACTOR;
        let is_storing_slowly = self.commits.age() >= OWN_DELAY_PAUSE;
        let (shards, opening) = (&self.shards, &self.opening);
        let is_busy = |number: &ShardNumber| {
            let shard = shards.get(number);
            is_storing_slowly
                || opening.contains_key(number)
                || shard.is_some_and(Shard::is_any_away)
        };
        let mut late = Vec::new();
        let Owned {
            waiting, frozen, ..
        } = &mut self.owned;
        for (number, gathering) in &mut waiting.gathering {
            if gathering.deadline > now {
                continue;
            }
            if frozen.contains(number) {
                // It is served elsewhere, or waits anew if it stays.
                gathering.deadline = now + limit;
            } else if is_busy(number) && now.duration_since(gathering.since) < limit {
                gathering.deadline = now + OWN_DELAY_PAUSE;
            } else {
                late.push((*number, gathering.awaited.clone()));
            }
        }
        late
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::Scene;
    use crate::worker::{Inbox, Opening};

    /// A session node that cannot read the accounts of a shard yet is what its
    /// edges wait for: they are not too late, and without them it could serve
    /// nobody either.
    #[test]
    fn edges_are_not_late_while_this_node_keeps_them_waiting() {
        let scene = Scene::new("juliet@example.com");
        let inbox = Arc::new(Inbox::new(1, 0, 1));
        let mut worker = Worker::new(Arc::clone(scene.env()), inbox);
        let number = ShardNumber::all().next().unwrap();
        let (since, limit) = (Instant::now(), scene.env().config.reattach_timeout);
        let gathering = Gathering {
            epoch: Epoch(2),
            awaited: BTreeSet::from([NodeId::new("edge")]),
            since,
            deadline: since + limit,
        };
        worker.owned.waiting.gathering.insert(number, gathering);
        worker.opening.insert(number, Opening::default());
        assert!(worker.late(since).is_empty());
        assert!(worker.late(since + limit).is_empty(), "it is not open");
        assert!(worker.late(since + limit).is_empty());
        worker.opening.clear();
        let later = since + limit + OWN_DELAY_PAUSE;
        assert_eq!(worker.late(later).len(), 1, "nothing keeps them waiting");
        worker.opening.insert(number, Opening::default());
        let last = since + limit * OWN_DELAY_FACTOR;
        assert_eq!(worker.late(last).len(), 1, "not for ever");
    }
}
