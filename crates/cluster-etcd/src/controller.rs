//! The controller: one node at a time places the shards.
//!
//! Every node that can write fences is a candidate. The controller looks at the
//! mirror, has a plan made, and hands its steps to `execute`, whose every write
//! is guarded by the controller's own key: who was deposed cannot write. What is
//! best to do is decided in the pure crate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp};
use starling_cluster::{Epoch, Fence, Instance, Limits, Shard, Situation, State, plan};
use tokio::time::{Instant, sleep};

use crate::calm::Calm;
use crate::error::Error;
use crate::execute::{self, Office};
use crate::keys::Key;
use crate::mirror::{Leader, Mirror};
use crate::record;
use crate::report;
use crate::shared::Shared;

/// How often the controller looks even if nothing changed: time passes for
/// moves and windows.
const TICK: Duration = Duration::from_secs(1);

/// How often a reported node is looked at.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// How long a shard may take to move before the move is called off.
const MOVE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a shard rests after a move that failed.
const REST: Duration = Duration::from_secs(10);

/// How long to wait for the mirror to show what was just written.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait after a failure.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// How long the store may take for the controller's rows.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Controller {
    shared: Arc<Shared>,
    fence: Arc<dyn Fence>,
    limits: Limits,
    fences_window: Duration,
    /// The highest epochs of the store, read under this leadership.
    epochs: Option<(i64, BTreeMap<Shard, Epoch>)>,
    moving_since: BTreeMap<Shard, (Epoch, Instant)>,
    resting_until: BTreeMap<Shard, Instant>,
    calm: Calm,
    /// Who was told to be held back, and what was told to be wrong: told once.
    held_back: Vec<Instance>,
    trouble: Option<String>,
}

impl Controller {
    pub(crate) fn new(
        shared: Arc<Shared>,
        fence: Arc<dyn Fence>,
        limits: Limits,
        fences_window: Duration,
    ) -> Self {
        Self {
            shared,
            fence,
            limits,
            fences_window,
            epochs: None,
            moving_since: BTreeMap::new(),
            resting_until: BTreeMap::new(),
            calm: Calm::default(),
            held_back: Vec::new(),
            trouble: None,
        }
    }

    /// Runs until the node stops.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let work = async {
            let mut changed = shared.mirror.subscribe();
            loop {
                let mirror = Arc::clone(&changed.borrow_and_update());
                let looked = self.look(&mirror).await;
                if self.tell_trouble(looked.err()) {
                    sleep(RETRY_INTERVAL).await;
                }
                let pause = if mirror.reports().is_empty() {
                    TICK
                } else {
                    PROBE_INTERVAL
                };
                tokio::select! {
                    changed = changed.changed() => if changed.is_err() { return },
                    () = sleep(pause) => {}
                }
            }
        };
        let _ = shared.stop.run_until_cancelled(Box::pin(work)).await;
    }

    /// Says what keeps the controller from its work, once; whether something does.
    fn tell_trouble(&mut self, error: Option<Error>) -> bool {
        let trouble = error.as_ref().map(Error::to_string);
        match &error {
            // That etcd is away is told by who speaks to it.
            Some(error) if error.is_passing() => {
                tracing::debug!(%error, "the controller has to wait");
            }
            Some(error) if trouble != self.trouble => {
                tracing::error!(%error, "the controller cannot place shards");
            }
            None if self.trouble.is_some() => tracing::info!("the controller goes on"),
            Some(_) | None => {}
        }
        self.trouble = trouble;
        error.is_some()
    }

    fn tell_held_back(&mut self, held_back: Vec<Instance>) {
        self.shared.metrics.held_back(held_back.len());
        for instance in &held_back {
            if !self.held_back.contains(instance) {
                tracing::error!(
                    node = %instance.node,
                    "seems dead, but too many nodes do: it is not fenced; look at the network, or remove the node"
                );
            }
        }
        self.held_back = held_back;
    }

    /// One look at the world, and what follows from it.
    async fn look(&mut self, mirror: &Mirror) -> Result<(), Error> {
        let now = Instant::now();
        self.calm.look(mirror.table(), &mirror.nodes(), now);
        let leader = mirror.leader();
        let lease = *self.shared.lease.borrow();
        let ours = leader
            .as_ref()
            .filter(|leader| leader.instance == self.shared.local && leader.lease == lease);
        self.shared.metrics.controller(ours.is_some());
        let Some(ours) = ours else {
            self.epochs = None;
            return self.campaign(mirror, leader.as_ref()).await;
        };
        if self.epochs.as_ref().map(|(term, _)| *term) != Some(ours.revision) {
            let epochs = execute::highest_epochs(&*self.fence).await?;
            self.epochs = Some((ours.revision, epochs));
        }
        let unreachable = report::confirmed(mirror, |suspect| *suspect != self.shared.local).await;
        self.follow_moves(mirror);
        let situation = self.situation(mirror, unreachable);
        let plan = plan(&situation, &self.limits);
        self.tell_held_back(plan.held_back);
        if plan.steps.is_empty() {
            return Ok(());
        }
        let office = Office {
            shared: &self.shared,
            fence: &*self.fence,
            revision: ours.revision,
            fences_window: self.fences_window,
        };
        let raised = self.epochs.as_mut().map(|(_, epochs)| epochs);
        let done = execute::run(&office, mirror, plan.steps, raised).await;
        if done.is_err() {
            // The controller before may have stored some after they were read
            // here: the next plan must not give them out again.
            self.epochs = None;
        }
        self.shared.caught_up(done?, ECHO_TIMEOUT).await;
        Ok(())
    }

    /// Becomes the controller if there is none, or if the one there is was killed.
    async fn campaign(&self, mirror: &Mirror, leader: Option<&Leader>) -> Result<(), Error> {
        let shared = &self.shared;
        if let Some(leader) = leader {
            let gone = report::confirmed(mirror, |suspect| *suspect == leader.instance).await;
            // An earlier run of this node is gone for certain.
            let is_ours = leader.instance.node == shared.local.node;
            if !is_ours && !gone.contains(&leader.instance) {
                return Ok(());
            }
        }
        let key = shared.key(&Key::Leader);
        let seen = leader.map_or(0, |leader| leader.revision);
        let options = PutOptions::new().with_lease(*shared.lease.borrow());
        let value = record::leader(&shared.local);
        let txn = Txn::new()
            .when([Compare::mod_revision(key.clone(), CompareOp::Equal, seen)])
            .and_then([TxnOp::put(key, value, Some(options))]);
        let answer = shared.etcd.txn(txn).await?;
        if answer.succeeded() {
            tracing::info!("this node is the controller now");
        }
        let revision = answer
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        shared.caught_up(revision, ECHO_TIMEOUT).await;
        Ok(())
    }

    /// Notes which moves began when, and which failed.
    fn follow_moves(&mut self, mirror: &Mirror) {
        let (now, table) = (Instant::now(), mirror.table());
        self.resting_until.retain(|_, until| *until > now);
        let mut moving = BTreeMap::new();
        for (shard, row) in table.iter() {
            if let State::Moving { next, .. } = row.state {
                let began = match self.moving_since.get(&shard) {
                    Some((before, began)) if *before == next => *began,
                    _ => now,
                };
                moving.insert(shard, (next, began));
            }
        }
        for (shard, (next, _)) in &self.moving_since {
            let row = table.get(*shard);
            let is_failed = !moving.contains_key(shard) && row.epoch < *next;
            if is_failed {
                self.resting_until.insert(*shard, now + REST);
            }
        }
        self.moving_since = moving;
    }

    fn situation(&self, mirror: &Mirror, unreachable: BTreeSet<Instance>) -> Situation {
        let now = Instant::now();
        let fenced = mirror.fenced();
        let overdue = self.moving_since.iter();
        let overdue = overdue.filter(|(_, (_, began))| now - *began >= MOVE_TIMEOUT);
        Situation {
            table: mirror.table(),
            nodes: mirror.nodes(),
            fences_recent: fenced.values().filter(|is_limited| **is_limited).count(),
            fenced: fenced.into_keys().collect(),
            left: mirror.left(),
            unreachable,
            requests: mirror.requests(),
            epochs: self
                .epochs
                .as_ref()
                .map(|(_, epochs)| epochs.clone())
                .unwrap_or_default(),
            resting: self.resting_until.keys().copied().collect(),
            arrived: self.calm.arrived(),
            newcomers: self.calm.newcomers(now),
            overdue: overdue.map(|(shard, _)| *shard).collect(),
            is_settling: now < *self.shared.settled_at.borrow(),
        }
    }
}
