//! A node's part in its cluster while it runs: the tasks that it has because it
//! is one of several, how it gives its shards away, how it leaves.

use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Lost, Membership as _};
use starling_cluster_etcd::Cluster;
use starling_wire::link::GrpcLink;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a node that stops waits for others to take its shards.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks whether they have.
const DRAIN_PAUSE: Duration = Duration::from_millis(50);

/// What a node has besides its roles because it is one of several.
pub(crate) struct Joined {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) follower: Option<JoinHandle<Lost>>,
    pub(crate) watchman: Option<JoinHandle<starling_store::Error>>,
    pub(crate) drainer: Option<JoinHandle<()>>,
    pub(crate) server: Option<JoinHandle<Result<(), starling_wire::Error>>>,
    /// Keeps the way to the other nodes open.
    _link: Arc<GrpcLink>,
}

impl Joined {
    pub(super) fn new(cluster: &Arc<Cluster>, link: &Arc<GrpcLink>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            follower: None,
            watchman: None,
            drainer: None,
            server: None,
            _link: Arc::clone(link),
        }
    }

    /// Gives the shards of this node to others, if there are any.
    pub(crate) async fn drain(&self) {
        if self.follower.is_none() {
            return;
        }
        let cluster = &self.cluster;
        if let Err(error) = cluster.tell(|info| info.is_draining = true).await {
            tracing::warn!(%error, "the others cannot be told that this node stops");
            return;
        }
        let given = async {
            while cluster.session_nodes().len() > 1 && self.has_shards() {
                sleep(DRAIN_PAUSE).await;
            }
        };
        if timeout(DRAIN_TIMEOUT, given).await.is_err() {
            tracing::warn!("not every shard was taken over in time; the rest follows");
        }
    }

    fn has_shards(&self) -> bool {
        let view = self.cluster.view();
        view.table
            .owned_by(self.cluster.instance())
            .next()
            .is_some()
    }

    /// Leaves, when nothing is served any more.
    pub(crate) async fn leave(self) {
        let watchman = self.watchman.map(|watchman| watchman.abort_handle());
        let follower = self.follower.map(|follower| follower.abort_handle());
        let drainer = self.drainer.map(|drainer| drainer.abort_handle());
        for task in [watchman, follower, drainer].into_iter().flatten() {
            task.abort();
        }
        self.cluster.leave().await;
    }

    /// Why this node can be part of its cluster no longer.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let lost = self.cluster.lost();
        tokio::select! {
            lost = lost => lost.into(),
            ended = crate::node::ended(&mut self.follower) => match ended {
                Ok(lost) => lost.into(),
                Err(panic) => anyhow::anyhow!("following the cluster stopped: {panic}"),
            },
            ended = crate::node::ended(&mut self.watchman) => match ended {
                Ok(why) => why.into(),
                Err(panic) => anyhow::anyhow!("watching the fence stopped: {panic}"),
            },
            ended = crate::node::ended(&mut self.server) => match ended {
                Ok(Ok(())) => anyhow::anyhow!("the link ended by itself"),
                Ok(Err(error)) => error.into(),
                Err(panic) => anyhow::anyhow!("the link stopped: {panic}"),
            },
        }
    }
}
