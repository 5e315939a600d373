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
    /// Octets of the journal that are put into the tables together. More of
    /// them make a durable message cheaper, and the start after a crash longer:
    /// about a second for each 100 MB. It is kept in memory too: up to twice,
    /// four times while the disk is slow, and small rows take about three times
    /// the room there.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub journal_bytes: usize,
    /// Whether each time the tables are written also records what makes the
    /// start after a crash instant. Without it such a start reads the whole
    /// file once.
    pub is_recovery_instant: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            cache_bytes: 128 * 1024 * 1024,
            free_bytes_min: 64 * 1024 * 1024,
            journal_bytes: 16 * 1024 * 1024,
            is_recovery_instant: true,
        }
    }
}
