//! The section `[node]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Its name in logs and in `starling status`.
    pub name: String,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "starling".into(),
        }
    }
}
