//! Every role in one process: the node that is alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use starling_api::Administration;
use starling_api::http::Port;
use starling_auth::ServerSecret;
use starling_cluster::{NodeId, SingleNode};
use starling_edge::{Edge, Ports};
use starling_link::{LocalLink, Sampler};
use starling_session::{Clock as _, Parts, SystemClock};
use starling_store::Store;
use starling_store_embedded::Embedded;
use starling_wire::unix::Listener;
use starling_xmpp::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Certificate, ClusterService, Facts, Service};
use crate::census::Census;
use crate::data::DataFolder;
use crate::node::{Extras, Node};
use crate::passwords::Passwords;
use crate::roles::{api, edge, session};
use crate::secrets::Secrets;
use crate::{Config, hosts};

/// Builds the roles in the order in which they need each other, and joins them.
pub(crate) async fn start(
    config: Config,
    data: DataFolder,
    extras: Extras,
) -> anyhow::Result<Node> {
    let started_at = SystemClock.now();
    // Before the store: what is not opened need not be closed.
    let (socket, monitor_port, ports) = listen(&config, &data).await?;
    let store = open(&config, &data).await?;
    let secrets = Secrets::of(&*store).await?;
    let link = LocalLink::new();
    let stops: [CancellationToken; 4] = std::array::from_fn(|_| CancellationToken::new());
    let [accepting, working, administering, monitoring] = stops.clone();
    let passwords = Passwords::new(&config.edge.auth);
    let membership = Arc::new(SingleNode::new(NodeId::new(config.node.name.as_str())));
    let given = session::Given {
        config: &config,
        store: Arc::clone(&store) as _,
        passwords: passwords.clone(),
        link: Arc::clone(&link) as _,
        membership: Arc::clone(&membership) as _,
        fence: None,
        placement: secrets.placement,
        entry_ids: secrets.entry_ids,
        features: extras.features,
        components: &extras.components,
        started_at,
    };
    let behind = Behind {
        link: &link,
        secret: secrets.server.clone(),
        sampler: extras.sampler,
    };
    let front = front(given, &data, ports, behind, &working);
    let (engine, edge, certificates) = front.await?;
    let handle = edge.handle();
    let listeners = listeners(&config, Some(&handle), monitor_port.as_ref());
    let facts = facts(&config, &data, started_at, listeners);
    facts.set_certificates(certificates);
    let names = hosts::names(&config);
    let keeping = Arc::clone(&store) as Arc<dyn Store>;
    let administration = Administration::new(Arc::clone(&link) as _, keeping.clone(), names);
    // Before anybody may ask for a name.
    let census = Census::restored(&store, secrets.server, &administration).await;
    let edge = tokio::spawn(edge.run(accepting));
    let checks = api::checks(edge.abort_handle(), link, keeping, Arc::clone(&facts));
    let service = Service::new(
        administration.clone(),
        Arc::clone(&facts),
        passwords.clone(),
        checks.clone(),
    );
    let cluster = ClusterService::alone(administration.clone(), membership, secrets.placement);
    let api = api::start(service, cluster, socket, administering.clone());
    let counting = census.run(passwords.clone(), administering);
    Ok(Node {
        edge: Some(edge),
        handle: Some(handle),
        engine: Some(engine),
        registry: None,
        joined: None,
        census: Some(tokio::spawn(counting)),
        api,
        monitor: monitor_port.map(|port| api::monitor(port, extras.metrics, checks, monitoring)),
        store: Some(store),
        administration,
        facts,
        passwords,
        components: extras.components,
        data,
        started_with: config.clone(),
        config,
        stops,
    })
}

/// What an edge is given besides ports and hosts.
struct Behind<'a> {
    link: &'a Arc<LocalLink>,
    secret: ServerSecret,
    sampler: Sampler,
}

/// What it tells of itself.
pub(super) fn facts(
    config: &Config,
    data: &DataFolder,
    started_at: UnixMillis,
    listeners: Vec<admin::Listener>,
) -> Arc<Facts> {
    let (name, path) = (config.node.name.clone(), data.path().to_owned());
    Arc::new(Facts::new(name, started_at, path, listeners))
}

/// Where it can be reached, for those who ask.
pub(super) fn listeners(
    config: &Config,
    handle: Option<&starling_edge::Handle>,
    monitor: Option<&Port>,
) -> Vec<admin::Listener> {
    let addresses = handle.map_or(&[][..], |handle| handle.addresses());
    let mut listeners = admin::listeners(&config.edge.tcp, addresses);
    listeners.extend(monitor.map(|port| admin::Listener {
        protocol: "http",
        address: port.address().to_string(),
    }));
    listeners
}

/// The engine, and the edge in front of it.
async fn front(
    given: session::Given<'_>,
    data: &DataFolder,
    ports: Ports,
    behind: Behind<'_>,
    working: &CancellationToken,
) -> anyhow::Result<(Parts, Edge, BTreeMap<String, Certificate>)> {
    let (config, started_at) = (given.config, given.started_at);
    let Behind {
        link,
        secret,
        sampler,
    } = behind;
    let mut engine = session::start(given, working)?;
    link.join(&engine.node);
    let registry = &engine.node.env().registry;
    let hosts = hosts::for_edge(config, data, registry, started_at);
    let edge = hosts.and_then(|(hosts, certificates)| {
        let link = Arc::clone(link) as _;
        let edge = edge::build(ports, config, hosts, link, secret, sampler)?;
        Ok((edge, certificates))
    });
    if edge.is_err() {
        // Workers that are cut off would leave the store unclean.
        working.cancel();
        while engine.workers.join_next().await.is_some() {}
    }
    edge.map(|(edge, certificates)| (engine, edge, certificates))
}

/// Every place to connect to. The socket first: it tells whether another node
/// has this folder.
async fn listen(
    config: &Config,
    data: &DataFolder,
) -> anyhow::Result<(Listener, Option<Port>, Ports)> {
    let socket = Listener::bind(&config.admin.socket(data.path())).await?;
    let monitor = match config.api.http.listen {
        Some(address) => Some(Port::open(address).await?),
        None => None,
    };
    Ok((socket, monitor, Ports::open(&config.edge.tcp).await?))
}

/// Opening reads the whole file after a crash, so it has a thread of its own.
async fn open(config: &Config, data: &DataFolder) -> anyhow::Result<Arc<Embedded>> {
    let (path, settings) = (data.path().to_owned(), config.store.embedded.clone());
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&path, &settings)).await;
    Ok(Arc::new(opened.context("opening the store stopped")??))
}
