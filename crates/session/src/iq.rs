//! RFC 6120 §8.2.3: a request gets exactly one answer, from the feature that
//! asked for it or from here; and an answer goes to the feature that asked.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rand::distr::{Alphanumeric, SampleString};
use smol_str::SmolStr;
use starling_link::SessionId;
use starling_xmpp::{Condition, Jid, Stanza, StanzaError};

use crate::registry::{FeatureId, Known};
use crate::tasks::Handling;
use crate::{Account, Ctx, Origin, Outcome, To, pipeline, reject};

/// Letters and digits of a random id or resource: 95 bits.
const RANDOM_CHARS: usize = 16;

/// Text that nobody can guess.
pub(crate) fn random_text() -> SmolStr {
    Alphanumeric
        .sample_string(&mut rand::rng(), RANDOM_CHARS)
        .into()
}

/// The id of a request of the server.
pub(crate) fn request_id() -> SmolStr {
    random_text()
}

/// Answers a request that is for the server.
pub(crate) fn answer(mut ctx: Box<Ctx>, stanza: Stanza, asked: &[To]) -> Handling {
    match ctx.env.registry.iq(asked, &stanza) {
        Known::Feature(feature) => ask(ctx, stanza, feature),
        // Of what is only its owner's own (XEP-0049 §2.3, XEP-0054 §3.2) an
        // account says to others what a host says of what it does not know.
        // Where a document wants `forbidden`, its feature answers, and does so
        // for an account that does not exist as well.
        Known::NamespaceOnly if asked != [To::Account] => {
            let error = StanzaError::new(Condition::FeatureNotImplemented);
            reject::reply(&mut ctx, &stanza, &error);
            Handling::Done(ctx)
        }
        Known::NamespaceOnly | Known::No => {
            reject::unavailable(&mut ctx, &stanza);
            Handling::Done(ctx)
        }
    }
}

/// Has a feature answer. Most need no read and are ready at once.
fn ask(mut ctx: Box<Ctx>, stanza: Stanza, id: FeatureId) -> Handling {
    ctx.feature = id;
    let env = Arc::clone(&ctx.env);
    let mut handler = Box::pin(async move {
        let outcome = pipeline::feature(&env, id).handle(&stanza, &mut ctx).await;
        conclude(&mut ctx, &stanza, outcome);
        ctx
    });
    match handler
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(ctx) => Handling::Done(ctx),
        // It is polled again with a real waker as soon as it has its place.
        Poll::Pending => Handling::Waiting(handler),
    }
}

fn conclude(ctx: &mut Ctx, stanza: &Stanza, outcome: Outcome) {
    match outcome {
        Outcome::Done => {}
        Outcome::Reject(error) => reject::reply(ctx, stanza, &error),
        // Nobody else is asked, so the request would stay without an answer.
        Outcome::Pass | Outcome::Skip(_) => reject::unavailable(ctx, stanza),
    }
}

/// What an account may wait for at a time; the oldest is forgotten first.
const ASKED_MAX: usize = 256;

/// An answer that an account waits for.
pub(crate) struct Asked {
    id: SmolStr,
    /// Who gives it.
    from: Jid,
    feature: FeatureId,
}

/// Notes that an answer is waited for; returns its id.
pub(crate) fn expect(account: &mut Account, feature: FeatureId, from: Jid) -> SmolStr {
    let id = request_id();
    if account.asked.len() >= ASKED_MAX {
        account.asked.pop_front();
    }
    account.asked.push_back(Asked {
        id: id.clone(),
        from,
        feature,
    });
    id
}

/// Gives an answer that came for the account itself to the feature that waits
/// for it. RFC 6120 §8.1.3: its id and who gives it must be the ones expected.
pub(crate) fn take_told(ctx: &mut Ctx, stanza: &Stanza) {
    let (id, from) = (&stanza.head.id, &stanza.head.from);
    let asked = &mut ctx.account.asked;
    let place = asked
        .iter()
        .position(|asked| Some(&asked.id) == id.as_ref() && Some(&asked.from) == from.as_ref());
    if let Some(asked) = place.and_then(|place| asked.remove(place)) {
        let env = Arc::clone(&ctx.env);
        ctx.feature = asked.feature;
        pipeline::feature(&env, asked.feature).told(stanza, ctx);
    }
}

/// Gives an answer of a client to the feature that asked for it.
///
/// RFC 6120 §8.1.3: only a session's own answers are looked up under its
/// requests, so nobody can answer for somebody else.
pub(crate) fn take_answer(ctx: &mut Ctx, stanza: &mut Stanza) {
    let Origin::Session(session) = ctx.origin else {
        return;
    };
    if let Some(feature) = take_request(ctx, session, stanza) {
        let env = Arc::clone(&ctx.env);
        ctx.feature = feature;
        pipeline::feature(&env, feature).answer(stanza, session, ctx);
    }
}

fn take_request(ctx: &mut Ctx, session: SessionId, answer: &Stanza) -> Option<FeatureId> {
    let id = answer.head.id.as_ref()?;
    let requests = &mut ctx.account.session_mut(session)?.requests;
    let place = requests.iter().position(|request| request.id == *id)?;
    requests.remove(place).map(|request| request.feature)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use starling_xmpp::{Element, Stanza};

    use crate::testing::Scene;
    use crate::{Config, Ctx, Event, EventKind, Feature, Hook, Manifest, SessionId, Spec};

    const MANIFEST: Manifest = Manifest {
        spec: Spec::Own("curious"),
        version: "",
        disco: &[],
        disco_account: &[],
    };

    const HOOKS: &[Hook] = &[Hook::on(EventKind::Available), Hook::on(EventKind::Changed)];

    /// Asks a client whenever it sends presence, and counts the answers.
    struct Curious(Arc<AtomicUsize>);

    impl Feature for Curious {
        fn manifest(&self) -> &'static Manifest {
            &MANIFEST
        }

        fn hooks(&self) -> &'static [Hook] {
            HOOKS
        }

        fn event(&self, _event: &Event<'_>, session: SessionId, ctx: &mut Ctx) {
            ctx.request(session, false, &Element::new("urn:x", "why"));
        }

        fn answer(&self, _answer: &Stanza, _session: SessionId, _ctx: &mut Ctx) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// RFC 6120 §8.1.3, §8.2.3: an answer counts once, by its id, an error
    /// too; a client that never answers costs a bounded number of requests.
    #[test]
    fn requests_to_a_client_are_bounded_and_answered_once() {
        let answered = Arc::new(AtomicUsize::new(0));
        let config = Config {
            requests_per_session_max: 2,
            ..Config::default()
        };
        let curious = Box::new(Curious(Arc::clone(&answered)));
        let mut scene = Scene::with("juliet@example.com", vec![curious], config);
        scene.bind("balcony");
        let ids: Vec<String> = (0..3)
            .map(|_| {
                scene.sends("balcony", "<presence/>");
                scene.asked().to_owned()
            })
            .collect();
        let mut answer = |type_: &str, id: &str| {
            scene.sends("balcony", &format!("<iq type='{type_}' id='{id}'/>"));
            answered.load(Ordering::Relaxed)
        };
        assert_eq!(answer("result", &ids[0]), 0, "forgotten");
        assert_eq!(answer("result", "made up"), 0);
        assert_eq!(answer("result", &ids[1]), 1);
        assert_eq!(answer("result", &ids[1]), 1, "once");
        assert_eq!(answer("error", &ids[2]), 2);
    }
}
