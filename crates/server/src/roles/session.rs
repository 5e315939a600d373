//! The session role: the engine with its features.

use std::sync::Arc;

use arc_swap::ArcSwap;
use starling_cluster::{Membership, Placement};
use starling_link::Link;
use starling_session::{
    Engine, EntryIds, Env, Feature, OwnFence, Parts, Registry, Software, SystemClock,
};
use starling_store::Store;
use starling_xmpp::time::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::hosts::{self, Components};
use crate::passwords::Passwords;

/// What the engine is built from.
pub(crate) struct Given<'a> {
    pub(crate) config: &'a Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) passwords: Passwords,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) membership: Arc<dyn Membership>,
    /// None for a node that is alone.
    pub(crate) fence: Option<OwnFence>,
    pub(crate) placement: Placement,
    pub(crate) entry_ids: EntryIds,
    /// Besides those of this program.
    pub(crate) features: Vec<Box<dyn Feature>>,
    pub(crate) components: &'a Components,
    pub(crate) started_at: UnixMillis,
}

/// Starts the engine, with a worker for each core.
pub(crate) fn start(given: Given<'_>, shutdown: &CancellationToken) -> anyhow::Result<Parts> {
    let config = given.config;
    let mut features = starling_features::all(&config.session.features, given.started_at);
    features.extend(given.features);
    let env = Env {
        fence: given.fence,
        config: config.session.engine.clone(),
        hosts: ArcSwap::from_pointee(hosts::for_session(config, given.components)?),
        store: given.store,
        link: given.link,
        placement: given.placement,
        membership: given.membership,
        clock: Arc::new(SystemClock),
        passwords: Arc::new(given.passwords),
        entry_ids: given.entry_ids,
        registry: Registry::new(features),
        software: Software {
            name: "Starling".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            os: None,
        },
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Engine::start(Arc::new(env), workers, shutdown))
}
