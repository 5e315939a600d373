//! Nodes that run the real engine, and what dies of them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_cluster::{Epoch, NodeId, Placement, Shard, SingleNode};
use starling_link::SessionNode as _;
use starling_session::{Engine, Env, OwnFence};
use starling_store::{Fence as _, Memory};
use starling_xmpp::BareJid;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::lane::{self, Links};
use crate::shared::engine::{self, Parts};
use crate::shared::store::SlowStore;

/// Nodes, and workers of each.
pub(crate) const NODES: usize = 2;
const WORKERS: usize = 2;
/// A node that was given up and lives on is noticed by its clients after so
/// long, at most.
const ZOMBIE_MAX: Duration = Duration::from_secs(4);

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Acknowledgements leave before rows are stored.
    StoresLater,
    /// A message that comes again between nodes is not known.
    ForgetsIds,
    /// A node that was given up does not look at its fence.
    IgnoresFence,
}

impl Flaw {
    pub(crate) fn forgets_ids(self) -> bool {
        self == Self::ForgetsIds
    }
}

/// Everything there is.
pub(crate) struct Net {
    pub(crate) flaw: Flaw,
    rows: Arc<Memory>,
    placement: Placement,
    start: Instant,
    slots: [Mutex<Slot>; NODES],
    dice: Mutex<Dice>,
}

/// A node, as its latest run.
#[derive(Default)]
struct Slot {
    run: u64,
    engine: Option<Arc<Engine>>,
    /// The end of each run, the first one first.
    ends: Vec<CancellationToken>,
}

impl Net {
    /// Accounts that exist, and nodes that serve them.
    pub(crate) async fn start(seed: u64, flaw: Flaw, accounts: &[BareJid]) -> Arc<Self> {
        let net = Arc::new(Self {
            flaw,
            rows: engine::rows(accounts).await,
            placement: engine::placement(),
            start: Instant::now(),
            slots: Default::default(),
            dice: Mutex::new(Dice::new(seed, 1_000)),
        });
        for number in 0..NODES {
            net.start_node(number);
        }
        net
    }

    pub(crate) fn roll(&self, to: u64) -> u64 {
        self.dice.lock().unwrap().within(0, to)
    }

    /// Which node an account is at home.
    pub(crate) fn owner(&self, account: &BareJid) -> usize {
        usize::from(self.placement.shard_of(account).number()) % NODES
    }

    /// The latest run of a node, unless it is down.
    pub(crate) fn node(&self, number: usize) -> Option<(u64, Arc<Engine>)> {
        let slot = self.slots[number].lock().unwrap();
        slot.engine.clone().map(|engine| (slot.run, engine))
    }

    /// The end of a run of a node.
    pub(crate) fn gone(&self, number: usize, run: u64) -> CancellationToken {
        let slot = self.slots[number].lock().unwrap();
        slot.ends[usize::try_from(run).unwrap() - 1].clone()
    }

    /// Something happens to a node: it dies, or its cluster believes so. Either
    /// way it is fenced before there is another.
    pub(crate) async fn harm(self: &Arc<Self>, number: usize) {
        let dies = self.roll(2) == 0;
        let (run, end) = {
            let mut slot = self.slots[number].lock().unwrap();
            if dies {
                slot.engine = None;
            }
            (slot.run, slot.ends[slot.ends.len() - 1].clone())
        };
        if dies {
            end.cancel();
        } else {
            // Others go on sending to it until there is another.
            let late = Duration::from_millis(self.roll(ZOMBIE_MAX.as_millis() as u64));
            tokio::spawn(async move {
                sleep(late).await;
                end.cancel();
            });
        }
        sleep(Duration::from_millis(self.roll(400))).await;
        self.rows
            .fence(&name(number, run), "the simulation")
            .await
            .unwrap();
        self.start_node(number);
    }

    fn start_node(self: &Arc<Self>, number: usize) {
        let end = CancellationToken::new();
        let run = {
            let mut slot = self.slots[number].lock().unwrap();
            slot.run += 1;
            slot.ends.push(end.clone());
            slot.run
        };
        let dice = |stream: usize| {
            let stream = run * 100 + (number * 10 + stream) as u64;
            Dice::new(self.roll(u64::MAX), stream)
        };
        let store = Arc::new(SlowStore {
            rows: Arc::clone(&self.rows),
            dice: Mutex::new(dice(0)),
            lies: self.flaw == Flaw::StoresLater,
            is_parted: AtomicBool::new(false),
            gone: end.clone(),
        });
        let lanes = (0..NODES).map(|to| lane::start(self, to, end.clone(), dice(1 + to)));
        let links = Links {
            net: Arc::downgrade(self),
            lanes: lanes.collect(),
        };
        let parts = Engine::start(
            Arc::new(self.env(store, links, &name(number, run))),
            WORKERS,
            &CancellationToken::new(),
        );
        let own = Shard::all().filter(|shard| usize::from(shard.number()) % NODES == number);
        let own: Vec<_> = own.map(|shard| (shard, Epoch(run as u32))).collect();
        for (shard, epoch) in &own {
            parts.node.take(*shard, *epoch);
        }
        // The clients here have no edge that would bring their sessions: they
        // come back by themselves.
        parts.node.attended(&NodeId::new(name(number, run)), &own);
        let mut workers = parts.workers;
        tokio::spawn(async move {
            tokio::select! {
               biased;
                () = end.cancelled() => {}
                // One that is fenced takes its process with it.
                _ = workers.join_next() => end.cancel(),
            }
            workers.shutdown().await;
        });
        self.slots[number].lock().unwrap().engine = Some(parts.node);
    }

    fn env(&self, store: Arc<SlowStore>, links: Links, name: &str) -> Env {
        let fence = if self.flaw == Flaw::IgnoresFence {
            OwnFence::read_by(|| Box::pin(async { Ok(false) }), name)
        } else {
            OwnFence::new(Arc::clone(&store) as _, name)
        };
        engine::env(Parts {
            store,
            fence,
            link: Arc::new(links),
            membership: Arc::new(SingleNode::new(NodeId::new(name))),
            start: self.start,
        })
    }
}

fn name(number: usize, run: u64) -> String {
    format!("node-{number}.{run}")
}
