//! Who owns what and who is there; and what each process knows of it, which is
//! behind the truth for as long as its dice say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use smol_str::SmolStr;
use starling_check::dice::Dice;
use starling_cluster::{
    Changes, Epoch, Incarnation, Instance, Membership, NodeId, NodeInfo, Owner, Role, Shard,
};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Processes at most, so that no two hear of something in the same millisecond:
/// the order in which they would is not in the seed.
pub(crate) const PLACES: u64 = 8;
/// The longest that news take, in turns of everybody.
const NEWS_TURNS_MAX: u64 = 10;

/// Who serves a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) node: usize,
    pub(crate) run: u64,
    pub(crate) epoch: Epoch,
}

/// What can be known.
#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(crate) rows: BTreeMap<Shard, Row>,
    edges: BTreeMap<usize, Arc<NodeInfo>>,
}

/// The truth.
#[derive(Default)]
pub(crate) struct Table {
    known: Mutex<Known>,
    revision: watch::Sender<u64>,
}

impl Table {
    pub(crate) fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    pub(crate) fn row(&self, shard: Shard) -> Option<Row> {
        self.known.lock().unwrap().rows.get(&shard).copied()
    }

    /// A shard is given to a run of a node, if it is still as it was believed
    /// to be.
    pub(crate) fn give(&self, shard: Shard, before: Option<Row>, node: usize, run: u64) -> bool {
        {
            let mut known = self.known.lock().unwrap();
            if known.rows.get(&shard).copied() != before {
                return false;
            }
            let epoch = before.map_or(Epoch::FIRST, |row| Epoch(row.epoch.0 + 1));
            known.rows.insert(shard, Row { node, run, epoch });
        }
        self.revision.send_modify(|revision| *revision += 1);
        true
    }

    /// The shards of a run of a node.
    pub(crate) fn of(&self, node: usize, run: u64) -> Vec<(Shard, Row)> {
        let known = self.known.lock().unwrap();
        let of_it = known
            .rows
            .iter()
            .filter(|(_, row)| (row.node, row.run) == (node, run));
        of_it.map(|(shard, row)| (*shard, *row)).collect()
    }

    /// A run of an edge is there, or its lease has ended.
    pub(crate) fn note_edge(&self, number: usize, run: u64, is_there: bool) {
        {
            let mut known = self.known.lock().unwrap();
            let is_it = |info: &Arc<NodeInfo>| info.instance.incarnation == Incarnation(run);
            if is_there {
                known.edges.insert(number, info(number, run));
            } else if known.edges.get(&number).is_some_and(is_it) {
                known.edges.remove(&number);
            }
        }
        self.revision.send_modify(|revision| *revision += 1);
    }
}

pub(crate) fn edge_id(number: usize) -> NodeId {
    NodeId::new(format!("edge-{number}"))
}

pub(crate) fn node_id(number: usize) -> NodeId {
    NodeId::new(format!("node-{number}"))
}

fn info(number: usize, run: u64) -> Arc<NodeInfo> {
    let instance = Instance {
        node: edge_id(number),
        incarnation: Incarnation(run),
    };
    Arc::new(NodeInfo::new(instance, vec![Role::Edge]))
}

/// What one process knows.
pub(crate) struct View {
    local: NodeId,
    known: Mutex<Known>,
    changes: watch::Sender<u64>,
    /// It hears nothing any more.
    is_cut: AtomicBool,
    follower: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl View {
    /// Follows the table until its process ends. `place` is its own.
    pub(crate) fn start(
        table: &Arc<Table>,
        local: NodeId,
        place: u64,
        gone: CancellationToken,
        mut dice: Dice,
    ) -> Arc<Self> {
        let view = Arc::new(Self {
            local,
            known: Mutex::new(table.known()),
            changes: watch::Sender::new(0),
            is_cut: AtomicBool::new(false),
            follower: OnceLock::new(),
        });
        let (this, table) = (Arc::clone(&view), Arc::clone(table));
        let mut revision = table.revision.subscribe();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = gone.cancelled() => return,
                    changed = revision.changed() => if changed.is_err() { return },
                }
                let news = dice.within(0, NEWS_TURNS_MAX) * PLACES + place;
                sleep(Duration::from_millis(news)).await;
                revision.mark_unchanged();
                if gone.is_cancelled() || this.is_cut.load(Ordering::Relaxed) {
                    continue;
                }
                *this.known.lock().unwrap() = table.known();
                this.changes.send_modify(|changes| *changes += 1);
                if let Some(follower) = this.follower.get() {
                    follower();
                }
            }
        });
        view
    }

    /// Whoever is told of changes.
    pub(crate) fn follow(&self, follower: impl Fn() + Send + Sync + 'static) {
        let _ = self.follower.set(Box::new(follower));
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    pub(crate) fn row(&self, shard: Shard) -> Option<Row> {
        self.known.lock().unwrap().rows.get(&shard).copied()
    }
}

impl Membership for View {
    fn local(&self) -> &NodeId {
        &self.local
    }

    fn owner(&self, shard: Shard) -> Option<Owner> {
        self.row(shard).map(|row| Owner {
            node: node_id(row.node),
            epoch: row.epoch,
        })
    }

    fn address(&self, _node: &NodeId) -> Option<SmolStr> {
        None
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        Vec::new()
    }

    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        let known = self.known.lock().unwrap();
        known.edges.values().cloned().collect()
    }

    fn changes(&self) -> Changes {
        self.changes.subscribe()
    }
}
