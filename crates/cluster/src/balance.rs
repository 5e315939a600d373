//! Which node a shard should go to, and which shards must move.
//!
//! Rendezvous hashing suggests a node, bounded load corrects it. Pure functions
//! of names and counts; what may be done now, and in which order, is `plan`'s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::{Instance, NodeId, SHARDS, Shard};

/// How far a node's load may be from the mean, in percent.
pub const LOAD_SLACK_PERCENT: usize = 5;

/// How much a node suits a shard: the highest score suggests the owner.
///
/// It depends on nothing but the two, so that a node that comes or goes changes
/// no suggestion among the others.
fn score(shard: Shard, node: &NodeId) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u16(shard.number());
    hasher.write(node.as_str().as_bytes());
    hasher.finish()
}

/// The shards of each node that may own some, by where they are or will be when
/// the moves under way are done.
#[derive(Clone, Debug)]
pub(crate) struct Loads {
    shards: BTreeMap<Instance, BTreeSet<Shard>>,
}

/// The least and the most that a node should have.
pub(crate) struct Bounds {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// The bounds of the load when `nodes` nodes share all shards.
pub(crate) fn bounds(nodes: usize) -> Bounds {
    let (all, nodes) = (usize::from(SHARDS), nodes.max(1));
    Bounds {
        // Invariant: min ≤ the mean ≤ max, so both can be met at once.
        min: all * (100 - LOAD_SLACK_PERCENT) / (100 * nodes),
        max: (all * (100 + LOAD_SLACK_PERCENT)).div_ceil(100 * nodes),
    }
}

impl Loads {
    pub(crate) fn new(nodes: impl IntoIterator<Item = Instance>) -> Self {
        let shards = nodes.into_iter().map(|node| (node, BTreeSet::new()));
        Self {
            shards: shards.collect(),
        }
    }

    /// Counts a shard for its node, if that may own shards.
    pub(crate) fn add(&mut self, node: &Instance, shard: Shard) {
        if let Some(shards) = self.shards.get_mut(node) {
            shards.insert(shard);
        }
    }

    pub(crate) fn shift(&mut self, shard: Shard, from: &Instance, to: &Instance) {
        if let Some(shards) = self.shards.get_mut(from) {
            shards.remove(&shard);
        }
        self.add(to, shard);
    }

    /// Whether every shard is counted for some node.
    pub(crate) fn is_complete(&self) -> bool {
        let counts = self.shards.values().map(BTreeSet::len);
        counts.sum::<usize>() >= usize::from(SHARDS)
    }

    fn count(&self, node: &Instance) -> usize {
        self.shards.get(node).map_or(0, BTreeSet::len)
    }

    /// Where a shard without a place should go: to `before`, the node that had
    /// it in an earlier run, else where hashing suggests, within the bound.
    pub(crate) fn place(&self, shard: Shard, before: Option<&NodeId>) -> Option<Instance> {
        let max = bounds(self.shards.len()).max;
        let fits = |node: &&Instance| self.count(node) < max;
        let same = self.shards.keys().find(|node| Some(&node.node) == before);
        same.filter(fits)
            .or_else(|| {
                let fitting = self.shards.keys().filter(fits);
                fitting.max_by_key(|node| score(shard, &node.node))
            })
            // Only if the bound is beyond every node, which rounding up excludes
            // unless shards were counted twice: then anybody is better than nobody.
            .or_else(|| self.shards.keys().min_by_key(|node| self.count(node)))
            .cloned()
    }

    /// The next shard that must move for the load to be within its bounds;
    /// none if it is. Only shards of `movable` are looked at.
    pub(crate) fn next_move(
        &self,
        movable: impl Fn(Shard) -> bool,
    ) -> Option<(Shard, Instance, Instance)> {
        let Bounds { min, max } = bounds(self.shards.len());
        let least = self.shards.keys().min_by_key(|node| self.count(node))?;
        let is_lacking = self.count(least) < min;
        // Giving what is too much to whoever has least also fills whoever has
        // too little, so no more moves than the greater of the two, as long as
        // whoever has most can give it.
        let has_enough =
            |node: &&Instance| self.count(node) > max || is_lacking && self.count(node) > min;
        let mut givers: Vec<_> = self.shards.keys().filter(has_enough).collect();
        givers.sort_by_key(|node| Reverse(self.count(node)));
        // Whoever has most may have nothing that can be moved now.
        givers.into_iter().find_map(|giver| {
            let shards = self.shards.get(giver)?.iter().copied();
            let shard = shards
                .filter(|shard| movable(*shard))
                .max_by_key(|shard| score(*shard, &least.node))?;
            Some((shard, giver.clone(), least.clone()))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Incarnation;

    fn instance(n: usize) -> Instance {
        Instance {
            node: NodeId::new(format!("node{n}")),
            incarnation: Incarnation(1),
        }
    }

    /// Shards spread in any way over some nodes, the first of them empty.
    fn loads(nodes: usize, places: &[usize]) -> Loads {
        let mut loads = Loads::new((0..nodes).map(instance));
        for (shard, place) in Shard::all().zip(places) {
            loads.add(&instance(place % nodes), shard);
        }
        loads
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_rebalance_moves_only_what_it_must_and_ends_within_bounds(
            nodes in 1_usize..12,
            places in proptest::collection::vec(0_usize..1000, usize::from(SHARDS)),
            skew in 1_usize..5,
        ) {
            let places: Vec<usize> = places.iter().map(|place| place % nodes.div_ceil(skew)).collect();
            let mut loads = loads(nodes, &places);
            let bounds = bounds(nodes);
            let counts: Vec<usize> = (0..nodes).map(|n| loads.count(&instance(n))).collect();
            let over: usize = counts.iter().map(|count| count.saturating_sub(bounds.max)).sum();
            let under: usize = counts.iter().map(|count| bounds.min.saturating_sub(*count)).sum();
            let mut moves = 0;
            while let Some((shard, from, to)) = loads.next_move(|_| true) {
                loads.shift(shard, &from, &to);
                moves += 1;
            }
            prop_assert_eq!(moves, over.max(under));
            for n in 0..nodes {
                prop_assert!((bounds.min..=bounds.max).contains(&loads.count(&instance(n))));
            }
        }

        #[test]
        fn places_are_within_the_bound(nodes in 1_usize..20) {
            let mut loads = Loads::new((0..nodes).map(instance));
            for shard in Shard::all() {
                let node = loads.place(shard, None).unwrap();
                loads.add(&node, shard);
            }
            let max = bounds(nodes).max;
            prop_assert!((0..nodes).all(|n| loads.count(&instance(n)) <= max));
        }
    }

    #[test]
    fn a_node_that_started_again_gets_its_shards_back() {
        let loads = Loads::new((0..3).map(instance));
        let before = NodeId::new("node2");
        let all = Shard::all().take(300);
        for shard in all {
            assert_eq!(loads.place(shard, Some(&before)).unwrap().node, before);
        }
    }

    #[test]
    fn without_nodes_there_is_no_place() {
        let nobody = Loads::new([]);
        assert_eq!(nobody.place(Shard::new(0).unwrap(), None), None);
        assert_eq!(nobody.next_move(|_| true), None);
    }
}
