//! The section `[store]`: where everything durable is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where everything durable is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The store of a node that is alone: one file in its data folder.
    pub embedded: starling_store_embedded::Config,
}
