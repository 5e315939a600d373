//! A cluster that does what plans say.

use super::super::*;
use crate::Incarnation;

/// Rounds of planning after which a cluster that nobody disturbs is at rest:
/// a thousand moves at some per round, and some more.
const ROUNDS_MAX: usize = 400;

pub(super) fn instance(n: u8, run: u64) -> Instance {
    Instance {
        node: NodeId::new(format!("node{n}")),
        incarnation: Incarnation(run),
    }
}

/// A cluster that does what plans say, and checks each step.
#[derive(Default)]
pub(super) struct World {
    pub(super) now: Situation,
    /// Who ever owned a shard under an epoch.
    pub(super) owners: BTreeMap<(Shard, Epoch), Instance>,
    pub(super) writes: usize,
}

impl World {
    pub(super) fn with_nodes(nodes: u8) -> Self {
        let mut world = Self::default();
        (0..nodes).for_each(|n| world.join(n, 1));
        world
    }

    pub(super) fn join(&mut self, n: u8, run: u64) {
        let info = NodeInfo {
            version: "1".to_owned(),
            ..NodeInfo::new(instance(n, run), vec![Role::Session])
        };
        self.now.nodes.insert(info.id().clone(), Arc::new(info));
    }

    pub(super) fn die(&mut self, n: u8) {
        self.now.nodes.remove(&instance(n, 0).node);
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&self.now, &Limits::default())
    }

    /// One round: everything planned is done, and moves end.
    pub(super) fn round(&mut self) -> bool {
        let plan = self.plan();
        for step in &plan.steps {
            self.apply(step);
        }
        self.commit_moves() || !plan.steps.is_empty()
    }

    pub(super) fn apply(&mut self, step: &Step) {
        match step {
            Step::Fence { instance, cause } => {
                assert!(self.now.fenced.insert(instance.clone()), "fenced twice");
                self.now.fences_recent += usize::from(cause.is_limited());
                self.now.nodes.retain(|_, node| node.instance != *instance);
            }
            Step::Write { shard, row } => self.write(*shard, row),
            Step::Moved { shard, .. } => drop(self.now.requests.moves.remove(shard)),
            Step::Removed(node) => drop(self.now.requests.removed.remove(node)),
        }
    }

    pub(super) fn write(&mut self, shard: Shard, row: &Assignment) {
        let was = self.now.table.get(shard).clone();
        assert!(row.epoch >= was.epoch, "an epoch went back");
        if let (Some(before), Some(after)) = (was.owner(), row.owner()) {
            let is_fenced = self.now.fenced.contains(before);
            assert!(before == after || is_fenced, "taken without a fence");
            assert!(before == after || row.epoch > was.epoch, "no new epoch");
        }
        if let Some(owner) = row.owner() {
            let owners = self.owners.entry((shard, row.epoch));
            let first = owners.or_insert_with(|| owner.clone());
            assert_eq!(first, owner, "two owners under one epoch");
        }
        let next = match row.state {
            State::Moving { next, .. } => next,
            State::Unassigned | State::Owned(_) => row.epoch,
        };
        let highest = self.now.epochs.entry(shard).or_insert(Epoch::NONE);
        *highest = next.max(*highest);
        self.now.table.set(shard, row.clone());
        self.writes += 1;
    }

    /// What owners of moving shards do.
    pub(super) fn commit_moves(&mut self) -> bool {
        let moving: Vec<(Shard, Instance, Epoch)> = self
            .now
            .table
            .iter()
            .filter_map(|(shard, row)| match &row.state {
                State::Moving { from, to, next } if is_alive(&self.now, from) => {
                    Some((shard, to.clone(), *next))
                }
                State::Unassigned | State::Owned(_) | State::Moving { .. } => None,
            })
            .collect();
        let is_any = !moving.is_empty();
        for (shard, to, epoch) in moving {
            let first = self.owners.entry((shard, epoch)).or_insert(to.clone());
            assert_eq!(*first, to, "two owners under one epoch");
            let state = State::Owned(to);
            self.now.table.set(shard, Assignment { epoch, state });
        }
        is_any
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.round() && self.plan().held_back.is_empty() {
                return;
            }
            // The window of the limits passes.
            if self.plan().steps.is_empty() {
                self.now.fences_recent = 0;
            }
        }
        panic!(
            "the plan does not converge: {:?}",
            self.plan().steps.first()
        );
    }

    pub(super) fn count(&self, n: u8) -> usize {
        let node = instance(n, 0).node;
        let rows = self.now.table.iter();
        rows.filter(|(_, row)| row.owner().is_some_and(|owner| owner.node == node))
            .count()
    }
}
