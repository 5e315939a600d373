//! The part of a plan that gives shards to somebody when nobody serves them.

use std::collections::BTreeMap;

use super::{Cause, Planner, Step, is_alive};
use crate::{Instance, Role, Shard, State};

impl Planner<'_> {
    /// Fences whoever owns shards and is not there.
    ///
    /// Invariant: a shard changes hands without its owner only in a later plan,
    /// when the fence is written.
    pub(super) fn fence(&mut self) {
        let mut allowed = self.fences_allowed();
        for (instance, cause) in self.dead_owners() {
            if !cause.is_limited() {
                self.plan.steps.push(Step::Fence { instance, cause });
            } else if allowed > 0 {
                allowed -= 1;
                self.plan.steps.push(Step::Fence { instance, cause });
            } else {
                self.plan.held_back.push(instance);
            }
        }
        self.forget_removed();
    }

    /// How many more nodes may be fenced because they seem dead.
    fn fences_allowed(&self) -> usize {
        let alive = self.now.nodes.values();
        let alive = alive.filter(|node| node.has_role(Role::Session)).count();
        let absent = self
            .dead_owners()
            .keys()
            .filter(|instance| !self.now.nodes.contains_key(&instance.node))
            .count();
        // Those fenced in the window were part of the whole as well.
        let all = alive + absent + self.now.fences_recent;
        let limit = (all * self.limits.fences_percent / 100).max(1);
        limit.saturating_sub(self.now.fences_recent)
    }

    /// Owners that must be fenced before their shards go to others.
    fn dead_owners(&self) -> BTreeMap<Instance, Cause> {
        let mut dead = BTreeMap::new();
        for (_, row) in self.now.table.iter() {
            let Some(owner) = row.owner() else { continue };
            let is_known = self.now.fenced.contains(owner) || dead.contains_key(owner);
            if let Some(cause) = self.cause(owner).filter(|_| !is_known) {
                dead.insert(owner.clone(), cause);
            }
        }
        dead
    }

    fn cause(&self, owner: &Instance) -> Option<Cause> {
        let now = self.now;
        if now.requests.removed.contains(&owner.node) {
            return Some(Cause::Removed);
        }
        match now.nodes.get(&owner.node) {
            Some(node) if node.instance != *owner => Some(Cause::Superseded),
            Some(_) => now
                .unreachable
                .contains(owner)
                .then_some(Cause::Unreachable),
            None if now.left.contains(owner) => Some(Cause::Left),
            None if now.unreachable.contains(owner) => Some(Cause::Unreachable),
            None => (!now.is_settling).then_some(Cause::LeaseEnded),
        }
    }

    fn forget_removed(&mut self) {
        for node in &self.now.requests.removed {
            let owns = |owner: &Instance| owner.node == *node;
            let is_owner =
                self.now.table.iter().any(|(_, row)| {
                    row.owner().is_some_and(owns) || row.target().is_some_and(owns)
                });
            if !is_owner && !self.now.nodes.contains_key(node) {
                self.plan.steps.push(Step::Removed(node.clone()));
            }
        }
    }

    /// Gives every shard that nobody serves to somebody, all at once: each waits
    /// for nothing but this.
    pub(super) fn assign(&mut self) {
        let orphans: Vec<(Shard, Option<Instance>)> = self
            .now
            .table
            .iter()
            .filter(|(_, row)| {
                let owner = row.owner();
                owner.is_none_or(|owner| self.now.fenced.contains(owner))
            })
            .map(|(shard, row)| (shard, row.destination().cloned()))
            .collect();
        for (shard, last) in orphans {
            // The target of an unfinished move, or the node that had the shard
            // in an earlier run, is as good as any and keeps the load as it is.
            let before = last.as_ref().map(|last| &last.node);
            let Some(to) = self.loads.place(shard, before) else {
                continue;
            };
            if let Some(last) = &last {
                self.loads.shift(shard, last, &to);
            } else {
                self.loads.add(&to, shard);
            }
            let epoch = self.next_epoch(shard);
            self.write(shard, epoch, State::Owned(to));
        }
    }

    /// Calls off moves that cannot end.
    pub(super) fn withdraw(&mut self) {
        let now = self.now;
        for (shard, row) in now.table.iter() {
            let State::Moving { from, to, .. } = &row.state else {
                continue;
            };
            let is_stuck = !is_alive(now, to) || now.overdue.contains(&shard);
            if is_stuck && is_alive(now, from) && !self.touched.contains(&shard) {
                self.loads.shift(shard, to, from);
                self.write(shard, row.epoch, State::Owned(from.clone()));
            }
        }
    }
}
