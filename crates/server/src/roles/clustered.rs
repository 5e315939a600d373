//! One node of a cluster: the roles it has, on what all nodes share.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use starling_api::http::Port;
use starling_api::{Administration, Checks};
use starling_cluster::{
    Incarnation, Instance, Membership, NodeId, NodeInfo, Placement, Role as Part,
};
use starling_cluster_etcd::Cluster;
use starling_edge::Ports;
use starling_session::{Clock as _, OwnFence, Parts, Registry, SystemClock};
use starling_store::Store;
use starling_store_scylla::Scylla;
use starling_wire::link::{Bound, GrpcLink, Server, Tls};
use starling_wire::unix::Listener;
use starling_xmpp::UnixMillis;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{ClusterService, Facts, Service};
use crate::config::Role;
use crate::data::DataFolder;
use crate::node::{Extras, Node};
use crate::passwords::Passwords;
use crate::roles::drainer::{self, Drainer};
use crate::roles::fences::Fences;
use crate::roles::joined::Joined;
use crate::roles::{api, edge, embedded, follower, session, watchman};
use crate::secrets::Secrets;
use crate::{Config, hosts};

/// What is open before anything is asked of others.
struct Opened {
    socket: Listener,
    monitor: Option<Port>,
    clients: Option<Ports>,
    nodes: Option<Bound>,
    tls: Tls,
}

/// What every role of this node is built on.
struct Base {
    cluster: Arc<Cluster>,
    link: Arc<GrpcLink>,
    /// The database, at a node that owns accounts.
    store: Option<Arc<dyn Store>>,
    passwords: Passwords,
    started_at: UnixMillis,
    /// As in [`Node::stops`].
    stops: [CancellationToken; 4],
}

/// Builds the roles in the order in which they need each other, and joins them.
pub(crate) async fn start(
    config: Config,
    data: DataFolder,
    mut extras: Extras,
) -> anyhow::Result<Node> {
    let mut opened = open(&config, &data).await?;
    let (base, secrets) = join(&config, &opened, &extras).await?;
    let mut joined = Joined::new(&base.cluster, &base.link);
    let (server_secret, placement) = (secrets.server.clone(), secrets.placement);
    let engine = engine(&base, &config, secrets, &mut extras)?;
    if let (Some(engine), Some(bound)) = (&engine, opened.nodes.take()) {
        serve(
            &mut joined,
            engine,
            &config,
            opened.tls,
            bound,
            &extras,
            &base.stops[1],
        );
    }
    let registry = engine
        .is_none()
        .then(|| registry(&base, &config, &mut extras));
    let known = engine.as_ref().map(|engine| &engine.node.env().registry);
    let known = known
        .or(registry.as_ref())
        .context("there are no features")?;
    let (mut edge, mut certificates) = (None, BTreeMap::new());
    if let Some(ports) = opened.clients.take() {
        let hosts = hosts::for_edge(&config, &data, known, base.started_at)?;
        let (way, sampler) = (Arc::clone(&base.link) as _, extras.sampler);
        let built = edge::build(ports, &config, hosts.0, way, server_secret, sampler)?;
        let built = built.with_elsewhere(drainer::elsewhere(&base.cluster));
        (edge, certificates) = (Some(built), hosts.1);
    }
    let handle = edge.as_ref().map(starling_edge::Edge::handle);
    let edge = edge.map(|edge| tokio::spawn(edge.run(base.stops[0].clone())));
    let listeners = embedded::listeners(&config, handle.as_ref(), opened.monitor.as_ref());
    let facts = embedded::facts(&config, &data, base.started_at, listeners);
    facts.set_certificates(certificates);
    joined.drainer = drainer(&base, handle.as_ref(), &facts);
    let administration = administration(&base, &config);
    let abort = edge.as_ref().map(JoinHandle::abort_handle);
    let (cluster, store) = (Arc::clone(&base.cluster), base.store.clone());
    let checks = api::checks_of_several(abort, cluster, store, Arc::clone(&facts));
    let services = services(&base, &administration, &facts, &checks, placement);
    let [_, _, administering, monitoring] = base.stops.clone();
    let monitor = opened.monitor.take();
    Ok(Node {
        edge,
        handle,
        engine,
        registry,
        joined: Some(joined),
        census: None,
        api: api::start(services.0, services.1, opened.socket, administering),
        monitor: monitor.map(|port| api::monitor(port, extras.metrics, checks, monitoring)),
        store: None,
        administration,
        facts,
        passwords: base.passwords,
        components: extras.components,
        data,
        started_with: config.clone(),
        config,
        stops: base.stops,
    })
}

/// Becomes part of the cluster.
async fn join(
    config: &Config,
    opened: &Opened,
    extras: &Extras,
) -> anyhow::Result<(Base, Secrets)> {
    let started_at = SystemClock.now();
    let store = store(config).await?;
    let info = info(config, opened.nodes.as_ref(), started_at.0);
    let incarnation = info.instance.incarnation;
    let fence = store.clone().map(|store| Arc::new(Fences(store)) as _);
    let cluster = Cluster::join(config.cluster.clone(), info, fence).await?;
    let cluster = Arc::new(cluster);
    let secrets = Secrets::of_cluster(&cluster).await?;
    let link = GrpcLink::new(
        config.link.clone(),
        opened.tls.clone(),
        secrets.placement,
        Arc::clone(&cluster) as _,
        incarnation,
    );
    if let Some(sink) = extras.sampler.sink() {
        link.trace_to(Arc::clone(sink));
    }
    let base = Base {
        cluster,
        link,
        store,
        passwords: Passwords::new(&config.edge.auth),
        started_at,
        stops: std::array::from_fn(|_| CancellationToken::new()),
    };
    Ok((base, secrets))
}

/// The engine of a node that owns accounts.
fn engine(
    base: &Base,
    config: &Config,
    secrets: Secrets,
    extras: &mut Extras,
) -> anyhow::Result<Option<Parts>> {
    let Some(store) = &base.store else {
        return Ok(None);
    };
    let run = base.cluster.instance().to_string();
    let given = session::Given {
        config,
        store: Arc::clone(store),
        passwords: base.passwords.clone(),
        link: Arc::clone(&base.link) as _,
        membership: Arc::clone(&base.cluster) as _,
        fence: Some(OwnFence::new(Arc::clone(store), &run)),
        placement: secrets.placement,
        entry_ids: secrets.entry_ids,
        features: std::mem::take(&mut extras.features),
        components: &extras.components,
        started_at: base.started_at,
    };
    let engine = session::start(given, &base.stops[1])?;
    base.link.join(&engine.node);
    Ok(Some(engine))
}

/// What session nodes of this version do, for an edge to tell its clients.
fn registry(base: &Base, config: &Config, extras: &mut Extras) -> Registry {
    let mut all = starling_features::all(&config.session.features, base.started_at);
    all.append(&mut extras.features);
    Registry::new(all)
}

fn administration(base: &Base, config: &Config) -> Administration {
    let (link, names) = (Arc::clone(&base.link) as _, hosts::names(config));
    match &base.store {
        Some(store) => Administration::new(link, Arc::clone(store), names),
        None => Administration::without_store(link, names),
    }
}

/// What an administrator can ask of this node, and of its cluster.
fn services(
    base: &Base,
    administration: &Administration,
    facts: &Arc<Facts>,
    checks: &Checks,
    placement: Placement,
) -> (Service, ClusterService) {
    let whole = Arc::clone(&base.cluster);
    let service = Service::new(
        administration.clone(),
        Arc::clone(facts),
        base.passwords.clone(),
        checks.clone(),
    );
    (
        service,
        ClusterService::of(administration.clone(), whole, placement),
    )
}

/// Lets the clients of an edge go when the cluster wants it.
fn drainer(
    base: &Base,
    edge: Option<&starling_edge::Handle>,
    facts: &Arc<Facts>,
) -> Option<JoinHandle<()>> {
    let drainer = Drainer {
        cluster: Arc::clone(&base.cluster),
        edge: edge?.clone(),
        facts: Arc::clone(facts),
        stopping: base.stops[0].clone(),
    };
    Some(tokio::spawn(drainer.run()))
}

/// Follows the cluster, and lets other nodes in.
fn serve(
    joined: &mut Joined,
    engine: &Parts,
    config: &Config,
    tls: Tls,
    bound: Bound,
    extras: &Extras,
    working: &CancellationToken,
) {
    let cluster = &joined.cluster;
    let following = follower::follow(Arc::clone(cluster), Arc::clone(&engine.node));
    let mut server = Server::new(
        config.link.clone(),
        tls,
        &engine.node,
        Arc::clone(cluster) as Arc<dyn Membership>,
        cluster.instance().incarnation,
    );
    if let Some(sink) = extras.sampler.sink() {
        server = server.trace_to(Arc::clone(sink));
    }
    joined.follower = Some(tokio::spawn(following));
    if let Some(fence) = engine.node.env().fence.clone() {
        let watching = watchman::watch(fence, Arc::clone(cluster));
        joined.watchman = Some(tokio::spawn(watching));
    }
    joined.server = Some(tokio::spawn(server.serve(bound, working.clone())));
}

/// Every place to connect to. The socket first: it tells whether another node
/// has this folder.
async fn open(config: &Config, data: &DataFolder) -> anyhow::Result<Opened> {
    let name = NodeId::new(config.node.name.as_str());
    let tls = Tls::load(&config.link, &config.cluster.name, &name)?;
    for role in &config.node.roles {
        tls.allows(part(*role))?;
    }
    let socket = Listener::bind(&config.admin.socket(data.path())).await?;
    let monitor = match config.api.http.listen {
        Some(address) => Some(Port::open(address).await?),
        None => None,
    };
    let (clients, nodes) = (config.node.has(Role::Edge), config.node.has(Role::Session));
    Ok(Opened {
        socket,
        monitor,
        clients: match clients {
            true => Some(Ports::open(&config.edge.tcp).await?),
            false => None,
        },
        nodes: match nodes {
            true => Some(Bound::bind(&config.link).await?),
            false => None,
        },
        tls,
    })
}

/// The database, which only session nodes need.
async fn store(config: &Config) -> anyhow::Result<Option<Arc<dyn Store>>> {
    if !config.node.has(Role::Session) {
        return Ok(None);
    }
    let store = Scylla::connect(&config.store.cql).await;
    Ok(Some(Arc::new(store.context("the store cannot be used")?)))
}

/// A role of the configuration, as the cluster calls it.
const fn part(role: Role) -> Part {
    match role {
        Role::Edge => Part::Edge,
        Role::Session => Part::Session,
    }
}

/// What this node tells the others.
fn info(config: &Config, bound: Option<&Bound>, started_ms: i64) -> NodeInfo {
    let roles = config.node.roles.iter().map(|role| part(*role));
    let link = bound.and_then(|bound| config.link.advertised(bound.address()));
    NodeInfo {
        instance: Instance {
            node: NodeId::new(config.node.name.as_str()),
            incarnation: Incarnation(rand::random()),
        },
        roles: roles.collect(),
        version: env!("CARGO_PKG_VERSION").into(),
        link: link.map(Into::into),
        started: u64::try_from(started_ms / 1_000).unwrap_or(0),
        is_draining: false,
        clients_at: config.edge.tcp.advertise.as_deref().map(Into::into),
        clients: None,
        is_store_lost: false,
    }
}
