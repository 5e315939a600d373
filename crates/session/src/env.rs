//! What every part of the engine is given at its birth. There is no ambient
//! state: a test replaces any of these.

use std::sync::Arc;

use arc_swap::ArcSwap;
use starling_cluster::{Membership, Placement};
use starling_link::Link;
use starling_store::Store;

use crate::{Clock, Config, EntryIds, Hosts, OwnFence, PasswordDeriver, Registry};

/// The surroundings of an engine.
pub struct Env {
    /// Settings.
    pub config: Config,
    /// The domains this node serves; replaced as a whole on reload.
    pub hosts: ArcSwap<Hosts>,
    /// Where everything durable goes.
    pub store: Arc<dyn Store>,
    /// Read after every commit, before anything of it is let out; `None` for a
    /// node that is alone, whose shards nobody else can take.
    pub fence: Option<OwnFence>,
    /// The way to other shards.
    pub link: Arc<dyn Link>,
    /// From an account to its shard.
    pub placement: Placement,
    /// Who owns which shard, and under which epoch.
    pub membership: Arc<dyn Membership>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes verifiers from passwords.
    pub passwords: Arc<dyn PasswordDeriver>,
    /// The ids that clients see for entries of a log.
    pub entry_ids: EntryIds,
    /// The features.
    pub registry: Registry,
    /// The name and version that the node tells others (XEP-0092).
    pub software: Software,
}

/// What the node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The operating system, if it is to be told.
    pub os: Option<String>,
}
