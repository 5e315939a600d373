//! The settings of all features: `[session.features]`, a table per feature.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[session.features]`: extensions that have something to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What users have said and were told.
    pub archive: crate::mam::Config,
    /// Messages for absent users.
    pub offline: crate::offline::Config,
    /// What users publish.
    pub pep: crate::pep::Config,
    /// What the server tells of itself.
    pub version: crate::version::Config,
}
