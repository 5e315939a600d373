//! XEP-0012: Last Activity, version 2.0, for hosts and accounts.
//!
//! When an account was last here is noted by the engine as its last session
//! leaves; how long a client has been idle is for the client to answer, if the
//! asker may know that it is there (§4).

use starling_session::{
    BoxFuture, Ctx, Feature, Hook, LastSeen, Manifest, Outcome, Phase, Side, Spec, To,
};
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, Type, UnixMillis, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(12),
    version: "2.0",
    disco: &[ns::LAST],
    disco_account: &[ns::LAST],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::LAST, "query"),
    Hook::iq_get(To::Host, ns::LAST, "query"),
    Hook::passing_iq(Side::Recipient, Phase::Guard),
];

const SECOND_MILLIS: i64 = 1_000;

pub(crate) struct Last {
    /// When this node started, for §5.
    started_at: UnixMillis,
}

impl Last {
    pub(crate) fn new(started_at: UnixMillis) -> Self {
        Self { started_at }
    }
}

impl Feature for Last {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, query: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let is_host = query
            .head
            .to
            .as_ref()
            .is_some_and(|to| to.local().is_none());
        let answer = if is_host {
            Ok(seconds(self.started_at, ctx.now())) // §5: how long it has been up.
        } else {
            of_account(ctx, query.head.from.as_ref())
        };
        let outcome = match answer {
            Ok(answer) => {
                ctx.send(query.result_with(&answer));
                Outcome::Done
            }
            Err(condition) => Outcome::Reject(StanzaError::new(condition)),
        };
        Box::pin(std::future::ready(outcome))
    }

    /// §4: a query never reaches a resource whose presence the asker may not
    /// see, be it there or not.
    fn passing_iq(&self, _phase: Phase, iq: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        let to_resource = iq.head.to.as_ref().is_some_and(Jid::is_full);
        let asker = iq.head.from.as_ref();
        if to_resource && is_query(iq) && !asker.is_none_or(|asker| ctx.account.is_seen_by(asker)) {
            return Outcome::Reject(StanzaError::new(Condition::Forbidden));
        }
        Outcome::Pass
    }
}

fn is_query(iq: &Stanza) -> bool {
    iq.head.type_ == Type::Get && iq.has(ns::LAST, "query")
}

fn of_account(ctx: &Ctx, asker: Option<&Jid>) -> Result<Element, Condition> {
    if !asker.is_none_or(|asker| ctx.account.is_seen_by(asker)) {
        // §3, §8: only who sees the account's presence may learn this. An
        // account that does not exist has no such contacts.
        return Err(Condition::Forbidden);
    }
    let now = ctx.now();
    if ctx.account.available().next().is_some() {
        // §3: somebody is there. A session that has not shown itself does not
        // count: "subject to local security policies", it is nobody's business.
        return Ok(seconds(now, now));
    }
    match &ctx.account.last_seen {
        Some(LastSeen { at, status }) => {
            Ok(seconds(*at, now).text(status.as_deref().unwrap_or_default())) // §3.
        }
        // It has never been here: nothing to tell, and no way to say so.
        None => Err(Condition::ServiceUnavailable),
    }
}

fn seconds(since: UnixMillis, now: UnixMillis) -> Element {
    let seconds = (now.0 - since.0).max(0) / SECOND_MILLIS;
    Element::new(ns::LAST, "query").attr("seconds", seconds.to_string())
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

    use crate::testing::{check, check_from_romeo, host, juliet, only};

    fn query(to: &str) -> String {
        format!(
            "<iq type='get' id='last1' to='{to}' from='romeo@example.net/a'><query xmlns='jabber:iq:last'/></iq>"
        )
    }

    /// Juliet with Romeo as a subscriber.
    fn with_romeo() -> Scene {
        let mut scene = juliet();
        scene.contact("romeo@example.net", Subscription::From);
        scene
    }

    /// XEP-0012 §5, without character data.
    #[test]
    fn a_host_tells_how_long_it_has_been_up() {
        let mut scene = host();
        scene.wait_millis(123_456_999);
        check_from_romeo(
            &mut scene,
            &query("example.com"),
            "<query xmlns='jabber:iq:last' seconds='123456'/>",
        );
    }

    /// XEP-0012 §3: how long ago, and with which words.
    #[test]
    fn a_subscriber_learns_when_a_user_left() {
        let mut scene = with_romeo();
        scene.online("balcony");
        scene.sends(
            "balcony",
            "<presence type='unavailable'><status>Heading Home</status></presence>",
        );
        scene.wait_millis(903_000);
        check_from_romeo(
            &mut scene,
            &query("juliet@example.com"),
            "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>",
        );
        scene.reload();
        check_from_romeo(
            &mut scene,
            &query("juliet@example.com"),
            "seconds='903'>Heading Home<",
        );
    }

    /// XEP-0012 §3: zero, and empty, while somebody is there.
    #[test]
    fn somebody_there_is_zero() {
        let mut scene = with_romeo();
        scene.online("balcony");
        check_from_romeo(
            &mut scene,
            &query("juliet@example.com"),
            "<query xmlns='jabber:iq:last' seconds='0'/>",
        );
        check(
            &mut scene,
            "<iq type='get' id='1'><query xmlns='jabber:iq:last'/></iq>",
            "<query xmlns='jabber:iq:last' seconds='0'/>",
        );
    }

    /// XEP-0012 §3: who may not see presence may not see this.
    #[test]
    fn a_stranger_is_forbidden() {
        check_from_romeo(
            &mut juliet(),
            &query("juliet@example.com"),
            "<error type='auth'><forbidden ",
        );
    }

    /// XEP-0012 §4: the same at a resource, whether or not it is there.
    #[test]
    fn a_strangers_query_does_not_reach_a_resource() {
        let mut scene = juliet();
        scene.online("balcony");
        for resource in ["balcony", "gone"] {
            let to = format!("juliet@example.com/{resource}");
            check_from_romeo(&mut scene, &query(&to), "<error type='auth'><forbidden ");
        }
    }

    /// XEP-0012 §4: how long a user has been idle is for the client to answer.
    #[test]
    fn a_subscribers_query_reaches_the_resource() {
        let mut scene = with_romeo();
        scene.online("balcony");
        let got = only(scene.gets(&query("juliet@example.com/balcony")));
        assert!(got.starts_with("balcony: <iq type='get'"), "{got}");
        check_from_romeo(
            &mut scene,
            &query("juliet@example.com/gone"),
            "<service-unavailable ",
        );
    }
}
