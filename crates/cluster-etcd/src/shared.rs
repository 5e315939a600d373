//! What the tasks of one node share: etcd, the newest mirror, its lease.
//!
//! Each of these has one writer, which its comment names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starling_cluster::{Epoch, Instance, Lost, NodeInfo, Shard, SharedView};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::etcd::Etcd;
use crate::keys::{Key, Keys};
use crate::metrics::Metrics;
use crate::mirror::Mirror;

pub(crate) struct Shared {
    pub(crate) local: Instance,
    pub(crate) etcd: Etcd,
    pub(crate) keys: Keys,
    pub(crate) lease_ttl: Duration,
    pub(crate) metrics: Metrics,
    /// Ends all tasks.
    pub(crate) stop: CancellationToken,
    /// What this node tells of itself. Written by the handle.
    pub(crate) info: watch::Sender<NodeInfo>,
    /// The lease this node lives under. Written by `lease`.
    pub(crate) lease: watch::Sender<i64>,
    /// All keys. Written by `watch`.
    pub(crate) mirror: watch::Sender<Arc<Mirror>>,
    /// The part of them that everybody reads. Written by `watch`.
    pub(crate) view: SharedView,
    /// When etcd was last heard. Written by `watch`.
    pub(crate) heard: watch::Sender<Instant>,
    /// Until when a node may be missing only because etcd was away. Written by
    /// `watch`.
    pub(crate) settled_at: watch::Sender<Instant>,
    /// Peers that do not answer this node. Written by the handle and `report`.
    pub(crate) suspects: watch::Sender<BTreeSet<Instance>>,
    /// Why this run of the node must end. Written once, by whoever sees it.
    pub(crate) lost: watch::Sender<Option<Lost>>,
    /// Moves away from this node that it committed, or may have.
    handed_over: Mutex<BTreeSet<(Shard, Epoch)>>,
}

impl Shared {
    pub(crate) fn new(
        info: NodeInfo,
        etcd: Etcd,
        keys: Keys,
        lease_ttl: Duration,
        metrics: Metrics,
    ) -> Self {
        let local = info.instance.clone();
        let now = Instant::now();
        Self {
            view: SharedView::new(local.node.clone(), Mirror::default().view()),
            local,
            etcd,
            keys,
            lease_ttl,
            metrics,
            stop: CancellationToken::new(),
            info: watch::Sender::new(info),
            lease: watch::Sender::new(0),
            mirror: watch::Sender::new(Arc::default()),
            heard: watch::Sender::new(now),
            settled_at: watch::Sender::new(now),
            suspects: watch::Sender::default(),
            lost: watch::Sender::new(None),
            handed_over: Mutex::default(),
        }
    }

    /// The newest mirror.
    pub(crate) fn mirror(&self) -> Arc<Mirror> {
        Arc::clone(&self.mirror.borrow())
    }

    pub(crate) fn key(&self, key: &Key) -> String {
        self.keys.of(key)
    }

    /// Makes what etcd says visible to everyone, at once.
    pub(crate) fn publish(&self, mirror: Mirror) {
        self.look_for_us(&mirror);
        let view = mirror.view();
        self.metrics.view(&self.local, &view);
        self.view.publish(view);
        self.mirror.send_replace(Arc::new(mirror));
    }

    /// Sees whether the cluster gave this run of the node up.
    fn look_for_us(&self, mirror: &Mirror) {
        if let Some(cause) = mirror.get(&Key::Fenced(self.local.clone())) {
            let cause = match &cause.record {
                crate::record::Record::Fenced(fenced) => fenced.cause.clone(),
                _ => String::new(),
            };
            self.lose(Lost::Fenced(cause));
        }
        let named = mirror.node(&self.local.node);
        if let Some((other, _)) = named.filter(|(info, _)| info.instance != self.local) {
            self.lose(Lost::IdentityTaken(other.instance.clone()));
        }
    }

    /// This run of the node must end; the first reason counts.
    pub(crate) fn lose(&self, lost: Lost) {
        self.lost.send_if_modified(|reason| {
            let is_first = reason.is_none();
            if is_first {
                tracing::error!(reason = %lost, "this node must end");
                *reason = Some(lost);
            }
            is_first
        });
    }

    pub(crate) fn handed_over(&self) -> std::sync::MutexGuard<'_, BTreeSet<(Shard, Epoch)>> {
        self.handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the mirror has this revision, or for so long.
    pub(crate) async fn caught_up(&self, revision: i64, patience: Duration) {
        let mut mirror = self.mirror.subscribe();
        let reached = mirror.wait_for(|mirror| mirror.revision >= revision);
        let _ = tokio::time::timeout(patience, reached).await;
    }
}
