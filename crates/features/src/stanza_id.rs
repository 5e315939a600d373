//! XEP-0359: Unique and Stable Stanza IDs, version 0.7.0, the server's half.
//!
//! Marks what enters an account's log with the id it has there, and removes
//! marks in our name that we did not make. Entering the log is the business of
//! `offline` and of the archive.

use starling_session::{Ctx, Feature, Hook, Manifest, Outcome, Phase, Side, Spec};
use starling_xmpp::payload::hints::Hints;
use starling_xmpp::payload::stanza_id::{self, StanzaId};
use starling_xmpp::{Stanza, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(359),
    version: "0.7.0",
    disco: &[],
    disco_account: &[ns::SID],
};

const HOOKS: &[Hook] = &[Hook::message(Side::Recipient, Phase::Stamp)];

pub(crate) struct StanzaIds;

impl Feature for StanzaIds {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        // §6: an id "by" us that somebody else wrote is a lie.
        let us = &ctx.account.jid;
        message.strip(|payload| stanza_id::is_forged(payload, us));
        if !is_kept(message) {
            return Outcome::Pass;
        }
        let place = ctx.place();
        let id = ctx.env().entry_ids.id_of(place.position);
        message.push(&StanzaId::new(id, ctx.account.jid.clone()).to_element());
        Outcome::Pass
    }
}

/// Whether a message is of a kind that a log keeps.
fn is_kept(message: &Stanza) -> bool {
    matches!(message.head.type_, Type::Normal | Type::Chat)
        && message.has(ns::CLIENT, "body")
        && !Hints::of(message).forbids_archive()
}
