//! One run of a node: the real engine, and what follows the table for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use starling_cluster::{Epoch, Membership, Shard};
use starling_session::{
    Clock, Config, Engine, EntryIds, Env, Host, Hosts, OwnFence, PasswordDeriver, Registry,
    Software,
};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::time::UnixMillis;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lane::{Lane, Links};
use crate::store::SlowStore;
use crate::table::{View, node_id};
use crate::world::{Flaw, Net, instance, jid};

const WORKERS: usize = 2;

/// One run of a node.
pub(crate) struct NodeRun {
    pub(crate) number: usize,
    pub(crate) run: u64,
    pub(crate) engine: Arc<Engine>,
    pub(crate) view: Arc<View>,
    pub(crate) end: CancellationToken,
    /// All of it has ended.
    over: CancellationToken,
    is_given_up: AtomicBool,
    shards: Mutex<Shards>,
}

#[derive(Default)]
struct Shards {
    taken: BTreeMap<Shard, Epoch>,
    /// Given away, or about to be, with the help of this run.
    releasing: BTreeSet<Shard>,
}

impl NodeRun {
    pub(crate) fn start(net: &Arc<Net>, number: usize, run: u64) -> Arc<Self> {
        let end = CancellationToken::new();
        let view = View::start(
            &net.table,
            node_id(number),
            number as u64,
            end.clone(),
            net.dice(1),
        );
        let store = Arc::new(SlowStore {
            rows: Arc::clone(&net.rows),
            dice: Mutex::new(net.dice(2)),
            lies: net.flaw == Flaw::StoresLater,
            gone: end.clone(),
        });
        let lanes = net.shards.iter().map(|shard| {
            let dice = net.dice(3);
            let lane = Lane::start(net, &view, *shard, end.clone(), dice);
            (*shard, lane)
        });
        let links = Links {
            net: Arc::downgrade(net),
            lanes: lanes.collect(),
        };
        let env = env(net, store, links, &view, &instance(number, run));
        let parts = Engine::start(Arc::new(env), WORKERS, &CancellationToken::new());
        let node = Arc::new(Self {
            number,
            run,
            engine: parts.node,
            view,
            end: end.clone(),
            over: CancellationToken::new(),
            is_given_up: AtomicBool::new(false),
            shards: Mutex::default(),
        });
        let over = node.over.clone();
        let mut workers = parts.workers;
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                // One that is fenced takes its process with it.
                _ = workers.join_next() => end.cancel(),
            }
            workers.shutdown().await;
            over.cancel();
        });
        node.apply();
        let follower = Arc::downgrade(&node);
        node.view.follow(move || {
            if let Some(node) = follower.upgrade() {
                node.apply();
            }
        });
        node
    }

    /// Does what the table says, as far as it is known.
    fn apply(&self) {
        if self.end.is_cancelled() {
            return;
        }
        let mut shards = self.shards.lock().unwrap();
        for (shard, row) in self.view.known().rows {
            let is_ours = (row.node, row.run) == (self.number, self.run);
            let taken = shards.taken.get(&shard).copied();
            if is_ours && taken != Some(row.epoch) {
                shards.taken.insert(shard, row.epoch);
                shards.releasing.remove(&shard);
                tell!(
                    "node {}.{} takes {shard} {}",
                    self.number,
                    self.run,
                    row.epoch.0
                );
                self.engine.take(shard, row.epoch);
            } else if !is_ours && taken.is_some() {
                if !shards.releasing.remove(&shard) {
                    // Others have it, and this run did not give it to them.
                    return self.end.cancel();
                }
                shards.taken.remove(&shard);
                self.engine.give_up(shard);
            }
        }
    }

    /// Makes a shard ready to go. `false` if this run cannot.
    pub(crate) async fn release(&self, shard: Shard, epoch: Epoch) -> bool {
        {
            let mut shards = self.shards.lock().unwrap();
            if shards.taken.get(&shard) != Some(&epoch) || !shards.releasing.insert(shard) {
                return false;
            }
        }
        tokio::select! {
            biased;
            () = self.end.cancelled() => false,
            is_frozen = self.engine.freeze(shard) => {
                if !is_frozen {
                    self.keep(shard);
                }
                is_frozen
            }
        }
    }

    /// It stays here after all.
    pub(crate) fn keep(&self, shard: Shard) {
        if self.shards.lock().unwrap().releasing.remove(&shard) && !self.end.is_cancelled() {
            self.engine.keep(shard);
        }
    }

    /// Its cluster believes that it is dead.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Waits until nothing of it is left.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// What becomes of something that is for a shard of this node.
    pub(crate) fn verdict(&self, shard: Shard, epoch: Epoch) -> Verdict {
        match self.view.row(shard) {
            Some(row) if row.epoch < epoch => Verdict::Wait,
            Some(row) if row.epoch == epoch && row.node == self.number => Verdict::Take,
            Some(_) => Verdict::Refuse,
            None => Verdict::Wait,
        }
    }
}

/// Whether a frame may be taken.
pub(crate) enum Verdict {
    Take,
    /// The node does not know yet that it has the shard.
    Wait,
    Refuse,
}

fn env(net: &Arc<Net>, store: Arc<SlowStore>, links: Links, view: &Arc<View>, name: &str) -> Env {
    let mut hosts = Hosts::default();
    hosts.add(&jid("localhost"), Host::default());
    let fence = OwnFence::new(Arc::clone(&store) as _, name);
    let features = starling_features::all(&Default::default(), UnixMillis(0));
    Env {
        fence: Some(fence),
        config: Config::default(),
        hosts: ArcSwap::from_pointee(hosts),
        store,
        link: Arc::new(links),
        placement: net.placement,
        membership: Arc::clone(view) as Arc<dyn Membership>,
        clock: Arc::new(Simulated(net.start)),
        passwords: Arc::new(NoPasswords),
        entry_ids: EntryIds::new([2; 16]),
        registry: Registry::new(features),
        software: Software {
            name: "Starling".into(),
            version: "0".into(),
            os: None,
        },
    }
}

/// The time of the simulation.
struct Simulated(Instant);

impl Clock for Simulated {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_000_000 + i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}
