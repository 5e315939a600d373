//! The section `[session]`: the engine's own keys and those of the features,
//! which the engine does not know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Accounts and their sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Session {
    /// The engine's own keys.
    #[serde(flatten)]
    pub engine: starling_session::Config,
    /// Extensions that have something to set.
    pub features: starling_features::Config,
}
