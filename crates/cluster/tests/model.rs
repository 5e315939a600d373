//! Commit, fence, takeover and hand-over over three replicas, exhaustively.
//!
//! An old owner writes rows and acknowledges them; a controller may at any time
//! take it for dead and give its shard to a new owner, or move the shard while
//! both are there. Requests are late or lost in every possible way: whatever is
//! on its way may arrive at any later step, or never; whoever waits for answers
//! goes on with any two of three; anybody may pause anywhere. What is proven is
//! the order of steps. That code keeps to this order is proven by tests elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use stateright::{Checker, Model, Property};

const REPLICAS: usize = 3;
const QUORUM: u32 = 2;

/// Writes of the old owner, one commit cycle each.
const WRITES: u8 = 2;

/// Replicas that may lose power.
const CRASHES_MAX: u8 = 1;

/// What is wrong with the protocol, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Write rows, read the fence, acknowledge.
    Right,
    /// Read the fence, write rows, acknowledge.
    CheckThenWrite,
    /// Write rows, acknowledge while the own clock says that the lease holds;
    /// the new owner waits for nothing but the end of the lease.
    TrustLease,
    /// The new owner reads before the fence is written.
    ReadBeforeFence,
    /// The old owner commits a hand-over while a write of its own is not done.
    HandOverBeforeDone,
    /// The right order, on replicas that answer before they sync.
    Forgetful,
}

/// Sets of replicas and of writes, by bits.
type Set = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Nothing on its way.
    Idle,
    /// Waits until the rows of the present cycle are stored.
    Writing,
    /// Waits for the fence's state.
    Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    Old,
    Moving,
    New,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    /// By replica: the rows it would return.
    rows: [Set; REPLICAS],
    /// The replicas that store the fence of the old owner.
    fence: Set,
    /// By write: the replicas that said that they stored it.
    stored: [Set; WRITES as usize],
    /// By replica: what it answered to the present fence read.
    reads: [Option<bool>; REPLICAS],
    /// Cycles begun.
    begun: u8,
    phase: Phase,
    acknowledged: Set,
    is_aborted: bool,
    is_frozen: bool,
    has_handed_over: bool,
    /// The assignment in etcd, which changes by one transaction.
    row: Row,
    /// Whether the controller sends fences.
    is_fencing: bool,
    /// By replica: what it answered to the new owner.
    tails: [Option<Set>; REPLICAS],
    /// What the new owner knows when it serves.
    serves: Option<Set>,
    crashes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The old owner begins a commit cycle.
    Begin,
    /// A row arrives at a replica.
    Store(u8, usize),
    /// A fence read arrives.
    ReadFence(usize),
    /// The old owner sees that its rows are stored.
    Stored,
    /// It sees answers to its fence read from these two.
    Judge(usize, usize),
    /// The controller takes the old owner for dead, rightly or not.
    Suspect,
    /// A fence arrives at a replica.
    Fence(usize),
    /// The controller gives the shard to the new owner.
    Take,
    /// The controller begins a move, or calls it off.
    Move,
    Withdraw,
    /// The old owner freezes the shard, or goes on when the move is off.
    Freeze,
    Thaw,
    /// The old owner commits the move.
    HandOver,
    /// A read of the new owner arrives at a replica.
    ReadTail(usize),
    /// The new owner serves with what these two answered.
    Serve(usize, usize),
    /// A replica loses power.
    Crash(usize),
}

const fn bit(n: usize) -> Set {
    1 << n
}

const fn is_quorum(set: Set) -> bool {
    set.count_ones() >= QUORUM
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    [(0, 1), (0, 2), (1, 2)].into_iter()
}

impl World {
    fn cycle(&self) -> usize {
        usize::from(self.begun) - 1
    }

    fn acknowledge(&mut self) {
        self.acknowledged |= bit(self.cycle());
        self.phase = Phase::Idle;
    }

    fn read_fence(&mut self) {
        self.reads = [None; REPLICAS];
        self.phase = Phase::Reading;
    }

    /// Whether the new owner may send its reads.
    fn reads_tails(&self, order: Order) -> bool {
        self.row == Row::New || (order == Order::ReadBeforeFence && self.is_fencing)
    }

    fn old_owner(&self, order: Order, steps: &mut Vec<Step>) {
        if self.is_aborted {
            return;
        }
        let is_idle = self.phase == Phase::Idle;
        if is_idle && self.begun < WRITES && !self.is_frozen && !self.has_handed_over {
            steps.push(Step::Begin);
        }
        if self.phase == Phase::Writing && is_quorum(self.stored[self.cycle()]) {
            steps.push(Step::Stored);
        }
        if self.phase == Phase::Reading {
            let judged =
                pairs().filter(|(a, b)| self.reads[*a].is_some() && self.reads[*b].is_some());
            steps.extend(judged.map(|(a, b)| Step::Judge(a, b)));
        }
        if self.row == Row::Moving && !self.is_frozen {
            steps.push(Step::Freeze);
        }
        if self.row == Row::Old && self.is_frozen {
            steps.push(Step::Thaw);
        }
        let is_done = is_idle || order == Order::HandOverBeforeDone;
        // The transaction is guarded by the row: a move that was called off or a
        // shard that was taken cannot be handed over.
        if self.is_frozen && is_done && self.row == Row::Moving {
            steps.push(Step::HandOver);
        }
    }

    fn controller(&self, order: Order, steps: &mut Vec<Step>) {
        if self.row != Row::New {
            if !self.is_fencing {
                steps.push(Step::Suspect);
            }
            let may_take = match order {
                Order::TrustLease => self.is_fencing,
                _ => self.is_fencing && is_quorum(self.fence),
            };
            if may_take {
                steps.push(Step::Take);
            }
        }
        match self.row {
            Row::Old => steps.push(Step::Move),
            Row::Moving => steps.push(Step::Withdraw),
            Row::New => {}
        }
    }

    fn network(&self, order: Order, steps: &mut Vec<Step>) {
        for replica in 0..REPLICAS {
            for write in 0..self.begun {
                let is_sent = order != Order::CheckThenWrite
                    || usize::from(write) < self.cycle()
                    || self.phase != Phase::Reading;
                let is_new = self.stored[usize::from(write)] & bit(replica) == 0;
                if is_sent && is_new {
                    steps.push(Step::Store(write, replica));
                }
            }
            if self.phase == Phase::Reading && self.reads[replica].is_none() && !self.is_aborted {
                steps.push(Step::ReadFence(replica));
            }
            let is_lease = order == Order::TrustLease;
            if self.is_fencing && self.fence & bit(replica) == 0 && !is_lease {
                steps.push(Step::Fence(replica));
            }
            let is_reading = self.reads_tails(order) && self.serves.is_none();
            if is_reading && self.tails[replica].is_none() {
                steps.push(Step::ReadTail(replica));
            }
            if order == Order::Forgetful && self.crashes < CRASHES_MAX {
                steps.push(Step::Crash(replica));
            }
        }
    }
}

impl Model for Order {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            rows: [0; REPLICAS],
            fence: 0,
            stored: [0; WRITES as usize],
            reads: [None; REPLICAS],
            begun: 0,
            phase: Phase::Idle,
            acknowledged: 0,
            is_aborted: false,
            is_frozen: false,
            has_handed_over: false,
            row: Row::Old,
            is_fencing: false,
            tails: [None; REPLICAS],
            serves: None,
            crashes: 0,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        world.old_owner(*self, steps);
        world.controller(*self, steps);
        world.network(*self, steps);
        if world.row == Row::New && world.serves.is_none() {
            let heard =
                pairs().filter(|(a, b)| world.tails[*a].is_some() && world.tails[*b].is_some());
            steps.extend(heard.map(|(a, b)| Step::Serve(a, b)));
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        match step {
            Step::Begin => {
                next.begun += 1;
                match self {
                    Self::CheckThenWrite => next.read_fence(),
                    _ => next.phase = Phase::Writing,
                }
            }
            Step::Store(write, replica) => {
                next.rows[replica] |= bit(write.into());
                next.stored[usize::from(write)] |= bit(replica);
            }
            Step::ReadFence(replica) => {
                next.reads[replica] = Some(world.fence & bit(replica) != 0);
            }
            Step::Stored => match self {
                Self::CheckThenWrite | Self::TrustLease => next.acknowledge(),
                _ => next.read_fence(),
            },
            Step::Judge(a, b) => {
                let is_fenced = world.reads[a] == Some(true) || world.reads[b] == Some(true);
                match self {
                    _ if is_fenced => next.is_aborted = true,
                    Self::CheckThenWrite => next.phase = Phase::Writing,
                    _ => next.acknowledge(),
                }
            }
            Step::Suspect => next.is_fencing = true,
            Step::Fence(replica) => next.fence |= bit(replica),
            Step::Take => next.row = Row::New,
            Step::Move => next.row = Row::Moving,
            Step::Withdraw => next.row = Row::Old,
            Step::Freeze => next.is_frozen = true,
            Step::Thaw => next.is_frozen = false,
            Step::HandOver => {
                next.row = Row::New;
                next.has_handed_over = true;
            }
            Step::ReadTail(replica) => next.tails[replica] = Some(world.rows[replica]),
            Step::Serve(a, b) => {
                let tails = world.tails[a].zip(world.tails[b]);
                next.serves = tails.map(|(a, b)| a | b);
            }
            Step::Crash(replica) => {
                next.rows[replica] = 0;
                next.crashes += 1;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_LOSS, |_, world: &World| {
                let known = world.serves.unwrap_or(world.acknowledged);
                world.acknowledged & !known == 0
            }),
            Property::sometimes("all writes acknowledged", |_, world: &World| {
                world.acknowledged.count_ones() == u32::from(WRITES)
            }),
            Property::sometimes("taken over", |_, world: &World| {
                world.serves.is_some() && !world.has_handed_over
            }),
            Property::sometimes("handed over", |_, world: &World| {
                world.serves.is_some() && world.has_handed_over
            }),
            Property::sometimes("a paused owner finds itself fenced", |_, world: &World| {
                world.is_aborted && world.serves.is_some()
            }),
        ]
    }
}

const NO_LOSS: &str = "no acknowledged write is lost";

#[test]
fn write_then_read_the_fence_then_acknowledge_loses_nothing() {
    let checker = Order::Right.checker().spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done());
    assert!(
        checker.unique_state_count() > 10_000,
        "the model does not move"
    );
}

/// The shortest history in which an acknowledged write is lost.
fn loss(order: Order) -> Vec<Step> {
    let checker = order.checker().spawn_bfs().join();
    let path = checker.discovery(NO_LOSS);
    path.unwrap_or_else(|| panic!("{order:?} loses nothing, so the model sees nothing"))
        .into_actions()
}

#[test]
fn checking_before_writing_loses_a_write() {
    let steps = loss(Order::CheckThenWrite);
    assert!(steps.contains(&Step::Take), "{steps:?}");
}

#[test]
fn trusting_the_lease_loses_a_write() {
    assert!(loss(Order::TrustLease).contains(&Step::Take));
}

#[test]
fn reading_before_the_fence_is_written_loses_a_write() {
    assert!(loss(Order::ReadBeforeFence).contains(&Step::Take));
}

#[test]
fn handing_over_with_a_write_on_its_way_loses_it() {
    assert!(loss(Order::HandOverBeforeDone).contains(&Step::HandOver));
}

#[test]
fn replicas_that_forget_what_they_did_not_sync_lose_a_write() {
    let steps = loss(Order::Forgetful);
    assert!(
        steps.iter().any(|step| matches!(step, Step::Crash(_))),
        "{steps:?}"
    );
}
