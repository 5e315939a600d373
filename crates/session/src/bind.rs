//! RFC 6120 §7: an authenticated stream gets its resource and becomes a session.

use std::collections::VecDeque;
use std::sync::Arc;

use starling_link::{
    Attach, Bind, BindError, Bound, Close, ConflictPolicy, Ledger, Management, SessionId,
    SessionKey,
};
use starling_xmpp::Jid;
use tokio::sync::oneshot;

use crate::account::Lasting;
use crate::effects::Effect;
use crate::management::Managed;
use crate::pending::Pending;
use crate::presence::Addressees;
use crate::ring::Ring;
use crate::{Ctx, Event, Session, Slots, iq, pipeline, returned};

/// Binds, or says why not. The answer leaves with the effects, so that a
/// session that had to make way is told before the new one begins.
pub(crate) fn bind(
    ctx: &mut Ctx,
    request: Bind,
    answer: oneshot::Sender<Result<Bound, BindError>>,
) {
    match admit(ctx, &request).and_then(|()| choose(ctx, &request)) {
        Ok(jid) => {
            let bound = Bound {
                // Random, so that no session of an earlier or another node has it.
                session: SessionId(rand::random()),
                jid,
                at: ctx.now(),
                management: None,
                inline: Vec::new(),
            };
            ctx.binding = Some(Box::new(Binding { bound, answer }));
            open(ctx, request);
        }
        Err(why) => ctx.effects.releases.push(Effect::Tell(Box::new(move || {
            let _ = answer.send(Err(why));
        }))),
    }
}

/// A session that is bound, until features have done what goes with it.
pub(crate) struct Binding {
    pub(crate) bound: Bound,
    answer: oneshot::Sender<Result<Bound, BindError>>,
}

/// Tells that a session was bound.
pub(crate) fn tell(ctx: &mut Ctx) {
    if let Some(binding) = ctx.binding.take() {
        let Binding { bound, answer } = *binding;
        ctx.effects.releases.push(Effect::Tell(Box::new(move || {
            let _ = answer.send(Ok(bound));
        })));
    }
}

fn admit(ctx: &Ctx, request: &Bind) -> Result<(), BindError> {
    let is_known = match ctx.account.lasting {
        Lasting::Stored => !request.is_anonymous,
        Lasting::Session => request.is_anonymous,
        Lasting::Host => false,
    };
    if !is_known || ctx.account.is_disabled {
        return Err(BindError::NoAccount);
    }
    if request
        .basis
        .is_some_and(|basis| basis != ctx.account.fingerprint)
    {
        return Err(BindError::Stale);
    }
    let is_replacing = request.conflict == ConflictPolicy::Replace
        && wanted(ctx, request)
            .is_ok_and(|jid| jid.is_some_and(|jid| ctx.account.session_by_jid(&jid).is_some()));
    // The older session of the same user agent makes way, too.
    let is_returning = same_agent(ctx, request).is_some();
    let is_in_place = is_replacing || is_returning;
    let is_full = ctx.account.sessions.len() >= ctx.env.config.sessions_per_account_max;
    if is_full && !is_in_place && waiting(ctx).is_none() {
        return Err(BindError::TooManySessions);
    }
    Ok(())
}

/// The full JID that the client asks for.
fn wanted(ctx: &Ctx, request: &Bind) -> Result<Option<Jid>, BindError> {
    let with = |resource: &str| ctx.account.jid.with_resource(resource);
    match &request.resource {
        Some(resource) => with(resource).map(Some).map_err(|_| BindError::BadResource),
        None => Ok(None),
    }
}

/// RFC 6120 §7.7.2.2: the full JID it gets.
fn choose(ctx: &mut Ctx, request: &Bind) -> Result<Jid, BindError> {
    let Some(jid) = wanted(ctx, request)? else {
        return made(ctx, request);
    };
    let Some(older) = ctx.account.session_by_jid(&jid).map(|session| session.id) else {
        return Ok(jid);
    };
    // One whose client is gone is in nobody's way: most likely it is this one.
    let is_waiting = ctx
        .account
        .session(older)
        .is_some_and(Session::is_hibernating);
    match request.conflict {
        _ if is_waiting => {
            returned::end(ctx, older, Close::Conflict);
            Ok(jid)
        }
        ConflictPolicy::Replace => {
            returned::end(ctx, older, Close::Conflict);
            Ok(jid)
        }
        ConflictPolicy::Rename => made(ctx, request),
        ConflictPolicy::Refuse => Err(BindError::Conflict),
    }
}

/// A resource that the server makes: nobody can guess it, and a user agent that
/// comes back has the one it had (XEP-0386 §3.2.1).
fn made(ctx: &mut Ctx, request: &Bind) -> Result<Jid, BindError> {
    let account = &ctx.account.jid;
    let word = match &request.client.user_agent_id {
        Some(agent) => {
            let texts = [agent.as_str(), request.tag.as_deref().unwrap_or_default()];
            ctx.env.entry_ids.word_of(account, &texts)
        }
        None => iq::random_text().to_string(),
    };
    let resource = match &request.tag {
        Some(tag) => format!("{tag}/{word}"),
        None => word,
    };
    let jid = account
        .with_resource(&resource)
        .map_err(|_| BindError::BadResource)?;
    if let Some(older) = ctx.account.session_by_jid(&jid).map(|session| session.id) {
        returned::end(ctx, older, Close::Conflict);
    }
    Ok(jid)
}

fn open(ctx: &mut Ctx, request: Bind) {
    let Some(Bound {
        session, jid, at, ..
    }) = ctx.binding.as_ref().map(|binding| binding.bound.clone())
    else {
        return;
    };
    // XEP-0388 §2.2, XEP-0386 §3.2: a user agent that comes back takes the
    // place of its own older session, whatever that one's resource.
    let older = same_agent(ctx, &request);
    if let Some(older) = older {
        returned::end(ctx, older, Close::Conflict);
    }
    if ctx.account.sessions.len() >= ctx.env.config.sessions_per_account_max
        && let Some(older) = waiting(ctx)
    {
        returned::end(ctx, older, Close::Conflict);
    }
    let config = &ctx.env.config;
    let bounds = (
        config.unacknowledged_stanzas_max,
        config.unacknowledged_bytes_max,
    );
    let managed = request.management;
    let managed = managed.map(|request| Managed::grant(ctx, request, 0));
    if let (Some(managed), Some(binding)) = (&managed, &mut ctx.binding) {
        binding.bound.management = Some(Management {
            received: 0,
            sent: 0,
            resumption: managed.resumption(session),
        });
    }
    let key = SessionKey {
        account: ctx.account.jid.clone(),
        id: session,
    };
    ctx.account.add_session(Session {
        id: session,
        jid,
        client: request.client,
        since: at,
        ledger: Ledger::new(Arc::clone(&request.outlet)),
        attach: Attach::default(),
        is_hibernating: false,
        returning: None,
        ring: Ring::new(key, request.outlet, managed.is_some(), bounds),
        managed: managed.map(Box::new),
        presence: None,
        priority: 0,
        is_interested: false,
        directed: Addressees::default(),
        requests: VecDeque::new(),
        pending: Pending::default(),
        slots: Slots::default(),
        is_touched: true,
        summary: 0,
        stored: Vec::new(),
        brought: None,
        said_before: None,
    });
    let inline = &request.inline;
    pipeline::fire(ctx, session, &Event::Bound { inline });
}

/// The oldest session whose client is gone: where there are too many, a client
/// that is there goes before one that may come back.
fn waiting(ctx: &Ctx) -> Option<SessionId> {
    let mut sessions = ctx.account.sessions.iter();
    let waiting = sessions.find(|session| session.is_hibernating());
    waiting.map(|session| session.id)
}

/// The older session of the user agent that asks.
fn same_agent(ctx: &Ctx, request: &Bind) -> Option<SessionId> {
    let agent = request.client.user_agent_id.as_ref()?;
    let mut sessions = ctx.account.sessions.iter();
    sessions
        .find(|session| session.client.user_agent_id.as_ref() == Some(agent))
        .map(|session| session.id)
}

#[cfg(test)]
mod tests;
