//! The configuration: one section for each crate that has something to set.
//!
//! Every section is a struct of the crate it configures; its comments, default
//! values and limits are the documentation (`starling config default`) and the
//! check (`starling config check`). This file only composes them.
//!
//! - [`mod@load`]: file and environment to a [`Config`], or every mistake at once.
//! - [`schema`]: what the sections allow, as [`walk`] and [`mod@template`] see it.
//! - [`walk`]: a given configuration against the schema.
//! - [`mod@template`]: the commented defaults.
//! - [`problem`]: a mistake, where it is, and what to do about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod admin;
mod api;
mod cluster;
mod environment;
mod host;
mod load;
mod node;
mod origin;
mod problem;
mod schema;
mod session;
mod store;
mod template;
#[cfg(test)]
mod tests;
mod walk;

pub use admin::Admin;
pub use api::Api;
pub use environment::Environment;
pub use host::{Contact, Host};
pub use load::{Loaded, load, load_admin};
pub use node::{Node, Role};
pub use problem::{Problem, Problems};
pub use session::Session;
pub use store::{Store, StoreKind};
pub use template::template;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The node as a whole.
    pub node: Node,
    /// How the node tells what it does, on standard error.
    pub log: starling_telemetry::Config,
    /// Traces of sampled stanzas, sent to an OpenTelemetry receiver by OTLP over
    /// gRPC. Addresses and contents of stanzas are never in them.
    pub traces: starling_telemetry::Traces,
    /// The hosts that are served, one table each. Every host has its own users,
    /// certificate and settings. Without any, "localhost" is served.
    pub host: BTreeMap<String, Host>,
    /// Where clients connect, and what a connection may cost.
    pub edge: starling_edge::Config,
    /// Accounts and their sessions.
    pub session: Session,
    /// Where everything durable is kept.
    pub store: Store,
    /// How the nodes of a cluster find each other: through etcd. Only with
    /// node.cluster = true.
    pub cluster: starling_cluster_etcd::Config,
    /// How the nodes of a cluster reach each other. Only with node.cluster = true.
    pub link: starling_wire::link::Config,
    /// How a running node is administered.
    pub admin: Admin,
    /// What is served over HTTP.
    pub api: Api,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: Node::default(),
            log: starling_telemetry::Config::default(),
            traces: starling_telemetry::Traces::default(),
            host: BTreeMap::from([("localhost".into(), Host::default())]),
            edge: starling_edge::Config::default(),
            session: Session::default(),
            store: Store::default(),
            cluster: starling_cluster_etcd::Config::default(),
            link: starling_wire::link::Config::default(),
            admin: Admin::default(),
            api: Api::default(),
        }
    }
}
