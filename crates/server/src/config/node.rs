//! The section `[node]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Its name in logs and in `starling status`.
    pub name: String,
    /// How long a node that was told to stop may take to let its clients go
    /// and to store what they sent. Then it ends anyhow; nothing that was
    /// acknowledged is lost by that.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub drain_timeout: Duration,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "starling".into(),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
