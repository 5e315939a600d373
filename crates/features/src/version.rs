//! XEP-0092: Software Version, version 1.1, the answering half.
//!
//! What is told comes from the node's settings, and never the operating system;
//! an operator who wants nothing known leaves the whole of it out (§5), which
//! `all` does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_xmpp::{Element, Stanza, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(92),
    version: "1.1",
    disco: &[ns::VERSION],
    disco_account: &[],
};

/// `[session.features.version]`: what the server tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the name and version of this server are told to whoever asks
    /// (XEP-0092). Client developers like to know them; so does who looks for
    /// servers with a known hole.
    pub is_told: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { is_told: true }
    }
}

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
    use starling_session::Lasting;
    use starling_session::testing::Scene;
    use starling_xmpp::UnixMillis;

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

    /// XEP-0092 §5: an operator may want nothing known.
    #[test]
    fn it_can_be_left_out() {
        let mut config = crate::Config::default();
        config.version.is_told = false;
        let features = crate::all(&config, UnixMillis(0));
        let mut scene = Scene::unstored("example.com", Lasting::Host, features);
        check_from_romeo(&mut scene, QUERY, "<service-unavailable ");
    }

    /// RFC 6120 §8.3.3.19: an account has no version.
    #[test]
    fn an_account_has_no_version() {
        let of_account = "<iq type='get' id='1'><query xmlns='jabber:iq:version'/></iq>";
        check(&mut juliet(), of_account, "<service-unavailable ");
    }
}
