//! The section `[api]`: what is served over HTTP.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is served over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Metrics and health over HTTP, for monitoring.
    pub http: starling_api::http::Config,
}
