//! The part of a plan that moves shards while everybody is there.

use std::collections::BTreeMap;

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

    /// Moves everything away from nodes that are to own nothing, and last what
    /// has just come to them.
    pub(super) fn drain(&mut self) {
        let targets = targets(self.now);
        let came: BTreeMap<Shard, usize> = self.now.arrived.iter().copied().zip(1..).collect();
        let mut rows: Vec<_> = self.now.table.iter().collect();
        rows.sort_by_key(|(shard, _)| came.get(shard).copied().unwrap_or_default());
        for (shard, row) in rows {
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
            let is_newcomer = self.now.newcomers.contains(&to);
            if is_newcomer && self.moves_to(&to) >= self.limits.moves_to_newcomer_max {
                return;
            }
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
            && !self.now.arrived.contains(&shard)
            && !self.now.requests.moves.contains_key(&shard)
    }

    /// The moves under way, those of this plan included: from where, and to where.
    fn moves(&self) -> impl Iterator<Item = (&Instance, &Instance)> {
        let standing = self.now.table.iter();
        let standing = standing.filter(|(shard, _)| !self.touched.contains(shard));
        let standing = standing.map(|(_, row)| &row.state);
        let planned = self.plan.steps.iter().filter_map(|step| match step {
            Step::Write { row, .. } => Some(&row.state),
            _ => None,
        });
        standing.chain(planned).filter_map(|state| match state {
            State::Moving { from, to, .. } => Some((from, to)),
            State::Unassigned | State::Owned(_) => None,
        })
    }

    fn moves_to(&self, node: &Instance) -> usize {
        self.moves().filter(|(_, to)| *to == node).count()
    }

    /// Starts a move, if the limits allow one more.
    fn start(&mut self, shard: Shard, from: &Instance, to: &Instance) {
        let now = self.now;
        if self.touched.contains(&shard) || now.resting.contains(&shard) || !is_alive(now, from) {
            return;
        }
        let (mut all, mut of_from, mut of_to) = (0, 0, 0);
        for (source, target) in self.moves() {
            all += 1;
            of_from += usize::from(source == from || target == from);
            of_to += usize::from(source == to || target == to);
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
