//! Marks that only this server can make: what arrives and carries one in our
//! name is lying. XEP-0203: Delayed Delivery, version 2.0, §2; XEP-0313 §4.2.
//!
//! Copies (`carbons`) and ids (`stanza_id`) are watched over by whoever makes
//! them, because those have more to say of them.

use starling_session::{Ctx, Feature, Hook, Manifest, Origin, Outcome, Phase, Side, Spec};
use starling_xmpp::{Jid, Payload, Stanza, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(203),
    version: "2.0",
    disco: &[],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[Hook::message(Side::Recipient, Phase::Stamp)];

pub(crate) struct Forged;

impl Feature for Forged {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        // What comes back from a session has the delay that we gave it.
        if ctx.origin != Origin::Returned && message.has(ns::DELAY, "delay") {
            message.strip(|payload| is_our_delay(payload, ctx));
        }
        // Results of other archives are for the client to match with what it
        // asked them.
        if message.has(ns::MAM, "result") && is_in_our_name(message, ctx) {
            message.strip(|payload| payload.is(ns::MAM, "result"));
        }
        Outcome::Pass
    }
}

/// Whether a payload is a delay in our name: only we can know how long a
/// message waited here.
pub(crate) fn is_our_delay(payload: &Payload<'_>, ctx: &Ctx) -> bool {
    payload.is(ns::DELAY, "delay")
        && payload.attribute("from").is_some_and(|from| {
            Jid::parse(from.trim()).is_ok_and(|from| ctx.account.is_host(&from))
        })
}

fn is_in_our_name(message: &Stanza, ctx: &Ctx) -> bool {
    let from = message.head.from.as_ref();
    from.is_none_or(|from| ctx.account.is_self(from) || ctx.account.is_host(from))
}
