//! A small cluster: an edge and session nodes in this process, with real TLS
//! between them, and a proxy that can break what lies between.

mod membership;
mod proxy;

use std::sync::Arc;

use starling_cluster::{Incarnation, NodeId, Placement, Role};
use starling_link::contract::ScriptedNode;
use starling_wire::Error;
use starling_wire::certificates::{self, Pair};
use starling_wire::link::{Bound, Config, GrpcLink, Identity, Server, Tls};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use membership::{Known, Member};
pub(crate) use proxy::Proxy;

pub(crate) const CLUSTER: &str = "test";

/// The authority of the cluster.
pub(crate) struct Authority(Pair);

impl Authority {
    pub(crate) fn new() -> Self {
        Self(certificates::authority(CLUSTER, now()).unwrap())
    }

    pub(crate) fn tls(&self, node: &str, roles: &[Role]) -> Tls {
        self.tls_of(CLUSTER, node, roles)
    }

    pub(crate) fn tls_of(&self, cluster: &str, node: &str, roles: &[Role]) -> Tls {
        self.try_tls_of(cluster, node, roles).unwrap()
    }

    pub(crate) fn try_tls_of(
        &self,
        cluster: &str,
        node: &str,
        roles: &[Role],
    ) -> Result<Tls, Error> {
        let identity = Identity {
            cluster: cluster.to_owned(),
            node: NodeId::new(node),
            roles: roles.to_vec(),
        };
        let Pair { certificate, key } = certificates::node(&identity, &self.0.key, now()).unwrap();
        Tls::new(&certificate, &key, &self.0.certificate)
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

pub(crate) fn config() -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::default()
    }
}

/// A node that owns shards.
pub(crate) struct OwnerNode {
    pub(crate) link: Arc<GrpcLink>,
    pub(crate) node: Arc<ScriptedNode>,
    pub(crate) address: String,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), starling_wire::Error>>,
}

impl OwnerNode {
    pub(crate) async fn start(
        name: &str,
        authority: &Authority,
        known: &Arc<Known>,
        incarnation: u64,
    ) -> Self {
        Self::start_with(config(), name, authority, known, incarnation, true).await
    }

    /// One that takes questions as calls only, as nodes of earlier versions do.
    pub(crate) async fn start_called_only(
        name: &str,
        authority: &Authority,
        known: &Arc<Known>,
        incarnation: u64,
    ) -> Self {
        Self::start_with(config(), name, authority, known, incarnation, false).await
    }

    async fn start_with(
        config: Config,
        name: &str,
        authority: &Authority,
        known: &Arc<Known>,
        incarnation: u64,
        answers: bool,
    ) -> Self {
        let tls = authority.tls(name, &[Role::Session]);
        let member = Member::new(name, known);
        let node = ScriptedNode::new();
        let link = GrpcLink::new(
            config.clone(),
            tls.clone(),
            placement(),
            Arc::clone(&member) as _,
            Incarnation(incarnation),
        );
        link.join(&node);
        let bound = Bound::bind(&config).await.unwrap();
        let address = bound.address().to_string();
        let mut server = Server::new(config, tls, &node, member, Incarnation(incarnation));
        if !answers {
            server = server.called_only();
        }
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(server.serve(bound, shutdown.clone()));
        Self {
            link,
            node,
            address,
            shutdown,
            served,
        }
    }

    /// As if it had been killed: nothing is said to anybody.
    pub(crate) async fn kill(self) {
        self.served.abort();
        self.shutdown.cancel();
        let _ = self.served.await;
    }
}

pub(crate) fn placement() -> Placement {
    Placement::new([7; 16])
}

/// An edge and the owner of everything, with a proxy between them.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) known: Arc<Known>,
    pub(crate) edge: Arc<GrpcLink>,
    pub(crate) owner: OwnerNode,
    pub(crate) proxy: Proxy,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    /// Without a proxy in between, for measuring.
    #[allow(dead_code, reason = "only benchmarks measure")]
    pub(crate) async fn direct() -> Self {
        Self::new().await.without_proxy()
    }

    #[allow(dead_code, reason = "only benchmarks measure")]
    pub(crate) fn without_proxy(self) -> Self {
        self.known.set_address("owner", &self.owner.address);
        self
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::of(config, true).await
    }

    /// The owner takes questions as calls only.
    pub(crate) async fn called_only() -> Self {
        Self::of(config(), false).await
    }

    async fn of(config: Config, answers: bool) -> Self {
        let authority = Authority::new();
        let known = Known::new();
        let owner = config.clone();
        let owner = OwnerNode::start_with(owner, "owner", &authority, &known, 1, answers).await;
        let proxy = Proxy::start(&owner.address).await;
        known.set_address("owner", &proxy.address());
        known.own_all("owner", 1);
        // It does everything an edge and an administrator may.
        let roles = [Role::Edge, Role::Session, Role::Api];
        let edge = GrpcLink::new(
            config,
            authority.tls("edge", &roles),
            placement(),
            Member::new("edge", &known),
            Incarnation(2),
        );
        Self {
            authority,
            known,
            edge,
            owner,
            proxy,
        }
    }
}
