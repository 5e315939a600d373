//! What an operator may set about the engine.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[session]`: accounts and their sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Sessions one account may have at a time. Guards against a client that
    /// binds in a loop; people rarely have more than five devices.
    #[schemars(range(min = 1, max = 10_000))]
    pub sessions_per_account_max: usize,
    /// Accounts without a session that a worker keeps loaded, so that messages
    /// to absent users need not read them again.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub accounts_idle_max: usize,
    /// Stanzas that wait for one account while it is read from the store. More
    /// are answered with `resource-constraint`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub account_waiting_stanzas_max: usize,
    /// Frames that a worker holds before edges have to wait.
    #[schemars(range(min = 1000, max = 100_000_000))]
    pub worker_frames_max: usize,
    /// Contacts in one roster.
    #[schemars(range(min = 1, max = 100_000))]
    pub roster_items_max: usize,
    /// Addresses one session may send directed presence to at a time.
    #[schemars(range(min = 1, max = 100_000))]
    pub directed_presence_max: usize,
    /// How long a session waits for a client whose connection was lost before
    /// it ends (XEP-0198). A client may ask for less. Zero turns it off.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub resume_timeout: Duration,
    /// In a cluster, how long a node that comes to serve accounts waits for
    /// edges to bring the sessions of clients that stayed connected. Edges need
    /// a fraction of a second; one that is gone is waited for this long.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub reattach_timeout: Duration,
    /// Stanzas that a session keeps until its client has acknowledged them. One
    /// more ends the session; its messages wait for the next.
    #[schemars(range(min = 32, max = 1_000_000))]
    pub unacknowledged_stanzas_max: usize,
    /// The same, in bytes.
    #[schemars(range(min = 65_536))]
    pub unacknowledged_bytes_max: usize,
    /// How long the store may take nothing before what clients send is refused,
    /// with an error that asks them to try again later. Until then they wait.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub store_patience: Duration,
    /// Requests of the server that one client may leave unanswered; the oldest
    /// is forgotten first.
    #[schemars(range(min = 1, max = 10_000))]
    pub requests_per_session_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sessions_per_account_max: 50,
            accounts_idle_max: 10_000,
            account_waiting_stanzas_max: 1_000,
            worker_frames_max: 100_000,
            roster_items_max: 5_000,
            directed_presence_max: 1_000,
            resume_timeout: Duration::from_secs(300),
            reattach_timeout: Duration::from_secs(5),
            unacknowledged_stanzas_max: 16_384,
            unacknowledged_bytes_max: 4_194_304,
            store_patience: Duration::from_secs(10),
            requests_per_session_max: 32,
        }
    }
}
