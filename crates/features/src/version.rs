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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use crate::testing::{check, check_from_romeo, host, juliet};

    const QUERY: &str = "<iq type='get' id='1' to='example.com' from='romeo@example.net/a'><query xmlns='jabber:iq:version'/></iq>";

    /// XEP-0092 §2, §5: the operating system is told only if it is set.
    #[test]
    fn what_is_set_is_told_and_no_more() {
        check_from_romeo(
            &mut host(),
            QUERY,
            "<query xmlns='jabber:iq:version'><name>Starling</name><version>test</version></query>",
        );
    }

    /// RFC 6120 §8.3.3.19: an account has no version.
    #[test]
    fn an_account_has_no_version() {
        let of_account = "<iq type='get' id='1'><query xmlns='jabber:iq:version'/></iq>";
        check(&mut juliet(), of_account, "<service-unavailable ");
    }
}
