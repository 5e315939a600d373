//! A node's part in its cluster while it runs: the tasks that it has because it
//! is one of several, how it gives its shards away, how it leaves.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Changes, Lost, Membership as _, Role, Shard};
use starling_cluster_etcd::Cluster;
use starling_wire::link::GrpcLink;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// After so long in which no shard has left, a node that stops goes without
/// giving the others away: longer than the table takes to move one to another
/// controller.
const DRAIN_PATIENCE: Duration = Duration::from_secs(15);

/// How often a node that stops says how many shards it still has.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

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

    /// Gives the shards of this node to others, if there are any: for as long as
    /// some leave, and no longer than `limit`. Returns those that are left though
    /// somebody could have taken them.
    pub(crate) async fn drain(&self, limit: Duration) -> Vec<Shard> {
        if self.follower.is_none() {
            return Vec::new();
        }
        let cluster = &self.cluster;
        if let Err(error) = cluster.tell(|info| info.is_draining = true).await {
            tracing::warn!(%error, "the others cannot be told that this node stops");
            return self.shards();
        }
        let left = || self.has_others().then(|| self.shards().len());
        tracing::info!(shards = self.shards().len(), "giving the shards away");
        let left = left_after(left, cluster.changes(), DRAIN_PATIENCE, limit);
        match telling(left, || self.shards().len()).await {
            0 => Vec::new(),
            _ => self.shards(),
        }
    }

    fn shards(&self) -> Vec<Shard> {
        let view = self.cluster.view();
        view.table.owned_by(self.cluster.instance()).collect()
    }

    /// Whether there is somebody to take shards.
    fn has_others(&self) -> bool {
        let local = self.cluster.local();
        let others = self.cluster.nodes().into_iter();
        let mut others = others.filter(|node| node.id() != local && !node.is_draining);
        others.any(|node| node.has_role(Role::Session))
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

/// Says now and then how many shards are left meanwhile, so that nobody takes a
/// node that drains for one that hangs.
async fn telling(drain: impl Future<Output = usize>, shards: impl Fn() -> usize) -> usize {
    let mut drain = pin!(drain);
    loop {
        match timeout(TELL_INTERVAL, &mut drain).await {
            Ok(left) => return left,
            Err(_) => tracing::info!(shards = shards(), "still giving shards away"),
        }
    }
}

/// Waits until no shard is left, or nobody to take one; or until none has left
/// for as long as `patience`, or `limit` is over. How many are left then.
async fn left_after(
    count: impl Fn() -> Option<usize>,
    mut changes: Changes,
    patience: Duration,
    limit: Duration,
) -> usize {
    let began = Instant::now();
    let (mut least, mut since) = (usize::MAX, began);
    loop {
        let left = match count() {
            None | Some(0) => return 0,
            Some(left) => left,
        };
        if left < least {
            (least, since) = (left, Instant::now());
        }
        let until = (since + patience).min(began + limit);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return left },
            () = sleep_until(until) => return left,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::watch;
    use tokio::task::yield_now;

    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(3_600);

    const SHORT: Duration = Duration::from_millis(20);

    /// How many of 341 shards are left if they leave one by one until so many
    /// are.
    async fn left_of(until: usize, patience: Duration, limit: Duration) -> usize {
        let (left, changed) = (AtomicUsize::new(341), watch::Sender::new(0_u64));
        let leaving = async {
            while left.load(Ordering::Relaxed) > until {
                yield_now().await;
                left.fetch_sub(1, Ordering::Relaxed);
                changed.send_modify(|revision| *revision += 1);
            }
            std::future::pending::<()>().await;
        };
        let count = || Some(left.load(Ordering::Relaxed));
        tokio::select! {
            left = left_after(count, changed.subscribe(), patience, limit) => left,
            () = leaving => unreachable!("it waits for ever"),
        }
    }

    #[tokio::test]
    async fn a_node_that_stops_waits_until_its_shards_have_left() {
        assert_eq!(left_of(0, LONG, LONG).await, 0);
    }

    #[tokio::test]
    async fn it_goes_when_none_leaves_any_more() {
        assert!(left_of(300, SHORT, LONG).await >= 300);
    }

    #[tokio::test]
    async fn it_goes_when_its_time_is_over() {
        assert!(left_of(300, LONG, SHORT).await >= 300);
    }

    #[tokio::test]
    async fn it_goes_at_once_when_nobody_could_take_them() {
        let changed = watch::Sender::new(0_u64);
        let left = left_after(|| None, changed.subscribe(), LONG, LONG).await;
        assert_eq!(left, 0);
    }
}
