//! Tests of what a node makes of a changed table.

#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

use super::*;
use crate::{Incarnation, NodeId};

fn instance(name: &str) -> Instance {
    Instance {
        node: NodeId::new(name),
        incarnation: Incarnation(1),
    }
}

fn row(epoch: u32, state: State) -> Table {
    let mut table = Table::default();
    let epoch = Epoch(epoch);
    table.set(shard(), Assignment { epoch, state });
    table
}

fn shard() -> Shard {
    Shard::new(9).unwrap()
}

fn owned(epoch: u32, name: &str) -> Table {
    row(epoch, State::Owned(instance(name)))
}

fn moving(epoch: u32, from: &str, to: &str) -> Table {
    let state = State::Moving {
        from: instance(from),
        to: instance(to),
        next: Epoch(epoch + 1),
    };
    row(epoch, state)
}

fn of_a(old: &Table, new: &Table) -> Result<Vec<Change>, Lost> {
    changes(&instance("a"), old, new, |_, _| false)
}

#[test]
fn a_new_owner_takes_and_knows_who_had_it() {
    let (shard, from) = (shard(), Some(instance("b")));
    let took = of_a(&owned(1, "b"), &owned(2, "a")).unwrap();
    let epoch = Epoch(2);
    assert_eq!(took, [Change::Take { shard, epoch, from }]);
}

#[test]
fn a_hand_over_is_asked_for_and_may_be_called_off() {
    let (shard, epoch, to) = (shard(), Epoch(1), instance("b"));
    let asked = of_a(&owned(1, "a"), &moving(1, "a", "b")).unwrap();
    assert_eq!(asked, [Change::Release { shard, epoch, to }]);
    let kept = of_a(&moving(1, "a", "b"), &owned(1, "a")).unwrap();
    assert_eq!(kept, [Change::Keep { shard, epoch }]);
}

#[test]
fn a_committed_hand_over_is_told_also_when_its_steps_were_not_seen() {
    let (local, shard, epoch) = (instance("a"), shard(), Epoch(1));
    let told = changes(&local, &owned(1, "a"), &owned(2, "b"), |_, _| true).unwrap();
    assert_eq!(told, [Change::Released { shard, epoch }]);
}

#[test]
fn a_target_expects_and_takes_or_forgets() {
    let (shard, from, next) = (shard(), instance("b"), Epoch(2));
    let expects = of_a(&owned(1, "b"), &moving(1, "b", "a")).unwrap();
    assert_eq!(expects, [Change::Expect { shard, from, next }]);
    let forgets = of_a(&moving(1, "b", "a"), &owned(1, "b")).unwrap();
    assert_eq!(forgets, [Change::Forget { shard }]);
    let takes = of_a(&moving(1, "b", "a"), &owned(2, "a")).unwrap();
    assert!(matches!(takes[..], [Change::Take { .. }]));
}

#[test]
fn a_shard_that_went_and_came_back_is_released_and_taken() {
    let told = changes(&instance("a"), &owned(1, "a"), &owned(3, "a"), |_, _| true).unwrap();
    let [Change::Released { .. }, Change::Take { epoch, .. }] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(epoch, Epoch(3));
}

#[test]
fn a_shard_taken_without_being_handed_over_ends_the_node() {
    let lost = of_a(&owned(1, "a"), &owned(2, "b")).unwrap_err();
    assert!(matches!(lost, Lost::Taken { .. }));
    // Whoever was called dead and is given its shard again was fenced all the same.
    assert!(of_a(&owned(1, "a"), &owned(2, "a")).is_err());
}

#[test]
fn a_table_that_went_back_ends_the_node() {
    let lost = of_a(&owned(4, "a"), &owned(2, "a")).unwrap_err();
    assert!(matches!(lost, Lost::WentBack { .. }));
}

#[test]
fn a_shard_that_came_and_is_to_go_at_once_is_taken_first() {
    let told = of_a(&owned(1, "b"), &moving(2, "a", "c")).unwrap();
    assert!(matches!(
        told[..],
        [Change::Take { .. }, Change::Release { .. }]
    ));
}
