//! Nodes for the tests, a store's rows in memory, and waiting for conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use starling_cluster::{
    Change, Epoch, Fence, FenceFailure, Incarnation, Instance, Membership, NodeId, NodeInfo, Role,
    SHARDS, Shard, View,
};
use starling_cluster_etcd::{Cluster, Config, Error, HandOver};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A bound on failure, not a wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// For how long a node may be silent: no node that lives must look like one that
/// is dead because the machine is busy.
const LEASE: Duration = Duration::from_secs(10);

/// What the store keeps for the controller.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) fenced: Mutex<BTreeSet<Instance>>,
    pub(crate) epochs: Mutex<BTreeMap<Shard, Epoch>>,
}

#[async_trait]
impl Fence for Rows {
    async fn fence(&self, instance: &Instance) -> Result<(), FenceFailure> {
        self.fenced.lock().unwrap().insert(instance.clone());
        Ok(())
    }

    async fn highest_epochs(&self) -> Result<Vec<(Shard, Epoch)>, FenceFailure> {
        let epochs = self.epochs.lock().unwrap();
        Ok(epochs
            .iter()
            .map(|(shard, epoch)| (*shard, *epoch))
            .collect())
    }

    async fn raise_epochs(&self, epochs: &[(Shard, Epoch)]) -> Result<(), FenceFailure> {
        let mut highest = self.epochs.lock().unwrap();
        let is_stale = |(shard, epoch): &(Shard, Epoch)| highest.get(shard) > Some(epoch);
        if let Some((shard, epoch)) = epochs.iter().find(|one| is_stale(one)) {
            let why = format!("epoch {epoch} of shard {shard} is out of date");
            return Err(FenceFailure(why));
        }
        for (shard, epoch) in epochs {
            let known = highest.entry(*shard).or_insert(Epoch::NONE);
            *known = (*known).max(*epoch);
        }
        Ok(())
    }
}

/// How a node of a test is made.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) rows: Arc<Rows>,
    pub(crate) roles: Vec<Role>,
}

impl Plan {
    pub(crate) fn on(endpoints: Vec<String>) -> Self {
        let config = Config {
            endpoints,
            lease_ttl: LEASE,
            ..Config::default()
        };
        Self {
            config,
            rows: Arc::default(),
            roles: vec![Role::Session],
        }
    }

    pub(crate) fn ttl(mut self, seconds: u64) -> Self {
        self.config.lease_ttl = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn edge(&self) -> Self {
        let mut plan = self.clone();
        plan.roles = vec![Role::Edge];
        plan
    }

    pub(crate) async fn join(&self, name: &str) -> Node {
        self.try_join(name).await.unwrap()
    }

    pub(crate) async fn try_join(&self, name: &str) -> Result<Node, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = listener.local_addr().unwrap().to_string();
        let instance = Instance {
            node: NodeId::new(name),
            incarnation: Incarnation(rand::random()),
        };
        let info = NodeInfo {
            version: "test".to_owned(),
            link: Some(link.into()),
            ..NodeInfo::new(instance, self.roles.clone())
        };
        let is_session = self.roles.contains(&Role::Session);
        let fence = is_session.then(|| Arc::clone(&self.rows) as Arc<dyn Fence>);
        let cluster = Arc::new(Cluster::join(self.config.clone(), info, fence).await?);
        let task = tokio::spawn(serve(Arc::clone(&cluster)));
        Ok(Node {
            cluster,
            _listener: listener,
            task,
        })
    }
}

/// A node that hands over what it is asked to.
pub(crate) struct Node {
    pub(crate) cluster: Arc<Cluster>,
    /// Closed with the node, as the kernel does for a process that was killed.
    _listener: TcpListener,
    task: JoinHandle<()>,
}

async fn serve(cluster: Arc<Cluster>) {
    let mut assignments = cluster.assignments();
    while let Ok(changes) = assignments.next().await {
        let release = changes.into_iter().filter_map(|change| match change {
            Change::Release { shard, epoch, .. } => Some((shard, epoch)),
            _ => None,
        });
        let mut release: Vec<(Shard, Epoch)> = release.collect();
        while !release.is_empty() {
            let answers = cluster.hand_over(release.clone()).await;
            // What became of it is asked again, as session nodes do.
            let mut answers = answers.into_iter();
            release.retain(|_| answers.next() == Some(HandOver::Unknown));
        }
    }
}

impl Node {
    pub(crate) fn id(&self) -> &NodeId {
        self.cluster.local()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.cluster.view()
    }

    /// Shards of a node, as this one sees it.
    pub(crate) fn shards_of(&self, node: &NodeId) -> usize {
        let view = self.view();
        let rows = view.table.iter();
        rows.filter(|(_, row)| row.owner().is_some_and(|owner| owner.node == *node))
            .count()
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards_of(self.id())
    }

    /// Waits until this node sees something.
    pub(crate) async fn sees(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.cluster.changes();
        let seen = async {
            loop {
                changes.borrow_and_update();
                if is_so(self) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        if timeout(DEADLINE, seen).await.is_err() {
            panic!(
                "{} never saw: {what}; {:#?}",
                self.id(),
                self.cluster.status()
            );
        }
    }

    /// Waits until every shard is served, and nothing is moving.
    pub(crate) async fn sees_rest(&self, nodes: usize) {
        let share = usize::from(SHARDS) / nodes;
        self.sees("every shard owned evenly", |node| {
            let status = node.cluster.status();
            let owners: Vec<_> = status.nodes.iter().filter(|node| node.shards > 0).collect();
            let is_even = owners
                .iter()
                .all(|node| node.shards + share / 16 + 1 >= share);
            status.unassigned == 0 && status.moves.is_empty() && owners.len() == nodes && is_even
        })
        .await;
    }

    /// From now on it gives nothing away.
    pub(crate) fn holds_on(&self) {
        self.task.abort();
    }

    /// Ends like a process that was killed: nothing is said, nothing is revoked.
    pub(crate) fn kill(self) {
        self.task.abort();
        // The last handle of the cluster goes with the task.
    }

    /// Ends in an orderly way.
    pub(crate) async fn leave(self) {
        self.task.abort();
        let _ = self.task.await;
        Arc::into_inner(self.cluster).unwrap().leave().await;
    }
}

/// Asks until etcd takes it: while its members choose a leader it takes nothing.
pub(crate) async fn asked<F>(ask: impl Fn() -> F)
where
    F: Future<Output = Result<(), Error>>,
{
    let asking = async {
        while let Err(error) = ask().await {
            assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        }
    };
    in_time("the request", asking).await;
}

/// Fails instead of waiting for ever.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("not in time: {what}"),
    }
}
