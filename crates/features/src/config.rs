//! The settings of all features: `[session.features]`, a table per feature.

use serde::{Deserialize, Serialize};

/// `[session.features]`: extensions that have something to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Messages for absent users.
    pub offline: crate::offline::Config,
}
