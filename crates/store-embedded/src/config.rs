//! What an operator may set of the embedded store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the embedded store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Memory for pages of the data file. What does not fit is still cached by
    /// the operating system.
    #[schemars(range(min = 1_048_576))]
    pub cache_bytes: usize,
    /// Free space on the disk below which nothing more is stored: senders wait
    /// until there is room again, and there is room left to delete things.
    pub free_bytes_min: u64,
    /// Whether every commit also records what makes the start after a crash
    /// instant. Without it such a start reads the whole file once; with it
    /// every commit syncs twice.
    pub is_recovery_instant: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            cache_bytes: 128 * 1024 * 1024,
            free_bytes_min: 64 * 1024 * 1024,
            is_recovery_instant: false,
        }
    }
}
