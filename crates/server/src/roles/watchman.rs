//! Watches whether this run of a session node may still serve, also when it
//! idles: its fence is read every few seconds. When the database does not
//! answer, the others are told, so that everybody can see whether it is away for
//! one node or for all.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Membership as _, Role};
use starling_cluster_etcd::Cluster;
use starling_session::{OwnFence, Peers};
use starling_store::Error;
use tokio::sync::watch;
use tokio::time::sleep;

/// Before the others are told once more what they could not be told.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);

/// Who is there and well is known from etcd, which says something every few
/// seconds. What is older may be wrong.
const KNOWLEDGE_AGE_MAX: Duration = Duration::from_secs(10);

/// Watches until this run of the node must end, and tells why.
pub(crate) async fn watch(fence: OwnFence, cluster: Arc<Cluster>) -> Error {
    let others = Others {
        cluster: Arc::clone(&cluster),
        is_store_lost: watch::Sender::new(false),
    };
    let told = others.is_store_lost.subscribe();
    tokio::select! {
        why = fence.watch(&others) => why,
        why = announce(&cluster, told) => why,
    }
}

/// Never returns.
async fn announce(cluster: &Cluster, mut is_store_lost: watch::Receiver<bool>) -> Error {
    while is_store_lost.changed().await.is_ok() {
        loop {
            let is_lost = *is_store_lost.borrow_and_update();
            match cluster.tell(|info| info.is_store_lost = is_lost).await {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, "the others are not told of the store"),
            }
            sleep(ANNOUNCE_PAUSE).await;
        }
    }
    pending().await
}

struct Others {
    cluster: Arc<Cluster>,
    is_store_lost: watch::Sender<bool>,
}

impl Peers for Others {
    fn is_store_lost(&self, is_lost: bool) {
        let change = |known: &mut bool| std::mem::replace(known, is_lost) != is_lost;
        self.is_store_lost.send_if_modified(change);
    }

    fn can_take_over(&self) -> bool {
        let local = self.cluster.local();
        let mut others = self.cluster.nodes().into_iter();
        self.cluster.status().age <= KNOWLEDGE_AGE_MAX
            && others.any(|node| {
                node.id() != local
                    && node.has_role(Role::Session)
                    && !node.is_draining
                    && !node.is_store_lost
            })
    }
}
