//! Streams of a session: one is managed, one is lost and the session waits,
//! another takes over (XEP-0198 §3, §5). The words of the protocol are the
//! edge's; what is unacknowledged is in `ring`.

use std::sync::Arc;
use std::time::Duration;

use smol_str::{SmolStr, format_smolstr};
use starling_link::{
    Attach, Close, Detached, Enable, Ledger, Management, Resume, ResumeError, Resumed, Resumption,
    SessionId, SessionKey, is_ahead,
};
use tokio::sync::oneshot;

use crate::account::Lasting;
use crate::effects::Effect;
use crate::ring::Unresumable;
use crate::work::Alarm;
use crate::{Ctx, Event, ended, metrics, pipeline, returned};

/// Hexadecimal digits of the number of a session, and of the secret after it.
const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 32;

/// How long a client waits for its session to catch up with what it sent on
/// earlier streams. What keeps it is a store that does not answer; its edge asks
/// no longer than twice that.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Stream management of one session.
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    /// The number of the client's last stanza before.
    pub(crate) received: u32,
    /// How it comes back, if it may.
    pub(crate) resumable: Option<Resumable>,
}

/// The right to resume a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumable {
    pub(crate) secret: u128,
    pub(crate) timeout: Duration,
}

impl Managed {
    /// What a client of an account gets of what it asks for.
    pub(crate) fn grant(ctx: &Ctx, request: Enable, received: u32) -> Self {
        let timeout_max = ctx.env.config.resume_timeout;
        let timeout = request.max.unwrap_or(timeout_max).min(timeout_max);
        // Nobody can log in to an anonymous account again.
        let can_return = ctx.account.lasting == Lasting::Stored;
        let is_granted = request.wants_resume && can_return && !timeout.is_zero();
        Self {
            received,
            resumable: is_granted.then(|| Resumable {
                secret: rand::random(),
                timeout,
            }),
        }
    }

    /// What the client is told.
    pub(crate) fn resumption(&self, id: SessionId) -> Option<Resumption> {
        self.resumable.map(|resumable| Resumption {
            token: token(id, resumable.secret),
            timeout: resumable.timeout,
        })
    }

    /// How many stanzas are dealt with, as the client counts them: none while
    /// those from before it began to are not.
    pub(crate) fn count(&self, ledger: &Ledger) -> u32 {
        let committed = ledger.committed();
        match is_ahead(self.received, committed) {
            true => 0,
            false => committed.wrapping_sub(self.received),
        }
    }

    /// Whether somebody who knows this may have the session.
    pub(crate) fn is_opened_by(&self, secret: u128) -> bool {
        // One comparison of a machine's words tells nothing by its time.
        self.resumable.is_some_and(|of| of.secret ^ secret == 0)
    }
}

fn token(id: SessionId, secret: u128) -> SmolStr {
    format_smolstr!("{:0ID_DIGITS$x}{secret:0SECRET_DIGITS$x}", id.0)
}

fn parse_token(token: &str) -> Option<(SessionId, u128)> {
    if token.len() != ID_DIGITS + SECRET_DIGITS || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let (id, secret) = token.split_at(ID_DIGITS);
    let id = u64::from_str_radix(id, 16).ok()?;
    Some((SessionId(id), u128::from_str_radix(secret, 16).ok()?))
}

/// A bound client asks for stream management.
pub(crate) fn enable(ctx: &mut Ctx, id: SessionId, received: u32, request: Enable) {
    let managed = Managed::grant(ctx, request, received);
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    if session.managed.is_some() {
        return; // Once (§3): its edge has said so.
    }
    let resumption = managed.resumption(id);
    session.managed = Some(Box::new(managed));
    let ring = Arc::clone(&session.ring);
    ctx.effects.releases.push(Effect::Enable {
        ring,
        received,
        resumption,
    });
}

/// The client has everything up to a number.
pub(crate) fn acked(ctx: &mut Ctx, id: SessionId, number: u32) {
    let Some(session) = ctx.account.session(id) else {
        return;
    };
    let acked = session.ring.acked(number);
    if acked.has_moved {
        returned::note_delivered(ctx);
    }
    if acked.is_awaited {
        pipeline::fire(ctx, id, &Event::Drained);
    }
}

/// A stream has ended. §7: without a word, and where that was granted, the
/// session waits for its client; everybody else still sees it.
pub(crate) fn detach(ctx: &mut Ctx, id: SessionId, how: Detached) {
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    let resumable = session.managed.as_ref().and_then(|of| of.resumable);
    match resumable {
        Some(resumable) if how == Detached::Lost && session.ring.is_open() => {
            hibernate(ctx, id, resumable.timeout);
        }
        _ => returned::over(ctx, id, how),
    }
}

/// A session is without a stream for so long at most.
fn hibernate(ctx: &mut Ctx, id: SessionId, timeout: Duration) {
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    let was_hibernating = std::mem::replace(&mut session.is_hibernating, true);
    session.ring.detach();
    session.ledger.detach();
    let attach = session.attach;
    let alarm = Alarm::Expired { id, attach };
    ctx.effects.alarms.push((timeout, alarm));
    if !was_hibernating {
        pipeline::fire(ctx, id, &Event::Hibernated);
        returned::write_delivered(ctx);
    }
    ended::note(ctx, id);
    let count = Effect::Tell(Box::new(metrics::stream_lost));
    ctx.effects.releases.push(count);
    if is_behind(ctx, id) {
        tell_when_caught_up(ctx, id);
    }
}

/// Has `caught_up` called once all that the client sent is dealt with.
fn tell_when_caught_up(ctx: &mut Ctx, id: SessionId) {
    let account = ctx.account.jid.clone();
    if let Some(session) = ctx.account.session(id) {
        let (attach, ledger) = (session.attach, Arc::clone(&session.ledger));
        let key = SessionKey { account, id };
        ctx.effects.releases.push(Effect::WhenCaughtUp {
            key,
            ledger,
            attach,
        });
    }
}

/// The client of a session has not come back in time.
pub(crate) fn expired(ctx: &mut Ctx, id: SessionId, attach: Attach) {
    let session = ctx.account.session(id);
    if session.is_some_and(|session| session.is_hibernating && session.attach == attach) {
        returned::over(ctx, id, Detached::Lost);
    }
}

/// A client that waits for its session.
pub(crate) struct Returning {
    request: Resume,
    answer: oneshot::Sender<Result<Resumed, ResumeError>>,
}

/// Gives a session its client back, or says why not.
pub(crate) fn resume(
    ctx: &mut Ctx,
    request: Resume,
    answer: oneshot::Sender<Result<Resumed, ResumeError>>,
) {
    let resumed = match find(ctx, &request) {
        Ok(id) if is_behind(ctx, id) => return wait(ctx, id, Returning { request, answer }),
        Ok(id) => attach(ctx, id, request),
        Err(why) => Err(why),
    };
    let resumed = resumed.map(|(resumed, is_awaited)| {
        let id = resumed.session;
        // XEP-0352 §5.2: it counts as active until it says otherwise.
        ctx.hold(id, None);
        pipeline::fire(ctx, id, &Event::Resumed);
        if is_awaited {
            pipeline::fire(ctx, id, &Event::Drained);
        }
        resumed
    });
    tell(ctx, answer, resumed);
}

fn tell(
    ctx: &mut Ctx,
    answer: oneshot::Sender<Result<Resumed, ResumeError>>,
    resumed: Result<Resumed, ResumeError>,
) {
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        let _ = answer.send(resumed);
    })));
}

/// Whether something that the client sent is not dealt with, so that it may or
/// may not send it again.
fn is_behind(ctx: &Ctx, id: SessionId) -> bool {
    let session = ctx.account.session(id);
    session.is_some_and(|session| {
        session.ring.is_open() && session.ledger.committed() != session.ledger.received()
    })
}

/// §5 leaves it to the client whether it sends again what it was not told of,
/// and numbers do not tell whether it does. So it is told of everything: its
/// session leaves the stream before, takes nothing more from it, and waits
/// until all that came is dealt with.
fn wait(ctx: &mut Ctx, id: SessionId, returning: Returning) {
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    let resumable = session.managed.as_ref().and_then(|of| of.resumable);
    let Some(resumable) = resumable else {
        return;
    };
    session.attach = session.attach.next();
    // Whoever waited before is told that it is in vain, by its answer's end.
    session.returning = Some(Box::new(returning));
    let attach = session.attach;
    if let Some(before) = session.ring.detach() {
        before.close(Close::Conflict);
    }
    hibernate(ctx, id, resumable.timeout);
    let overdue = Alarm::Overdue { id, attach };
    ctx.effects.alarms.push((CATCH_UP_TIMEOUT, overdue));
    tell_when_caught_up(ctx, id);
}

/// A session has caught up with its client, who gets it now if it waits.
pub(crate) fn caught_up(ctx: &mut Ctx, id: SessionId, attach: Attach) {
    if let Some(Returning { request, answer }) = take_returning(ctx, id, attach) {
        return resume(ctx, request, answer);
    }
    let session = ctx.account.session(id);
    if session.is_some_and(|session| session.is_hibernating && session.attach == attach) {
        ended::note(ctx, id);
    }
}

/// It takes too long: the client may try again.
pub(crate) fn overdue(ctx: &mut Ctx, id: SessionId, attach: Attach) {
    if let Some(Returning { answer, .. }) = take_returning(ctx, id, attach) {
        let why = ResumeError::Link(starling_link::Error::Unavailable);
        tell(ctx, answer, Err(why));
    }
}

fn take_returning(ctx: &mut Ctx, id: SessionId, attach: Attach) -> Option<Returning> {
    let session = ctx.account.session_mut(id)?;
    let returning = session.returning.take_if(|_| session.attach == attach);
    returning.map(|returning| *returning)
}

/// The session that a client asks for.
fn find(ctx: &Ctx, request: &Resume) -> Result<SessionId, ResumeError> {
    let account = &ctx.account;
    let basis = request.basis;
    if account.is_disabled || basis.is_some_and(|basis| basis != account.fingerprint) {
        return Err(ResumeError::Stale);
    }
    let unknown = ResumeError::Unknown { h: None };
    let (id, secret) = parse_token(&request.token).ok_or(unknown)?;
    let managed = account.session(id).and_then(|of| of.managed.as_deref());
    match managed {
        Some(managed) if managed.is_opened_by(secret) => Ok(id),
        _ => Err(ResumeError::Unknown {
            h: account
                .committed_of_ended(id, secret)
                .or_else(|| ended::count(account, id)),
        }),
    }
}

/// Also says whether the client turned out to have all that was awaited.
fn attach(ctx: &mut Ctx, id: SessionId, request: Resume) -> Result<(Resumed, bool), ResumeError> {
    let h = request.h;
    let unknown = ResumeError::Unknown { h: None };
    let session = ctx.account.session_mut(id).ok_or(unknown.clone())?;
    let managed = session.managed.as_deref().cloned().ok_or(unknown)?;
    let outlet = Arc::clone(&request.outlet);
    let continued = match session.ring.resume(h, request.outlet) {
        Ok(continued) => continued,
        Err(Unresumable::TooHigh { sent }) => return Err(ResumeError::TooHigh { h, sent }),
        Err(Unresumable::Forgotten) => {
            // It is as good as over: its client binds another, and what it
            // lacks must not wait for this one to expire.
            let h = managed.count(&session.ledger);
            returned::end(ctx, id, Close::Conflict);
            return Err(ResumeError::Unknown { h: Some(h) });
        }
    };
    session.attach = session.attach.next();
    session.brought = None;
    session.is_hibernating = false;
    // Its edge knows nothing of it yet.
    session.summary = 0;
    session.client = request.client;
    let resumed = Resumed {
        session: id,
        attach: session.attach,
        jid: session.jid.clone(),
        committed: session.ledger.attach(outlet),
        acked: continued.acked,
        management: Management {
            received: managed.received,
            sent: continued.base,
            resumption: managed.resumption(id),
        },
    };
    ended::forget(ctx, id);
    // Its new edge does not know what the client had before, and could not say so
    // to the next owner of the account: that is stored before it hears of this.
    returned::write_delivered(ctx);
    Ok((resumed, continued.is_awaited))
}
