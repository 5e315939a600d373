//! What has just changed and is left alone for a while: shards that came to their
//! owner, whose people have just waited, and nodes that are new, whose caches are
//! cold. What is planned with this is decided in the pure crate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Epoch, Instance, NodeId, NodeInfo, Shard, Table};
use tokio::time::Instant;

/// How long a shard stays with whoever it has come to, unless that leaves or
/// somebody asks for it.
const STAY: Duration = Duration::from_secs(10);

/// How long a run of a node is new.
const NEW: Duration = Duration::from_secs(10);

/// What one node saw happen. Every candidate looks, so that a new controller
/// knows as well.
#[derive(Default)]
pub(crate) struct Calm {
    seen: Option<Table>,
    came: BTreeMap<Shard, Instant>,
    nodes: BTreeMap<Instance, Option<Instant>>,
}

impl Calm {
    /// Takes note of what is different. What was there at the first look has
    /// been there for long, as far as anybody can tell.
    pub(crate) fn look(
        &mut self,
        table: Table,
        nodes: &BTreeMap<NodeId, Arc<NodeInfo>>,
        now: Instant,
    ) {
        let is_first = self.seen.is_none();
        for (shard, row) in self.seen.iter().flat_map(Table::iter) {
            let is = table.get(shard);
            // Whoever is the first to have a shard keeps nobody waiting.
            if is.epoch > row.epoch && row.epoch > Epoch::NONE {
                self.came.insert(shard, now);
            }
        }
        self.came.retain(|_, at| now - *at < STAY);
        let known = std::mem::take(&mut self.nodes);
        let joined = (!is_first).then_some(now);
        let nodes = nodes.values().map(|node| node.instance.clone());
        self.nodes = nodes
            .map(|run| {
                let since = known.get(&run).copied().unwrap_or(joined);
                (run, since)
            })
            .collect();
        self.seen = Some(table);
    }

    /// Shards that came to their owner a short while ago, in that order.
    pub(crate) fn arrived(&self) -> Vec<Shard> {
        let mut came: Vec<_> = self.came.iter().map(|(shard, at)| (*at, *shard)).collect();
        came.sort();
        came.into_iter().map(|(_, shard)| shard).collect()
    }

    /// Runs of nodes that are new.
    pub(crate) fn newcomers(&self, now: Instant) -> BTreeSet<Instance> {
        let nodes = self.nodes.iter();
        let new = nodes.filter(|(_, since)| since.is_some_and(|since| now - since < NEW));
        new.map(|(run, _)| run.clone()).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use starling_cluster::{Assignment, Incarnation, Role, State};

    use super::*;

    fn run(name: &str, incarnation: u64) -> Instance {
        Instance {
            node: NodeId::new(name),
            incarnation: Incarnation(incarnation),
        }
    }

    fn nodes(runs: &[Instance]) -> BTreeMap<NodeId, Arc<NodeInfo>> {
        let info = |run: &Instance| NodeInfo::new(run.clone(), vec![Role::Session]);
        let nodes = runs
            .iter()
            .map(|run| (run.node.clone(), Arc::new(info(run))));
        nodes.collect()
    }

    /// A table in which some shards have an owner under some epochs.
    fn table(rows: &[(u16, u32)]) -> Table {
        let mut table = Table::default();
        for (shard, epoch) in rows {
            let state = State::Owned(run("a", 1));
            let epoch = Epoch(*epoch);
            table.set(Shard::new(*shard).unwrap(), Assignment { epoch, state });
        }
        table
    }

    #[test]
    fn a_shard_has_arrived_for_a_while_once_another_had_it_before() {
        let (mut calm, began) = (Calm::default(), Instant::now());
        let shards = |numbers: &[u16]| -> Vec<Shard> {
            let numbers = numbers.iter();
            numbers.map(|number| Shard::new(*number).unwrap()).collect()
        };
        calm.look(table(&[(1, 7), (2, 7), (3, 7)]), &nodes(&[]), began);
        assert_eq!(calm.arrived(), [], "nobody knows since when");
        let later = began + STAY / 2;
        calm.look(table(&[(1, 7), (2, 7), (3, 8), (4, 1)]), &nodes(&[]), later);
        assert_eq!(calm.arrived(), shards(&[3]), "nobody had the fourth");
        calm.look(
            table(&[(1, 9), (2, 7), (3, 8), (4, 1)]),
            &nodes(&[]),
            began + STAY,
        );
        assert_eq!(calm.arrived(), shards(&[3, 1]), "in their order");
        calm.look(
            table(&[(1, 9), (2, 7), (3, 8), (4, 1)]),
            &nodes(&[]),
            later + STAY,
        );
        assert_eq!(calm.arrived(), shards(&[1]));
    }

    #[test]
    fn a_run_of_a_node_is_new_for_a_while() {
        let (mut calm, began) = (Calm::default(), Instant::now());
        let (a, b) = (run("a", 1), run("b", 1));
        calm.look(Table::default(), &nodes(std::slice::from_ref(&a)), began);
        assert!(calm.newcomers(began).is_empty(), "nobody knows since when");
        calm.look(Table::default(), &nodes(&[a.clone(), b.clone()]), began);
        let later = began + NEW / 2;
        let again = run("a", 2);
        calm.look(Table::default(), &nodes(&[again.clone(), b.clone()]), later);
        assert_eq!(calm.newcomers(later), [again.clone(), b].into());
        assert_eq!(calm.newcomers(began + NEW), [again].into());
        assert!(calm.newcomers(later + NEW).is_empty());
    }
}
