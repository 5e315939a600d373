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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use crate::testing::{check, check_from_romeo, host, juliet};

    /// XEP-0202 §2; XEP-0082 §3.2: UTC, with a Z.
    #[test]
    fn the_host_tells_utc() {
        check_from_romeo(
            &mut host(),
            "<iq type='get' id='1' to='example.com' from='romeo@example.net/a'><time xmlns='urn:xmpp:time'/></iq>",
            "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2001-09-09T01:46:40.000Z</utc></time>",
        );
    }

    /// XEP-0202 §6: where a user is, is for the user's client to tell.
    #[test]
    fn an_account_has_no_time() {
        let of_account = "<iq type='get' id='1'><time xmlns='urn:xmpp:time'/></iq>";
        check(&mut juliet(), of_account, "<service-unavailable ");
    }
}
