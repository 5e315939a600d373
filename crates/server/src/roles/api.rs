//! The api role: administration over a Unix socket, monitoring over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use starling_api::http::{Monitoring, Port};
use starling_api::{Check, Checks};
use starling_cluster_etcd::Cluster;
use starling_link::Link;
use starling_store::Store;
use starling_wire::grpc::Server;
use starling_wire::unix::Listener;
use starling_wire::{AdminServer, ClusterAdminServer};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Duration, interval};
use tokio_util::sync::CancellationToken;

use crate::admin::{ClusterService, Facts, Service};

/// How often histograms are folded into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Older knowledge of the cluster is not trusted to be whole: etcd says something
/// every few seconds.
const KNOWLEDGE_AGE_MAX: Duration = Duration::from_secs(20);

/// Serves administration until `shutdown`.
pub(crate) fn start(
    service: Service,
    cluster: ClusterService,
    socket: Listener,
    shutdown: CancellationToken,
) -> JoinHandle<Result<(), starling_wire::Error>> {
    let router = Server::builder()
        .add_service(AdminServer::new(service))
        .add_service(ClusterAdminServer::new(cluster));
    tokio::spawn(socket.serve(router, async move { shutdown.cancelled().await }))
}

/// Answers monitoring until `shutdown`.
pub(crate) fn monitor(
    port: Port,
    metrics: Option<starling_telemetry::Metrics>,
    checks: Checks,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let text = metrics.clone().map(|metrics| {
        let text: starling_api::http::MetricsText = Arc::new(move || metrics.text());
        text
    });
    let monitoring = Monitoring {
        metrics: text,
        checks,
    };
    tokio::spawn(async move {
        let mut tick = interval(UPKEEP_INTERVAL);
        let serve = port.serve(monitoring, shutdown);
        let mut serve = std::pin::pin!(serve);
        loop {
            tokio::select! {
                () = &mut serve => return,
                _ = tick.tick() => if let Some(metrics) = &metrics {
                    metrics.upkeep();
                },
            }
        }
    })
}

/// The parts of a node that stands alone. One of a cluster adds its own.
pub(crate) fn checks(
    edge: AbortHandle,
    link: Arc<dyn Link>,
    store: Arc<dyn Store>,
    facts: Arc<Facts>,
) -> Checks {
    Checks::new(vec![
        Arc::new(Ports(edge)),
        Arc::new(Sessions(link)),
        Arc::new(Stores(store)),
        Arc::new(Draining(facts)),
    ])
}

/// The parts of one node of a cluster: those it has.
pub(crate) fn checks_of_several(
    edge: Option<AbortHandle>,
    cluster: Arc<Cluster>,
    store: Option<Arc<dyn Store>>,
    facts: Arc<Facts>,
) -> Checks {
    let mut checks: Vec<Arc<dyn Check>> = Vec::new();
    checks.extend(edge.map(|edge| Arc::new(Ports(edge)) as _));
    if let Some(store) = store {
        let fence = Fenced(Arc::clone(&store), cluster.instance().to_string());
        checks.push(Arc::new(Stores(store)));
        checks.push(Arc::new(fence));
    }
    checks.push(Arc::new(Etcd(Arc::clone(&cluster))));
    checks.push(Arc::new(Shards(cluster)));
    checks.push(Arc::new(Draining(facts)));
    Checks::new(checks)
}

/// What is known of the cluster is new enough.
struct Etcd(Arc<Cluster>);

#[async_trait]
impl Check for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    async fn check(&self) -> Result<(), String> {
        let age = self.0.status().age;
        if age > KNOWLEDGE_AGE_MAX {
            return Err(format!("etcd has said nothing for {} s", age.as_secs()));
        }
        Ok(())
    }
}

/// Every shard has an owner.
struct Shards(Arc<Cluster>);

#[async_trait]
impl Check for Shards {
    fn name(&self) -> &'static str {
        "shards"
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.status().unassigned {
            0 => Ok(()),
            missing => Err(format!("{missing} shards have no owner")),
        }
    }
}

/// This run of the node may still serve.
struct Fenced(Arc<dyn Store>, String);

#[async_trait]
impl Check for Fenced {
    fn name(&self) -> &'static str {
        "fence"
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.is_fenced(&self.1).await {
            Ok(false) => Ok(()),
            Ok(true) => Err("the cluster has given this node up".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The ports are open and accepted from.
struct Ports(AbortHandle);

#[async_trait]
impl Check for Ports {
    fn name(&self) -> &'static str {
        "ports"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.is_finished() {
            return Err("nobody accepts connections: the edge has ended".into());
        }
        Ok(())
    }
}

/// Every worker takes work.
struct Sessions(Arc<dyn Link>);

#[async_trait]
impl Check for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    async fn check(&self) -> Result<(), String> {
        let nodes = self.0.nodes();
        if nodes.is_empty() {
            return Err("no node serves accounts".into());
        }
        for node in nodes {
            let answer = node.tally().await;
            answer.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// The store would take a write.
struct Stores(Arc<dyn Store>);

#[async_trait]
impl Check for Stores {
    fn name(&self) -> &'static str {
        "store"
    }

    async fn check(&self) -> Result<(), String> {
        let answer = self.0.check().await;
        answer.map(drop).map_err(|error| error.to_string())
    }
}

/// The node does not let its clients go.
struct Draining(Arc<Facts>);

#[async_trait]
impl Check for Draining {
    fn name(&self) -> &'static str {
        "draining"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.is_draining() {
            return Err("the node lets its clients go, because it stops or is drained".into());
        }
        Ok(())
    }
}
