//! A node's part in a cluster: how it joins, what it asks, how it leaves.
//!
//! This file starts the tasks and passes requests on; each task is a module.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{PutOptions, Txn, TxnOp};
use smol_str::SmolStr;
use starling_cluster::{
    Changes, Epoch, Fence, Instance, Lost, Membership, NodeId, NodeInfo, Owner, Shard, View,
};
use tokio_util::task::TaskTracker;

use crate::assignments::Assignments;
use crate::config::Config;
use crate::controller::Controller;
use crate::error::Error;
use crate::etcd::Etcd;
use crate::handover::{self, HandOver};
use crate::keys::{Key, Keys, check_name};
use crate::metrics::Metrics;
use crate::record::{self, Move};
use crate::shared::Shared;
use crate::status::{self, Status};
use crate::{birth, lease, report, watch};

/// How long the status may take to show what was written.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// This node as a member of the cluster.
pub struct Cluster {
    shared: Arc<Shared>,
    config: Config,
    tasks: TaskTracker,
}

impl Cluster {
    /// Joins the cluster: checks that it is the right one, takes the node's
    /// name, reads everything, and keeps up from then on. With a fence the node
    /// may become the controller; a node without the store cannot.
    ///
    /// # Errors
    /// When etcd cannot be reached or refuses us, when the cluster is another,
    /// when another process has the node's name; see [`Error`].
    pub async fn join(
        config: Config,
        info: NodeInfo,
        fence: Option<Arc<dyn Fence>>,
    ) -> Result<Self, Error> {
        config.check()?;
        check_name(info.id())?;
        let metrics = Metrics::new();
        let etcd = Etcd::new(&config, metrics.clone())?;
        let keys = Keys::new(&config.prefix);
        birth::check(&etcd, &keys, &config).await?;
        let shared = Arc::new(Shared::new(info, etcd, keys, config.lease_ttl, metrics));
        lease::join(&shared).await?;
        watch::first_list(&shared).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(lease::run(Arc::clone(&shared)));
        tasks.spawn(watch::run(Arc::clone(&shared)));
        tasks.spawn(report::run(Arc::clone(&shared)));
        if let Some(fence) = fence {
            let (limits, window) = (config.limits(), config.fences_window);
            let controller = Controller::new(Arc::clone(&shared), fence, limits, window);
            tasks.spawn(controller.run());
        }
        tasks.close();
        Ok(Self {
            shared,
            config,
            tasks,
        })
    }

    /// This run of this node.
    pub fn instance(&self) -> &Instance {
        &self.shared.local
    }

    /// Everything this node knows, as of one moment.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load()
    }

    /// What this node has to do about its shards, from the beginning. One
    /// reader: each has its own idea of what it was told.
    pub fn assignments(&self) -> Assignments {
        Assignments::new(Arc::clone(&self.shared))
    }

    /// Ends moves away from this node, after everything that it wrote for these
    /// shards under these epochs is stored. One answer for each, in order. What
    /// is ended is what the table says at the moment of this call.
    pub fn hand_over(
        &self,
        moves: Vec<(Shard, Epoch)>,
    ) -> impl Future<Output = Vec<HandOver>> + Send + use<> {
        handover::commit(Arc::clone(&self.shared), moves)
    }

    /// Calls off a move away from this node, because the target does not take
    /// part. A [`Change::Keep`](starling_cluster::Change::Keep) follows.
    ///
    /// # Errors
    /// When etcd does not answer; the move ends by itself after a while.
    pub async fn call_off(&self, shard: Shard, epoch: Epoch) -> Result<(), Error> {
        handover::call_off(&self.shared, shard, epoch).await
    }

    /// Waits until this run of the node must end, and says why.
    pub async fn lost(&self) -> Lost {
        let mut lost = self.shared.lost.subscribe();
        loop {
            if let Some(lost) = lost.borrow_and_update().clone() {
                return lost;
            }
            if lost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The cluster as this node sees it.
    pub fn status(&self) -> Status {
        status::of(&self.shared, &self.config.name)
    }

    /// A secret that all nodes share: what is there, or else `made`, for ever.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn secret(&self, name: &str, made: Vec<u8>) -> Result<Vec<u8>, Error> {
        let key = self.shared.key(&Key::Secret(name.to_owned()));
        birth::once(&self.shared.etcd, key, made).await
    }

    /// Changes what this node tells of itself: that it wants to lose its shards
    /// or its clients in an orderly way, how many clients it has, whether it
    /// cannot read the store.
    ///
    /// # Errors
    /// When etcd does not answer; the change is told with the next one.
    pub async fn tell(&self, change: impl FnOnce(&mut NodeInfo)) -> Result<(), Error> {
        let shared = &self.shared;
        shared.info.send_modify(change);
        let mirror = shared.mirror();
        let told = mirror.node(&shared.local.node).map(|(info, _)| info);
        if told == Some(&*shared.info.borrow()) {
            return Ok(());
        }
        lease::announce(shared).await
    }

    /// Whether somebody wants this node to lose its shards and its clients.
    pub fn is_asked_to_drain(&self) -> bool {
        let draining = Key::Draining(self.shared.local.node.clone());
        self.shared.mirror().get(&draining).is_some()
    }

    /// Has a node lose all its shards, until [`Self::undrain`]. Done when the
    /// status shows none.
    ///
    /// # Errors
    /// When there is no such node, or etcd does not answer.
    pub async fn drain(&self, node: &NodeId) -> Result<(), Error> {
        self.known(node)?;
        self.put(&Key::Draining(node.clone()), b"{}".to_vec()).await
    }

    /// Lets a node have shards again.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn undrain(&self, node: &NodeId) -> Result<(), Error> {
        let key = self.shared.key(&Key::Draining(node.clone()));
        self.write(TxnOp::delete(key, None)).await
    }

    /// Gives a node up: it is fenced, whatever the limits say, and its shards go
    /// to others. For a node that is gone for ever, or must be.
    ///
    /// # Errors
    /// When there is no such node, or etcd does not answer.
    pub async fn remove(&self, node: &NodeId) -> Result<(), Error> {
        self.known(node)?;
        self.put(&Key::Removed(node.clone()), b"{}".to_vec()).await
    }

    /// Has a shard move to a node. The status shows how far it is, and why if it
    /// is refused.
    ///
    /// # Errors
    /// When there is no such node, or etcd does not answer.
    pub async fn move_shard(&self, shard: Shard, to: &NodeId) -> Result<(), Error> {
        self.known(to)?;
        let request = Move {
            to: to.to_string(),
            refusal: None,
        };
        self.put(&Key::Move(shard), record::json(&request)).await
    }

    /// Takes a request to move a shard back. A move that has begun goes on.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn forget_move(&self, shard: Shard) -> Result<(), Error> {
        let key = self.shared.key(&Key::Move(shard));
        self.write(TxnOp::delete(key, None)).await
    }

    /// Leaves the cluster: nothing of this node is served from now on, so the
    /// caller has stopped serving. Shards that it still had go to others.
    pub async fn leave(&self) {
        self.shared.stop.cancel();
        self.tasks.wait().await;
        if let Err(error) = self.say_goodbye().await {
            tracing::warn!(%error, "the node could not say that it leaves; its lease will end");
        }
    }

    async fn say_goodbye(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let is_owner = shared
            .view
            .load()
            .table
            .owned_by(&shared.local)
            .next()
            .is_some();
        if is_owner {
            let window = lease::grant_for(shared, self.config.fences_window).await?;
            let key = shared.key(&Key::Left(shared.local.clone()));
            let options = PutOptions::new().with_lease(window);
            self.write(TxnOp::put(key, "{}", Some(options))).await?;
        }
        let lease = *shared.lease.borrow();
        lease::revoke(shared, lease).await;
        Ok(())
    }

    /// Checks that a node is alive, owns something, or is asked something.
    fn known(&self, node: &NodeId) -> Result<(), Error> {
        let is_known = self.status().nodes.iter().any(|known| known.node == *node);
        is_known
            .then_some(())
            .ok_or_else(|| Error::NoSuchNode(node.clone()))
    }

    async fn put(&self, key: &Key, value: Vec<u8>) -> Result<(), Error> {
        let put = TxnOp::put(self.shared.key(key), value, None);
        self.write(put).await
    }

    /// Writes, and waits for the status to show it.
    async fn write(&self, write: TxnOp) -> Result<(), Error> {
        let txn = Txn::new().and_then([write]);
        let answer = self.shared.etcd.txn(txn).await?;
        let header = answer.header();
        let revision = header.map_or(0, etcd_client::ResponseHeader::revision);
        self.shared.caught_up(revision, ECHO_TIMEOUT).await;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Whoever was not asked to leave still must not leave tasks behind.
        self.shared.stop.cancel();
    }
}

impl Membership for Cluster {
    fn local(&self) -> &NodeId {
        &self.shared.local.node
    }

    fn owner(&self, shard: Shard) -> Option<Owner> {
        self.shared.view.owner(shard)
    }

    fn address(&self, node: &NodeId) -> Option<SmolStr> {
        self.shared.view.address(node)
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        self.shared.view.session_nodes()
    }

    fn node(&self, node: &NodeId) -> Option<Arc<NodeInfo>> {
        self.shared.view.node(node)
    }

    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        self.shared.view.nodes()
    }

    fn changes(&self) -> Changes {
        self.shared.view.changes()
    }

    fn report(&self, peer: &NodeId, is_reachable: bool) {
        let Some(info) = self.shared.view.node(peer) else {
            return;
        };
        let change = |suspects: &mut BTreeSet<Instance>| match is_reachable {
            true => suspects.remove(&info.instance),
            false => suspects.insert(info.instance.clone()),
        };
        self.shared.suspects.send_if_modified(change);
    }
}
