//! The edge role: where clients connect.

use std::sync::Arc;

use starling_auth::ServerSecret;
use starling_edge::{Deps, Edge, Hosts};
use starling_link::Link;
use starling_session::{Clock as _, SystemClock};

use crate::config::Config;

/// Opens every port. Nothing is accepted before the edge runs.
pub(crate) async fn bind(
    config: &Config,
    hosts: Hosts,
    link: Arc<dyn Link>,
    secret: ServerSecret,
) -> anyhow::Result<Edge> {
    let clock = Arc::new(|| SystemClock.now());
    let deps = Deps {
        link,
        secret,
        clock,
    };
    Ok(Edge::bind(config.edge.clone(), hosts, deps).await?)
}
