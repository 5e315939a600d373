//! The edge role: where clients connect.

use std::sync::Arc;

use starling_auth::ServerSecret;
use starling_edge::{Deps, Edge, Hosts, Ports};
use starling_link::{Link, Sampler};
use starling_session::{Clock as _, SystemClock};

use crate::config::Config;

/// The edge on ports that are open. Nothing is accepted before it runs.
pub(crate) fn build(
    ports: Ports,
    config: &Config,
    hosts: Hosts,
    link: Arc<dyn Link>,
    secret: ServerSecret,
    sampler: Sampler,
) -> anyhow::Result<Edge> {
    let clock = Arc::new(|| SystemClock.now());
    let deps = Deps {
        link,
        secret,
        clock,
        sampler,
    };
    Ok(Edge::with_ports(ports, config.edge.clone(), hosts, deps)?)
}
