//! RFC 6121 §3 and §4: presence and subscriptions of an account.
//!
//! | file | what it does |
//! | --- | --- |
//! | `outbound` | what a client's presence does, initial presence in order |
//! | `inbound` | what arrives for the account |
//! | `subscribing` | carries out what `subscription` decides |
//! | `directed` | presence to one address, remembered until it ends |
//! | `addressees` | who got directed presence |
//! | `broadcast` | presence to all who see it |
//! | `probe` | asking contacts and answering them |
//! | `end` | how a session becomes unavailable |
//!
//! The roster itself is changed in `roster`; phases have run before.

mod addressees;
mod broadcast;
mod directed;
mod end;
mod inbound;
mod outbound;
mod probe;
mod subscribing;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

pub use addressees::Addressees;
pub(crate) use outbound::PresentSince;
use starling_link::{Detached, SessionId};
use starling_store::roster::Item;
use starling_xmpp::{Stanza, Type, ns};

use crate::Ctx;

/// What a presence stanza says about being available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Available, with this priority (RFC 6121 §4.7.2.3).
    Available {
        /// Negative: no messages for the bare JID.
        priority: i8,
    },
    /// Unavailable.
    Unavailable,
}

impl Availability {
    /// Reads it; `None` if the stanza is about something else, or its
    /// priority is no integer from -128 to +127.
    #[must_use]
    pub fn of(presence: &Stanza) -> Option<Self> {
        match presence.head.type_ {
            Type::Available => {
                let priority = match presence.child_text(ns::CLIENT, "priority") {
                    Some(text) => text.trim().parse().ok()?,
                    None => 0,
                };
                Some(Self::Available { priority })
            }
            Type::Unavailable => Some(Self::Unavailable),
            _ => None,
        }
    }
}

/// A client of the account sent presence, and the sender's phases let it pass.
pub(crate) fn outbound(ctx: &mut Ctx, stanza: Stanza) {
    outbound::handle(ctx, stanza);
}

/// Presence arrived for the account, and the recipient's phases let it pass.
pub(crate) fn inbound(ctx: &mut Ctx, stanza: Stanza) {
    inbound::handle(ctx, stanza);
}

/// The stream of a session has ended: everybody who saw it learns that it is
/// gone, and it is forgotten.
pub(crate) fn ended(ctx: &mut Ctx, session: SessionId, how: Detached) {
    end::ended(ctx, session, how);
}

/// The account is being erased: both directions of every subscription end
/// (RFC 6121 §2.5.2 for each contact, XEP-0077 §3.2).
pub(crate) fn account_removed(ctx: &mut Ctx) {
    let items = std::mem::take(&mut ctx.account.roster.items);
    for item in items.values() {
        subscribing::end(ctx, item);
    }
}

/// RFC 6121 §2.5.2: ends both directions of a contact's subscription before
/// the contact is removed from the roster.
pub fn contact_removed(ctx: &mut Ctx, item: &Item) {
    subscribing::end(ctx, item);
}
