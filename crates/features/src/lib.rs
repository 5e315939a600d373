//! The extensions of XMPP, one file each.
//!
//! A feature is a manifest, the hooks it asks for and what it does there; it
//! reads through `Ctx` and pushes effects into it. To remove one, delete its
//! file and its line in [`all`]. What is negotiated before there is a session
//! lives in the `edge`.

mod blocking;
mod caps;
mod config;
mod contact;
mod disco;
mod last;
mod offline;
mod ping;
mod private;
mod register;
mod roster;
mod stanza_id;
mod time;
mod vcard;
mod version;

use starling_session::Feature;
use starling_xmpp::{BareJid, Condition, StanzaError, UnixMillis};

pub use caps::{Capabilities, host_caps};
pub use config::Config;

/// Every feature of a node that started at this time, in alphabetical order.
pub fn all(config: &Config, started_at: UnixMillis) -> Vec<Box<dyn Feature>> {
    vec![
        Box::new(blocking::Blocking),
        Box::new(caps::EntityCaps::default()),
        Box::new(contact::Contact),
        Box::new(disco::Disco),
        Box::new(last::Last::new(started_at)),
        Box::new(offline::Offline::new(config.offline.clone())),
        Box::new(ping::Ping),
        Box::new(private::Private),
        Box::new(register::Register),
        Box::new(roster::Roster),
        Box::new(stanza_id::StanzaIds),
        Box::new(time::Time),
        Box::new(vcard::VCard),
        Box::new(version::Version),
    ]
}

/// What a client is told when the store cannot be read: the cause is for the
/// log, the advice is for the client.
fn unreadable(account: &BareJid, error: &starling_store::Error) -> StanzaError {
    tracing::error!(%account, %error, "a read for a client failed");
    StanzaError::new(Condition::InternalServerError)
        .text("the server cannot read this at the moment; try again later")
}
