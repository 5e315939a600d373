//! XEP-0199: XMPP Ping, version 2.0.1, complete.
//!
//! Answers pings to the host, and to an account for those who see its presence:
//! to others an answer would tell that it exists. Probing idle clients is the
//! edge's work: it owns the socket and knows when it was last heard.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_xmpp::{Condition, Stanza, StanzaError, ns};

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
        let outcome = if is_answered(ping, ctx) {
            ctx.send(ping.result()); // §4.2: an empty result.
            Outcome::Done
        } else {
            Outcome::Reject(StanzaError::new(Condition::ServiceUnavailable))
        };
        Box::pin(std::future::ready(outcome))
    }
}

fn is_answered(ping: &Stanza, ctx: &Ctx) -> bool {
    let to_host = ping.head.to.as_ref().is_some_and(|to| to.local().is_none());
    let is_seen = |from| ctx.account.is_seen_by(from);
    to_host || ping.head.from.as_ref().is_none_or(is_seen)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::Scene;
    use starling_store::roster::Subscription;

    use crate::testing::{check, check_from_romeo, host, juliet, nobody, only};

    const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

    fn ping(to: &str) -> String {
        format!("<iq type='get' id='c2s1'{to}>{PING}</iq>")
    }

    /// XEP-0199 §4.2: the account, with and without its address.
    #[test]
    fn the_account_answers() {
        let mut scene = juliet();
        check(
            &mut scene,
            &ping(""),
            "<iq type='result' id='c2s1' to='juliet@example.com/balcony'/>",
        );
        check(
            &mut scene,
            &ping(" to='juliet@example.com'"),
            "<iq type='result' id='c2s1' to='juliet@example.com/balcony' from='juliet@example.com'/>",
        );
    }

    /// XEP-0199 §4.2, §4.3.
    #[test]
    fn the_host_answers_clients_and_servers() {
        let to_host = ping(" to='example.com'");
        check(
            &mut juliet(),
            &to_host,
            "<iq type='result' id='c2s1' to='juliet@example.com/balcony' from='example.com'/>",
        );
        let from_server = ping(" to='example.com' from='example.net'");
        check_from_romeo(
            &mut host(),
            &from_server,
            "<iq type='result' id='c2s1' to='example.net' from='example.com'/>",
        );
    }

    /// XEP-0199 §4.2, §7: a contact may know that the account is there.
    #[test]
    fn the_account_answers_those_who_see_its_presence() {
        let mut scene = juliet();
        let from_romeo = ping(" to='juliet@example.com' from='romeo@example.net/a'");
        check_from_romeo(&mut scene, &from_romeo, "<service-unavailable ");
        scene.contact("romeo@example.net", Subscription::From);
        check_from_romeo(&mut scene, &from_romeo, "<iq type='result' id='c2s1'");
    }

    /// XEP-0199 §4.4: between clients the server stays out of it.
    #[test]
    fn a_ping_to_a_resource_is_for_its_client() {
        let mut scene = juliet();
        scene.bind("balcony");
        let from_romeo = ping(" to='juliet@example.com/balcony' from='romeo@example.net/a'");
        let got = only(scene.gets(&from_romeo));
        assert!(
            got.starts_with("balcony: <iq type='get'") && got.contains(PING),
            "{got}"
        );
        let to_romeo = only(scene.sends("balcony", &ping(" to='romeo@example.net/a'")));
        assert!(to_romeo.starts_with("out: <iq type='get'"), "{to_romeo}");
    }

    /// XEP-0199 §7: whether a resource is not there or the account is not, the
    /// answer is the same.
    #[test]
    fn a_resource_that_is_not_there_is_unavailable() {
        let gone = ping(" to='juliet@example.com/gone' from='romeo@example.net/a'");
        let ask = |mut scene: Scene| only(scene.gets(&gone));
        let answer = ask(juliet());
        assert!(
            answer.contains("from='juliet@example.com/gone'"),
            "{answer}"
        );
        assert!(answer.contains("<service-unavailable "), "{answer}");
        assert_eq!(answer, ask(nobody()));
    }

    /// RFC 6120 §8.3.3.3: the namespace is known, this use of it is not.
    #[test]
    fn a_ping_changes_nothing() {
        let set = format!("<iq type='set' id='1'>{PING}</iq>");
        check(&mut juliet(), &set, "<feature-not-implemented ");
    }
}
