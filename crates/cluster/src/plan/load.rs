//! The part of a plan that moves shards while everybody is there.

use super::{Planner, Step, is_alive, is_draining, targets};
use crate::{Instance, Shard, State};

impl Planner<'_> {
    /// Moves that people asked for.
    pub(super) fn serve_requests(&mut self) {
        for (shard, node) in &self.now.requests.moves {
            let (shard, row) = (*shard, self.now.table.get(*shard));
            let State::Owned(owner) = &row.state else {
                continue;
            };
            if owner.node == *node {
                let refusal = None;
                self.plan.steps.push(Step::Moved { shard, refusal });
                continue;
            }
            let target = targets(self.now).into_iter().find(|to| to.node == *node);
            match target {
                Some(to) => self.start(shard, owner, &to),
                None => self.plan.steps.push(Step::Moved {
                    shard,
                    refusal: Some("the node is not there, has no session role or is draining"),
                }),
            }
        }
    }

    /// Moves everything away from nodes that are to own nothing.
    pub(super) fn drain(&mut self) {
        let targets = targets(self.now);
        for (shard, row) in self.now.table.iter() {
            let State::Owned(owner) = &row.state else {
                continue;
            };
            let is_wanted = is_draining(self.now, &owner.node) && !targets.contains(owner);
            if !is_wanted || !is_alive(self.now, owner) {
                continue;
            }
            if let Some(to) = self.loads.place(shard, None) {
                self.start(shard, owner, &to);
            }
        }
    }

    /// Evens out the load, once every shard is with somebody who may keep it:
    /// what is still to be given away evens it out by itself.
    pub(super) fn rebalance(&mut self) {
        if !self.loads.is_complete() {
            return;
        }
        loop {
            let next = self.loads.next_move(|shard| self.is_movable(shard));
            let Some((shard, from, to)) = next else {
                return;
            };
            let started = self.plan.steps.len();
            self.start(shard, &from, &to);
            if self.plan.steps.len() == started {
                return;
            }
        }
    }

    fn is_movable(&self, shard: Shard) -> bool {
        let row = self.now.table.get(shard);
        let is_served = matches!(&row.state, State::Owned(owner) if is_alive(self.now, owner));
        is_served
            && !self.touched.contains(&shard)
            && !self.now.resting.contains(&shard)
            && !self.now.requests.moves.contains_key(&shard)
    }

    /// Starts a move, if the limits allow one more.
    fn start(&mut self, shard: Shard, from: &Instance, to: &Instance) {
        let now = self.now;
        if self.touched.contains(&shard) || now.resting.contains(&shard) || !is_alive(now, from) {
            return;
        }
        let (mut all, mut of_from, mut of_to) = (0, 0, 0);
        let mut count = |state: &State| {
            if let State::Moving {
                from: source,
                to: target,
                ..
            } = state
            {
                all += 1;
                of_from += usize::from(source == from || target == from);
                of_to += usize::from(source == to || target == to);
            }
        };
        let standing = now.table.iter();
        let standing = standing.filter(|(shard, _)| !self.touched.contains(shard));
        standing.for_each(|(_, row)| count(&row.state));
        for step in &self.plan.steps {
            if let Step::Write { row, .. } = step {
                count(&row.state);
            }
        }
        let per_node = self.limits.moves_per_node_max;
        if all >= self.limits.moves_max || of_from >= per_node || of_to >= per_node {
            return;
        }
        let state = State::Moving {
            from: from.clone(),
            to: to.clone(),
            next: self.next_epoch(shard),
        };
        self.loads.shift(shard, from, to);
        self.write(shard, now.table.get(shard).epoch, state);
    }
}
