//! Nodes that run the real engine, edges before them, and what happens to both.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_cluster::{Placement, Shard};
use starling_store::{Fence as _, Memory};
use starling_xmpp::BareJid;
use tokio::time::{Instant, sleep};

use crate::node::NodeRun;
use crate::run::EdgeRun;
use crate::shared::engine::{self, jid};
use crate::table::{Row, Table};

/// Nodes, and edges before them.
pub(crate) const NODES: usize = 3;
pub(crate) const EDGES: usize = 2;
/// A node that was given up and lives on ends after so long, at most.
const ZOMBIE_MS_MAX: u64 = 4_000;
/// How long it takes until a process is known to be gone, and to start another.
const LEASE_MS_MAX: u64 = 500;
const START_MS_MAX: u64 = 700;
/// The same where nobody can place shards for a while: a node may have begun
/// again by then.
const STUCK_MS_MAX: u64 = 12_000;
/// How long a node does not reach the store, or an edge is held up, at most.
const PARTED_MS_MAX: u64 = 6_000;
const HALTED_MS_MAX: u64 = 5_000;
/// How often a node that could take something over is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Acknowledgements leave before rows are stored.
    StoresLater,
    /// A message that comes again between nodes is not known.
    ForgetsIds,
}

/// Everything there is.
pub(crate) struct Net {
    pub(crate) flaw: Flaw,
    pub(crate) rows: Arc<Memory>,
    pub(crate) placement: Placement,
    pub(crate) table: Arc<Table>,
    /// Those of the accounts and of their host.
    pub(crate) shards: Vec<Shard>,
    pub(crate) start: Instant,
    nodes: [Mutex<Slot<NodeRun>>; NODES],
    edges: [Mutex<Slot<EdgeRun>>; EDGES],
    dice: Mutex<Dice>,
}

/// A process, as its latest run.
struct Slot<T> {
    run: u64,
    current: Option<Arc<T>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            run: 0,
            current: None,
        }
    }
}

impl Net {
    /// Accounts that exist, nodes that serve them, and edges.
    pub(crate) async fn start(seed: u64, flaw: Flaw, accounts: &[BareJid]) -> Arc<Self> {
        let placement = engine::placement();
        let host = jid("localhost");
        let names = accounts.iter().chain([&host]);
        let mut shards: Vec<Shard> = names.map(|name| placement.shard_of(name)).collect();
        shards.sort_unstable();
        shards.dedup();
        let net = Arc::new(Self {
            flaw,
            rows: engine::rows(accounts).await,
            placement,
            table: Arc::default(),
            shards,
            start: Instant::now(),
            nodes: Default::default(),
            edges: Default::default(),
            dice: Mutex::new(Dice::new(seed, 1_000)),
        });
        for (place, shard) in net.shards.iter().enumerate() {
            assert!(net.table.give(*shard, None, place % NODES, 1));
        }
        for number in 0..EDGES {
            net.start_edge(number).await;
        }
        for number in 0..NODES {
            net.start_node(number);
        }
        net
    }

    pub(crate) fn roll(&self, to: u64) -> u64 {
        self.dice.lock().unwrap().within(0, to)
    }

    /// Dice of somebody's own.
    pub(crate) fn dice(&self, stream: u64) -> Dice {
        Dice::new(self.roll(u64::MAX), stream)
    }

    async fn pause(&self, max: u64) {
        let pause = self.roll(max);
        sleep(Duration::from_millis(pause)).await;
    }

    /// The run of a node that lives, whether its cluster believes so or not.
    pub(crate) fn node(&self, number: usize) -> Option<Arc<NodeRun>> {
        self.nodes[number].lock().unwrap().current.clone()
    }

    pub(crate) fn edge(&self, number: usize) -> Option<Arc<EdgeRun>> {
        self.edges[number].lock().unwrap().current.clone()
    }

    /// A node that can be given something, other than this run.
    fn another(&self, than: (usize, u64)) -> Option<Arc<NodeRun>> {
        let nodes = (0..NODES).filter_map(|number| self.node(number));
        let able = |node: &Arc<NodeRun>| {
            (node.number, node.run) != than && !node.is_given_up() && !node.end.is_cancelled()
        };
        let able: Vec<_> = nodes.filter(able).collect();
        let last = able.len().checked_sub(1)?;
        let place = usize::try_from(self.roll(last as u64 + 1)).unwrap();
        Some(Arc::clone(&able[place]))
    }

    /// Something happens: a process dies, or its cluster believes so, or a shard
    /// moves.
    pub(crate) fn harm(self: &Arc<Self>) {
        let which = self.roll(12);
        let (node, edge) = (self.roll(NODES as u64), self.roll(EDGES as u64));
        match which {
            0..=2 => self.harm_node(usize::try_from(node).unwrap()),
            3 | 4 => self.harm_edge(usize::try_from(edge).unwrap()),
            10 => self.halt_edge(usize::try_from(edge).unwrap()),
            11 => self.part_node(usize::try_from(node).unwrap()),
            _ => {
                for _ in 0..=self.roll(3) {
                    self.move_one();
                }
            }
        }
    }

    fn harm_node(self: &Arc<Self>, number: usize) {
        let Some(node) = self.node(number) else {
            return;
        };
        if self.roll(2) == 0 {
            tell!("node {number} dies");
            return node.end.cancel();
        }
        tell!("node {number} is given up and lives on");
        node.give_up();
        if self.roll(2) == 0 {
            node.view.cut();
        }
        let (net, late) = (Arc::clone(self), self.roll(ZOMBIE_MS_MAX));
        tokio::spawn(async move {
            let end = node.end.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(late)).await;
                end.cancel();
            });
            net.pause(LEASE_MS_MAX).await;
            net.take_over(node.number, node.run).await;
        });
    }

    /// A node does not reach the store for a while.
    fn part_node(self: &Arc<Self>, number: usize) {
        let Some(node) = self.node(number) else {
            return;
        };
        tell!("node {number} is parted from the store");
        node.part(true);
        let net = Arc::clone(self);
        tokio::spawn(async move {
            net.pause(PARTED_MS_MAX).await;
            node.part(false);
            tell!("node {number} reaches the store");
        });
    }

    /// A run of a node is over, or is to be: it is fenced before its shards are
    /// given to others.
    async fn take_over(self: &Arc<Self>, number: usize, run: u64) {
        let name = instance(number, run);
        self.rows.fence(&name, "the simulation").await.unwrap();
        for (shard, row) in self.table.of(number, run) {
            self.give_to_another(shard, row).await;
        }
    }

    async fn give_to_another(&self, shard: Shard, row: Row) {
        loop {
            if self.table.row(shard) != Some(row) {
                return;
            }
            if let Some(node) = self.another((row.node, row.run)) {
                self.table.give(shard, Some(row), node.number, node.run);
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// A shard moves, with the help of whoever has it.
    fn move_one(self: &Arc<Self>) {
        let place = usize::try_from(self.roll(self.shards.len() as u64)).unwrap();
        let shard = self.shards[place];
        let Some(row) = self.table.row(shard) else {
            return;
        };
        let Some(node) = self.node(row.node).filter(|node| node.run == row.run) else {
            return;
        };
        tell!("{shard} is to leave node {}", row.node);
        let net = Arc::clone(self);
        tokio::spawn(async move {
            if node.is_given_up() || !node.release(shard, row.epoch).await {
                return;
            }
            let next = net.another((row.node, row.run));
            let is_given = next
                .filter(|_| !node.end.is_cancelled())
                .is_some_and(|next| net.table.give(shard, Some(row), next.number, next.run));
            tell!("{shard} has left node {}: {is_given}", row.node);
            if !is_given {
                node.keep(shard);
            }
        });
    }

    fn start_node(self: &Arc<Self>, number: usize) {
        let run = {
            let mut slot = self.nodes[number].lock().unwrap();
            slot.run += 1;
            slot.run
        };
        let node = NodeRun::start(self, number, run);
        self.nodes[number].lock().unwrap().current = Some(Arc::clone(&node));
        let net = Arc::clone(self);
        tokio::spawn(async move {
            node.ended().await;
            net.nodes[number].lock().unwrap().current = None;
            let late = Arc::clone(&net);
            tokio::spawn(async move {
                let is_stuck = late.roll(3) == 0;
                let max = if is_stuck { STUCK_MS_MAX } else { LEASE_MS_MAX };
                late.pause(max).await;
                late.take_over(number, run).await;
            });
            net.pause(START_MS_MAX).await;
            net.start_node(number);
        });
    }

    /// An edge is held up, and others may believe that it is gone meanwhile.
    fn halt_edge(self: &Arc<Self>, number: usize) {
        let Some(edge) = self.edge(number) else {
            return;
        };
        let (net, time) = (Arc::clone(self), self.roll(HALTED_MS_MAX));
        tell!("edge {number} is held up for {time} ms");
        edge.halt.hold(Duration::from_millis(time));
        tokio::spawn(async move {
            net.pause(LEASE_MS_MAX).await;
            let is_believed_gone = net.roll(2) == 0;
            if is_believed_gone {
                tell!("edge {number} is believed to be gone");
                net.table.note_edge(number, edge.run, false);
                edge.let_go();
            }
            edge.halt.pass().await;
            if is_believed_gone && !edge.gone.is_cancelled() {
                net.table.note_edge(number, edge.run, true);
            }
        });
    }

    fn harm_edge(self: &Arc<Self>, number: usize) {
        let Some(edge) = self.edges[number].lock().unwrap().current.take() else {
            return;
        };
        tell!("edge {number} dies");
        edge.gone.cancel();
        let net = Arc::clone(self);
        tokio::spawn(async move {
            let run = edge.run;
            drop(edge);
            let late = Arc::clone(&net);
            tokio::spawn(async move {
                late.pause(LEASE_MS_MAX).await;
                late.table.note_edge(number, run, false);
            });
            net.pause(START_MS_MAX).await;
            net.start_edge(number).await;
        });
    }

    async fn start_edge(self: &Arc<Self>, number: usize) {
        let run = {
            let mut slot = self.edges[number].lock().unwrap();
            slot.run += 1;
            slot.run
        };
        self.table.note_edge(number, run, true);
        let edge = EdgeRun::start(self, number, run).await;
        self.edges[number].lock().unwrap().current = Some(Arc::new(edge));
    }
}

/// A run of a node, as the store knows it.
pub(crate) fn instance(number: usize, run: u64) -> String {
    format!("node-{number}.{run}")
}
