//! Lets the clients of an edge go when the cluster asks for it or the node
//! stops, and tells the others how many there are.

use std::sync::Arc;
use std::time::Duration;

use starling_cluster::{Membership as _, Role};
use starling_cluster_etcd::Cluster;
use starling_edge::{Elsewhere, Handle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::admin::Facts;

/// How often the others are told how many clients there are. It wakes all of
/// them, so not often.
const TELL_INTERVAL: Duration = Duration::from_secs(15);

/// The same while somebody waits for there to be none.
const TELL_INTERVAL_DRAINING: Duration = Duration::from_secs(1);

/// Other edges that can be named to a client.
pub(crate) fn elsewhere(cluster: &Arc<Cluster>) -> Elsewhere {
    let cluster = Arc::clone(cluster);
    Arc::new(move || {
        let local = cluster.local();
        let nodes = cluster.nodes().into_iter();
        let others = nodes
            .filter(|node| node.id() != local && node.has_role(Role::Edge) && !node.is_draining);
        let places = others.filter_map(|node| node.clients_at.clone());
        places.collect()
    })
}

/// What is drained, and who is told.
pub(crate) struct Drainer {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) edge: Handle,
    pub(crate) facts: Arc<Facts>,
    /// The node stops.
    pub(crate) stopping: CancellationToken,
}

impl Drainer {
    /// Follows what is asked, until it is dropped.
    pub(crate) async fn run(self) {
        let mut changes = self.cluster.changes();
        let mut is_asked = false;
        loop {
            let is_asked_now = self.is_asked();
            if is_asked_now != is_asked {
                is_asked = is_asked_now;
                self.edge.set_draining(is_asked);
                self.facts.set_draining(is_asked);
            }
            let clients = self.edge.connections() as u64;
            let told = self.cluster.tell(|info| {
                info.is_draining = is_asked;
                info.clients = Some(clients);
            });
            let is_pressing = match told.await {
                Ok(()) => is_asked && clients > 0,
                Err(error) => {
                    tracing::debug!(%error, "the others are not told of the clients here");
                    true
                }
            };
            let interval = match is_pressing {
                true => TELL_INTERVAL_DRAINING,
                false => TELL_INTERVAL,
            };
            let due = Instant::now() + interval;
            // What is told makes a change of its own: only requests end the wait.
            while self.is_asked() == is_asked {
                tokio::select! {
                    () = sleep_until(due) => break,
                    changed = changes.changed() => if changed.is_err() { return },
                    () = self.stopping.cancelled(), if !is_asked => {}
                }
            }
        }
    }

    fn is_asked(&self) -> bool {
        self.stopping.is_cancelled() || self.cluster.is_asked_to_drain()
    }
}
