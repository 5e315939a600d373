//! XEP-0092: Software Version, version 1.1, the answering half.
//!
//! What is told comes from the node's settings: an operator who does not want
//! the operating system known leaves it out.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_xmpp::{Element, Stanza, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(92),
    version: "1.1",
    disco: &[ns::VERSION],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[Hook::iq_get(To::Host, ns::VERSION, "query")];

pub(crate) struct Version;

impl Feature for Version {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, query: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let software = &ctx.env().software;
        let part = |name: &str, text: &str| Element::new(ns::VERSION, name).text(text);
        let mut answer = Element::new(ns::VERSION, "query")
            .child(part("name", &software.name))
            .child(part("version", &software.version));
        if let Some(os) = &software.os {
            answer = answer.child(part("os", os));
        }
        ctx.send(query.result_with(&answer));
        Box::pin(std::future::ready(Outcome::Done))
    }
}
