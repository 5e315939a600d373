//! XEP-0199: XMPP Ping, version 2.0.1, complete.
//!
//! Answers pings to an account or to the host. Probing idle clients is the
//! edge's work: it owns the socket and knows when it was last heard.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_xmpp::{Stanza, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(199),
    version: "2.0.1",
    disco: &[ns::PING],
    disco_account: &[ns::PING],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::PING, "ping"),
    Hook::iq_get(To::Host, ns::PING, "ping"),
];

pub(crate) struct Ping;

impl Feature for Ping {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, ping: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        ctx.send(ping.result()); // §4.2: an empty result.
        Box::pin(std::future::ready(Outcome::Done))
    }
}
