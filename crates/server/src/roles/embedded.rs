//! Every role in one process: the node that is alone.

use std::sync::Arc;

use anyhow::Context as _;
use starling_api::Administration;
use starling_api::http::Port;
use starling_link::LocalLink;
use starling_session::{Clock as _, SystemClock};
use starling_store_embedded::Embedded;
use starling_wire::unix::Listener;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Facts, Service};
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
    // First of all: it tells whether another node has this folder.
    let socket = Listener::bind(&config.admin.socket(data.path())).await?;
    let monitor_port = match config.api.http.listen {
        Some(address) => Some(Port::open(address).await?),
        None => None,
    };
    let store = open(&config, &data).await?;
    let secrets = Secrets::of(&*store).await?;
    let link = LocalLink::new();
    let [accepting, working, administering, monitoring] =
        std::array::from_fn(|_| CancellationToken::new());
    let passwords = Passwords::new(&config.edge.auth);
    let given = session::Given {
        config: &config,
        store: Arc::clone(&store) as _,
        passwords: passwords.clone(),
        link: Arc::clone(&link) as _,
        placement: secrets.placement,
        entry_ids: secrets.entry_ids,
        features: extras.features,
        components: &extras.components,
        started_at,
    };
    let engine = session::start(given, &working)?;
    link.join(&engine.node);
    let registry = &engine.node.env().registry;
    let (hosts, certificates) = hosts::for_edge(&config, &data, registry, started_at)?;
    let edge = edge::bind(&config, hosts, Arc::clone(&link) as _, secrets.server).await?;
    let handle = edge.handle();
    let facts = Arc::new(Facts::new(
        config.node.name.clone(),
        started_at,
        data.path().to_owned(),
        admin::listeners(&config.edge.tcp, handle.addresses()),
    ));
    facts.set_certificates(certificates);
    let edge = tokio::spawn(edge.run(accepting.clone()));
    let checks = api::checks(
        edge.abort_handle(),
        Arc::clone(&link) as _,
        Arc::clone(&store) as _,
        Arc::clone(&facts),
    );
    let administration =
        Administration::new(link, Arc::clone(&store) as _, crate::hosts::names(&config));
    let service = Service::new(
        administration.clone(),
        Arc::clone(&facts),
        passwords.clone(),
        checks.clone(),
    );
    let api = api::start(service, socket, administering.clone());
    let monitor_address = monitor_port.as_ref().map(Port::address);
    let monitor =
        monitor_port.map(|port| api::monitor(port, extras.metrics, checks, monitoring.clone()));
    Ok(Node {
        edge,
        handle,
        engine,
        api,
        monitor,
        monitor_address,
        store,
        administration,
        facts,
        passwords,
        components: extras.components,
        data,
        started_with: config.clone(),
        config,
        stops: [accepting, working, administering, monitoring],
    })
}

/// Opening reads the whole file after a crash, so it has a thread of its own.
async fn open(config: &Config, data: &DataFolder) -> anyhow::Result<Arc<Embedded>> {
    let (path, settings) = (data.path().to_owned(), config.store.embedded.clone());
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&path, &settings)).await;
    Ok(Arc::new(opened.context("opening the store stopped")??))
}
