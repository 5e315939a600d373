//! The extensions of XMPP, one file each.
//!
//! A feature is a manifest, the hooks it asks for and what it does there; it
//! reads through `Ctx` and pushes effects into it. To remove one, delete its
//! file and its line in [`all`]. What is negotiated before there is a session
//! lives in the `edge`.

mod blocking;
mod caps;
mod carbons;
mod config;
mod contact;
mod content;
mod corrections;
mod csi;
mod disco;
mod forged;
mod last;
mod mam;
mod markers;
mod metrics;
mod offline;
mod pep;
mod ping;
mod private;
mod reactions;
mod receipts;
mod register;
mod replies;
mod retraction;
mod roster;
mod stanza_id;
mod time;
mod vcard;
mod version;
mod xeps;

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod testing;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use starling_session::{Ctx, Feature, Lasting};
use starling_xmpp::{BareJid, Condition, StanzaError, UnixMillis};

pub use caps::{Capabilities, host_caps};
pub use config::Config;
pub use metrics::describe as describe_metrics;
pub use xeps::{Row, implemented, xeps_markdown};

/// Every feature of a node that started at this time, in alphabetical order.
pub fn all(config: &Config, started_at: UnixMillis) -> Vec<Box<dyn Feature>> {
    let mut features: Vec<Box<dyn Feature>> = vec![
        Box::new(blocking::Blocking),
        Box::new(caps::EntityCaps::default()),
        Box::new(carbons::Carbons),
        Box::new(contact::Contact),
        Box::new(corrections::Corrections),
        Box::new(csi::ClientState),
        Box::new(disco::Disco),
        Box::new(forged::Forged),
        Box::new(last::Last::new(started_at)),
        Box::new(mam::Archive::new(config.archive.clone())),
        Box::new(markers::Markers),
        Box::new(offline::Offline::new(config)),
        Box::new(pep::Pep::new(config.pep.clone())),
        Box::new(ping::Ping),
        Box::new(private::Private),
        Box::new(reactions::Reactions),
        Box::new(receipts::Receipts),
        Box::new(register::Register),
        Box::new(replies::Replies),
        Box::new(retraction::Retraction),
        Box::new(roster::Roster),
        Box::new(stanza_id::StanzaIds),
        Box::new(time::Time),
        Box::new(vcard::VCard),
    ];
    if config.version.is_told {
        features.push(Box::new(version::Version));
    }
    features
}

/// Nothing is kept for an account that ends with its session (SASL ANONYMOUS):
/// it must not be told that something is.
fn check_stored(ctx: &Ctx) -> Result<(), StanzaError> {
    if ctx.account.lasting == Lasting::Stored {
        return Ok(());
    }
    Err(StanzaError::new(Condition::NotAllowed).text("an anonymous account keeps nothing"))
}

/// What a client is told when the store cannot be read: the cause is for the
/// log, the advice is for the client.
fn unreadable(account: &BareJid, error: &starling_store::Error) -> StanzaError {
    tracing::error!(%account, %error, "a read for a client failed");
    StanzaError::new(Condition::InternalServerError)
        .text("the server cannot read this at the moment; try again later")
}
