//! Tests of plans: single decisions, and whole histories of a cluster.

#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

mod world;

use proptest::prelude::*;

use super::*;
use crate::balance;
use world::{World, instance};

#[test]
fn the_first_nodes_share_all_shards_evenly() {
    let mut world = World::with_nodes(3);
    assert!(world.round());
    assert!(!world.round(), "one round assigns everything");
    let bounds = balance::bounds(3);
    assert!((0..3).all(|n| (bounds.min..=bounds.max).contains(&world.count(n))));
}

#[test]
fn a_dead_node_is_fenced_before_its_shards_go_and_nothing_else_moves() {
    let mut world = World::with_nodes(3);
    world.settle();
    let before = world.now.table.clone();
    let lost = world.count(0);
    world.die(0);
    let plan = world.plan();
    assert!(matches!(plan.steps[..], [Step::Fence { .. }]), "{plan:?}");
    world.writes = 0;
    world.settle();
    assert_eq!(world.writes, lost);
    for (shard, row) in before.iter() {
        let owner = row.owner().unwrap();
        assert!(owner.node.as_str() == "node0" || world.now.table.get(shard) == row);
    }
}

#[test]
fn a_node_that_started_again_is_no_failure_of_the_network() {
    let mut world = World::with_nodes(3);
    world.settle();
    let mine = world.count(1);
    (0..3).for_each(|n| world.join(n, 2));
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 3);
    assert!(plan.held_back.is_empty());
    world.settle();
    assert_eq!(world.count(1), mine, "it has the same shards as before");
}

#[test]
fn a_bad_switch_does_not_kill_the_fleet() {
    let mut world = World::with_nodes(6);
    world.settle();
    (0..5).for_each(|n| world.die(n));
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 2, "a third of six");
    assert_eq!(plan.held_back.len(), 3);
    world.round();
    let fences = |step: &Step| matches!(step, Step::Fence { .. });
    assert!(!world.plan().steps.iter().any(fences), "the window is open");
}

#[test]
fn after_an_outage_of_etcd_nobody_is_dead_for_not_being_back_yet() {
    let mut world = World::with_nodes(3);
    world.settle();
    world.now.is_settling = true;
    world.die(0);
    assert_eq!(world.plan(), Plan::default());
    // A process that is known to be gone is another matter.
    world.now.unreachable.insert(instance(0, 1));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn a_new_node_gets_its_share_by_few_moves_at_a_time() {
    let mut world = World::with_nodes(3);
    world.settle();
    world.join(3, 1);
    let limits = Limits::default();
    let moves = world.plan().steps.len();
    assert_eq!(moves, limits.moves_per_node_max);
    world.writes = 0;
    world.settle();
    let bounds = balance::bounds(4);
    assert_eq!(
        world.count(3),
        world.writes,
        "every move went to the new node"
    );
    assert!(world.count(3) >= bounds.min);
}

/// Its people have just waited for it: whoever is to have more gets other shards.
#[test]
fn what_has_just_come_stays_where_it_is() {
    let mut world = World::with_nodes(2);
    world.settle();
    world.join(2, 1);
    let mine = |world: &World, n| -> Vec<Shard> {
        let owner = instance(n, 1);
        world.now.table.owned_by(&owner).collect()
    };
    // All but five of each have.
    let came = [0, 1].map(|n| mine(&world, n)[5..].to_vec());
    world.now.arrived = came.concat();
    world.settle();
    assert_eq!(world.count(2), 10, "no more than what has been there");
    world.now.arrived.clear();
    world.settle();
    assert!(world.count(2) >= balance::bounds(3).min);
}

/// A node that leaves cannot keep what has just come, but it can give it away last.
#[test]
fn a_node_that_leaves_gives_away_last_what_has_just_come() {
    let mut world = World::with_nodes(2);
    world.settle();
    let owner = instance(0, 1);
    let mine: Vec<Shard> = world.now.table.owned_by(&owner).collect();
    // The first ones came last.
    world.now.arrived = mine[..20].iter().rev().copied().collect();
    world.now.requests.draining.insert(owner.node);
    let mut left = Vec::new();
    while world.count(0) > 0 {
        let steps = world.plan().steps;
        left.extend(steps.iter().filter_map(|step| match step {
            Step::Write { shard, .. } => Some(*shard),
            _ => None,
        }));
        assert!(world.round());
    }
    assert_eq!(left.len(), mine.len());
    let last: Vec<Shard> = left[mine.len() - 20..].to_vec();
    assert_eq!(last, world.now.arrived);
}

#[test]
fn a_newcomer_gets_its_first_shards_by_fewer_moves_at_a_time() {
    let mut world = World::with_nodes(3);
    world.settle();
    world.join(3, 1);
    world.now.newcomers.insert(instance(3, 1));
    let limits = Limits::default();
    let steps = world.plan().steps;
    assert_eq!(steps.len(), limits.moves_to_newcomer_max);
    steps.iter().for_each(|step| world.apply(step));
    assert_eq!(world.plan(), Plan::default(), "those are under way");
    // Whoever leaves does not wait for it.
    world.now.requests.draining.insert(NodeId::new("node0"));
    assert!(world.plan().steps.len() > limits.moves_to_newcomer_max);
}

#[test]
fn a_drained_node_ends_without_shards_and_gets_them_back() {
    let mut world = World::with_nodes(3);
    world.settle();
    let node = NodeId::new("node1");
    world.now.requests.draining.insert(node.clone());
    world.settle();
    assert_eq!(world.count(1), 0);
    world.now.requests.draining.remove(&node);
    world.settle();
    assert!(world.count(1) >= balance::bounds(3).min);
}

#[test]
fn a_shard_moves_where_it_is_asked_to_and_stays() {
    let mut world = World::with_nodes(3);
    world.settle();
    let (shard, _) = world.now.table.iter().next().unwrap();
    for n in [0, 1, 2, 1] {
        let node = instance(n, 1).node;
        world.now.requests.moves.insert(shard, node.clone());
        world.settle();
        assert_eq!(world.now.table.get(shard).owner().unwrap().node, node);
        assert!(world.now.requests.moves.is_empty());
    }
    world
        .now
        .requests
        .moves
        .insert(shard, NodeId::new("nobody"));
    let refused = world.plan().steps;
    assert!(matches!(
        refused[..],
        [Step::Moved {
            refusal: Some(_),
            ..
        }]
    ));
}

#[test]
fn a_removed_node_is_fenced_beyond_the_limits_and_forgotten() {
    let mut world = World::with_nodes(2);
    world.settle();
    world.now.fences_recent = 9;
    world.now.requests.removed.insert(NodeId::new("node0"));
    world.settle();
    assert_eq!((world.count(0), world.count(1)), (0, usize::from(SHARDS)));
    assert!(world.now.requests.removed.is_empty());
}

#[test]
fn a_move_that_takes_too_long_is_called_off_and_rests() {
    let mut world = World::with_nodes(2);
    world.settle();
    let (shard, row) = world.now.table.iter().next().unwrap();
    let owner = row.owner().unwrap().clone();
    let to = world.now.nodes.values().find(|node| node.instance != owner);
    let to = to.unwrap().id().clone();
    world.now.requests.moves.insert(shard, to);
    let [step] = &world.plan().steps[..] else {
        panic!("one move")
    };
    world.apply(step);
    world.now.overdue.insert(shard);
    let [step] = &world.plan().steps[..] else {
        panic!("one withdrawal")
    };
    world.apply(step);
    assert_eq!(world.now.table.get(shard).state, State::Owned(owner));
    world.now.overdue.clear();
    world.now.resting.insert(shard);
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn epochs_go_on_above_those_of_the_store_when_the_table_is_lost() {
    let mut world = World::with_nodes(1);
    let shard = Shard::new(5).unwrap();
    world.now.epochs.insert(shard, Epoch(77));
    world.settle();
    assert_eq!(world.now.table.get(shard).epoch, Epoch(78));
}

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
enum Event {
    Join(u8),
    Die(u8),
    Drain(u8),
    Undrain(u8),
    Remove(u8),
    Move(u16, u8),
    Overdue(u16),
    Rounds(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0_u8..6;
    prop_oneof![
        3 => node().prop_map(Event::Join),
        2 => node().prop_map(Event::Die),
        1 => node().prop_map(Event::Drain),
        1 => node().prop_map(Event::Undrain),
        1 => node().prop_map(Event::Remove),
        1 => (0..SHARDS, node()).prop_map(|(shard, node)| Event::Move(shard, node)),
        1 => (0..SHARDS).prop_map(Event::Overdue),
        3 => (1_usize..4).prop_map(Event::Rounds),
    ]
}

impl World {
    fn happens(&mut self, event: Event, run: u64) {
        match event {
            Event::Join(n) => self.join(n, run),
            Event::Die(n) => self.die(n),
            Event::Drain(n) => drop(self.now.requests.draining.insert(instance(n, 0).node)),
            Event::Undrain(n) => drop(self.now.requests.draining.remove(&instance(n, 0).node)),
            Event::Remove(n) => drop(self.now.requests.removed.insert(instance(n, 0).node)),
            Event::Move(shard, n) => {
                let shard = Shard::new(shard).unwrap();
                self.now.requests.moves.insert(shard, instance(n, 0).node);
            }
            Event::Overdue(shard) => drop(self.now.overdue.insert(Shard::new(shard).unwrap())),
            Event::Rounds(rounds) => {
                for _ in 0..rounds {
                    // Planned and begun, but moves do not end.
                    self.plan().steps.iter().for_each(|step| self.apply(step));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The checks of every step are in `World`: epochs only grow, never two
    /// owners under one epoch, nothing taken without a fence.
    #[test]
    fn whatever_happens_every_shard_ends_with_one_owner_within_bounds(
        events in proptest::collection::vec(event(), 1..24),
    ) {
        let mut world = World::with_nodes(2);
        for (event, run) in events.into_iter().zip(10..) {
            world.happens(event, run);
        }
        world.now.overdue.clear();
        world.now.fences_recent = 0;
        world.settle();
        let targets = targets(&world.now);
        if targets.is_empty() {
            return Ok(());
        }
        let bounds = balance::bounds(targets.len());
        for (shard, row) in world.now.table.iter() {
            let State::Owned(owner) = &row.state else {
                panic!("{shard} is not served: {row:?}")
            };
            prop_assert!(targets.contains(owner));
        }
        for target in &targets {
            let count = world.now.table.owned_by(target).count();
            prop_assert!((bounds.min..=bounds.max).contains(&count));
        }
    }
}
