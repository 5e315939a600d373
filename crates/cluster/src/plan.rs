//! What the controller does next: a pure function of what it knows.
//!
//! A plan is a list of steps that may be carried out now, each guarded by the
//! row it was made from; when the world has changed, a new plan is made instead.
//! Reading that world and writing the steps is the work of a crate of its own.

mod load;
mod takeover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::balance::Loads;
use crate::{Assignment, Epoch, Instance, NodeId, NodeInfo, Role, SHARDS, Shard, State, Table};

/// What people asked for, and what is not done yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Nodes that are to own nothing.
    pub draining: BTreeSet<NodeId>,
    /// Nodes that are given up: fenced without regard to the limits.
    pub removed: BTreeSet<NodeId>,
    /// Shards that are to be owned by a certain node.
    pub moves: BTreeMap<Shard, NodeId>,
}

/// All that a plan depends on.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Who owns what.
    pub table: Table,
    /// The nodes that hold their lease.
    pub nodes: BTreeMap<NodeId, Arc<NodeInfo>>,
    /// Runs of nodes whose fence is written.
    pub fenced: BTreeSet<Instance>,
    /// Runs of nodes that stopped in an orderly way.
    pub left: BTreeSet<Instance>,
    /// Runs of nodes that do not answer: reported by others and confirmed.
    pub unreachable: BTreeSet<Instance>,
    /// How many nodes were fenced automatically within the window.
    pub fences_recent: usize,
    /// What people asked for.
    pub requests: Requests,
    /// The highest epochs ever given out, as the store knows them.
    pub epochs: BTreeMap<Shard, Epoch>,
    /// Shards whose move failed a short while ago.
    pub resting: BTreeSet<Shard>,
    /// Shards that came to their owner from another a short while ago, in the
    /// order in which they came. Whoever uses them has just waited.
    pub arrived: Vec<Shard>,
    /// Runs of nodes that have been there for a short while only.
    pub newcomers: BTreeSet<Instance>,
    /// Shards whose move takes too long.
    pub overdue: BTreeSet<Shard>,
    /// Whether etcd was away until a moment ago, so that a node may be missing
    /// only because it has not come back to it yet.
    pub is_settling: bool,
}

/// How much may be done at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shards that may be moving in the whole cluster.
    pub moves_max: usize,
    /// Shards that may be moving from or to one node.
    pub moves_per_node_max: usize,
    /// Shards that may be moving to one newcomer for the load to be even: its
    /// caches are cold, and whoever comes to it waits longer.
    pub moves_to_newcomer_max: usize,
    /// Session nodes that may be fenced automatically within the window, in
    /// percent of all; one always may.
    pub fences_percent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            moves_max: 32,
            moves_per_node_max: 16,
            moves_to_newcomer_max: 4,
            fences_percent: 34,
        }
    }
}

/// Why a run of a node is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its lease ended.
    LeaseEnded,
    /// Others reported that it does not answer, and it did not.
    Unreachable,
    /// The same node runs again, so this run of it has ended.
    Superseded,
    /// It stopped in an orderly way and still had shards.
    Left,
    /// An administrator removed it.
    Removed,
}

impl Cause {
    /// Whether the limits on automatic fencing count it: only where a mistake
    /// of the network could look the same.
    pub const fn is_limited(self) -> bool {
        matches!(self, Self::LeaseEnded | Self::Unreachable)
    }

    /// The cause in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeaseEnded => "its lease ended",
            Self::Unreachable => "it does not answer",
            Self::Superseded => "the node started again",
            Self::Left => "the node stopped",
            Self::Removed => "an administrator removed it",
        }
    }
}

/// Something to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the fence of a run of a node; its shards follow in the next plan.
    Fence {
        /// Who is stopped.
        instance: Instance,
        /// Why.
        cause: Cause,
    },
    /// Write a shard's row.
    Write {
        /// The shard.
        shard: Shard,
        /// What the row becomes.
        row: Assignment,
    },
    /// A request to move a shard is done with.
    Moved {
        /// The shard.
        shard: Shard,
        /// Why it cannot be done; none if it is done.
        refusal: Option<&'static str>,
    },
    /// A removed node owns nothing and is gone: forget the request.
    Removed(NodeId),
}

/// What to do now, and what is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in any order.
    pub steps: Vec<Step>,
    /// Who would be fenced if the limits allowed it.
    pub held_back: Vec<Instance>,
}

/// What to do now.
pub fn plan(situation: &Situation, limits: &Limits) -> Plan {
    let mut planner = Planner::new(situation, limits);
    planner.fence();
    planner.assign();
    planner.withdraw();
    planner.serve_requests();
    planner.drain();
    planner.rebalance();
    planner.plan
}

/// A plan in the making.
struct Planner<'a> {
    now: &'a Situation,
    limits: &'a Limits,
    /// The load when every step so far is done.
    loads: Loads,
    /// Rows that a step of this plan writes already.
    touched: BTreeSet<Shard>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(now: &'a Situation, limits: &'a Limits) -> Self {
        let mut loads = Loads::new(targets(now));
        for (shard, row) in now.table.iter() {
            if let Some(node) = row.destination() {
                loads.add(node, shard);
            }
        }
        Self {
            now,
            limits,
            loads,
            touched: BTreeSet::new(),
            plan: Plan::default(),
        }
    }

    fn write(&mut self, shard: Shard, epoch: Epoch, state: State) {
        let row = Assignment { epoch, state };
        self.touched.insert(shard);
        self.plan.steps.push(Step::Write { shard, row });
    }

    /// The epoch of a shard's next owner.
    ///
    /// Invariant: above every epoch that was ever given out, also if the table
    /// was restored from a backup and knows less than the store.
    fn next_epoch(&self, shard: Shard) -> Epoch {
        let row = self.now.table.get(shard);
        let promised = match &row.state {
            State::Moving { next, .. } => *next,
            State::Unassigned | State::Owned(_) => Epoch::NONE,
        };
        let stored = self.now.epochs.get(&shard).copied();
        let highest = row.epoch.max(promised).max(stored.unwrap_or(Epoch::NONE));
        highest.next()
    }
}

/// Whether this run of a node is there, as far as anybody knows.
fn is_alive(now: &Situation, instance: &Instance) -> bool {
    let node = now.nodes.get(&instance.node);
    node.is_some_and(|node| node.instance == *instance)
        && !now.fenced.contains(instance)
        && !now.unreachable.contains(instance)
        && !now.requests.removed.contains(&instance.node)
}

/// Whether a node is to own nothing.
fn is_draining(now: &Situation, node: &NodeId) -> bool {
    now.requests.draining.contains(node) || now.nodes.get(node).is_some_and(|node| node.is_draining)
}

/// The nodes that may be given shards. When all of them drain they keep what
/// they have: an orderly service beats none.
fn targets(now: &Situation) -> Vec<Instance> {
    let alive: Vec<&Arc<NodeInfo>> = now
        .nodes
        .values()
        .filter(|node| node.has_role(Role::Session) && is_alive(now, &node.instance))
        .collect();
    let wanted = alive.iter().filter(|node| !is_draining(now, node.id()));
    let wanted: Vec<Instance> = wanted.map(|node| node.instance.clone()).collect();
    if wanted.is_empty() {
        return alive.iter().map(|node| node.instance.clone()).collect();
    }
    wanted
}

/// The most rows a plan writes: every shard once.
pub const STEPS_MAX: usize = SHARDS as usize;

#[cfg(test)]
mod tests;
