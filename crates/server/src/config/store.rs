//! The section `[store]`: where everything durable is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where everything durable is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// "embedded", a file of this node, for a node that is alone; or "cql", a
    /// database that all session nodes of a cluster share.
    pub kind: StoreKind,
    /// The store of a node that is alone: one file in its data folder.
    pub embedded: starling_store_embedded::Config,
    /// The store of a cluster: ScyllaDB or Apache Cassandra.
    pub cql: starling_store_scylla::Config,
}

/// Where everything durable is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// In one file of this node.
    #[default]
    Embedded,
    /// In a database.
    Cql,
}
