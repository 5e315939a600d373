//! XEP-0202: Entity Time, version 2.0, the answering half.
//!
//! A server has no place on the map, so it tells UTC.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_xmpp::{Element, Stanza, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(202),
    version: "2.0",
    disco: &[ns::TIME],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[Hook::iq_get(To::Host, ns::TIME, "time")];

pub(crate) struct Time;

impl Feature for Time {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, query: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let now = ctx.now().to_string();
        let answer = Element::new(ns::TIME, "time")
            .child(Element::new(ns::TIME, "tzo").text("+00:00"))
            .child(Element::new(ns::TIME, "utc").text(now));
        ctx.send(query.result_with(&answer));
        Box::pin(std::future::ready(Outcome::Done))
    }
}
