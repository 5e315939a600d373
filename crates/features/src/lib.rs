//! The extensions of XMPP, one file each.
//!
//! A feature is a manifest, the hooks it asks for and what it does there; it
//! reads through `Ctx` and pushes effects into it. To remove one, delete its
//! file and its line in [`all`]. What is negotiated before there is a session
//! lives in the `edge`.

mod config;
mod offline;
mod ping;
mod stanza_id;
mod time;
mod version;

use starling_session::Feature;

pub use config::Config;

/// Every feature of a node, in alphabetical order.
pub fn all(config: &Config) -> Vec<Box<dyn Feature>> {
    vec![
        Box::new(offline::Offline::new(config.offline.clone())),
        Box::new(ping::Ping),
        Box::new(stanza_id::StanzaIds),
        Box::new(time::Time),
        Box::new(version::Version),
    ]
}
