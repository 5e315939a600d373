//! The phases a stanza goes through at an account.
//!
//! | phase | may | comes before the next because |
//! | --- | --- | --- |
//! | `Admit` | refuse | nothing is spent on what is over a limit |
//! | `Guard` | refuse, drop | nothing is kept of what may not pass |
//! | `Stamp` | change the stanza | what is stored is what is delivered |
//! | `Archive` | write | copies carry the id of the stored one |
//! | `Copy` | send copies | a copy and the original leave together |
//! | `Deliver` | redirect | those told later are told the truth |
//! | `Notify` | tell others | – |
//!
//! Features within one phase must commute.

use starling_link::SessionId;
use starling_xmpp::stanza::Kind;
use starling_xmpp::{Stanza, StanzaError};

use crate::registry::FeatureId;
use crate::{Ctx, Env, Event, Feature, Outcome, Phase, Side};

/// What the phases decided.
pub(crate) enum Verdict {
    /// The stanza goes on.
    Pass,
    /// It has been dealt with.
    Done,
    /// It is refused.
    Reject(StanzaError),
}

/// Takes a stanza through some phases of one side.
pub(crate) fn run(
    ctx: &mut Ctx,
    stanza: &mut Stanza,
    side: Side,
    phases: impl IntoIterator<Item = Phase>,
) -> Verdict {
    let env = std::sync::Arc::clone(&ctx.env);
    ctx.set_side(side);
    for phase in phases {
        for &id in env.registry.passing(stanza.head.kind, side, phase) {
            ctx.feature = id;
            let feature = env.registry.feature(id);
            let outcome = match stanza.head.kind {
                Kind::Message => feature.message(phase, stanza, ctx),
                Kind::Presence => feature.presence(phase, stanza, ctx),
                Kind::Iq => feature.passing_iq(phase, stanza, ctx),
            };
            match outcome {
                Outcome::Pass => {}
                Outcome::Done => return Verdict::Done,
                Outcome::Skip(reason) => tell_skipped(ctx, feature, phase, &reason),
                Outcome::Reject(error) => return Verdict::Reject(error),
            }
        }
        if phase == Phase::Archive {
            ctx.append_kept(stanza);
        }
    }
    Verdict::Pass
}

/// Tells every feature that asked for it what happened to a session.
pub(crate) fn fire(ctx: &mut Ctx, session: SessionId, event: &Event<'_>) {
    let env = std::sync::Arc::clone(&ctx.env);
    for &id in env.registry.event(event.kind()) {
        ctx.feature = id;
        env.registry.feature(id).event(event, session, ctx);
    }
}

/// The feature with this number, for a handler that outlives the borrow of `ctx`.
pub(crate) fn feature(env: &Env, id: FeatureId) -> &dyn Feature {
    env.registry.feature(id)
}

fn tell_skipped(ctx: &Ctx, feature: &dyn Feature, phase: Phase, reason: &str) {
    tracing::debug!(
        account = %ctx.account.jid,
        feature = ?feature.manifest().spec,
        ?phase,
        reason,
        "skipped"
    );
}
