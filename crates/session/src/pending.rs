//! Requests of a client that went on to somebody else and are not answered.
//!
//! RFC 6120 §8.2.3 promises an answer to each. Requests and answers are in no
//! log: what a node had of them is gone with it, and the client would wait for
//! ever. So its session knows what it waits for, and looks now and then whether
//! whoever serves the one asked, or the session itself, has changed since. If
//! no answer has come some time after that, the client hears that the one asked
//! is not to be had. Where nobody died, nobody is hurried: an answer may take as
//! long as it takes. One that comes after all is passed on like any other.

use std::collections::VecDeque;
use std::time::Duration;

use smol_str::SmolStr;
use starling_link::SessionId;
use starling_store::codec::{Decoder, Encoder, Malformed};
use starling_xmpp::stanza::{Kind, Type};
use starling_xmpp::{Condition, Jid, Stanza, StanzaError};

use crate::Ctx;
use crate::hosts::Served;
use crate::work::Alarm;

/// How often is looked. A request whose answer cannot come has one after two of
/// these at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Requests of one session that are known; the oldest is forgotten first.
const REQUESTS_MAX: usize = 64;

/// Bytes of them that go along to a new owner.
const NOTE_BYTES_MAX: usize = 512;

/// The layout of what goes along.
const VERSION: u8 = 1;

/// Under which epoch nobody serves anything.
const MOVED: u32 = 0;

/// What a client waits for, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    requests: VecDeque<Request>,
    /// Somebody will look.
    is_watched: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    id: SmolStr,
    to: Jid,
    /// Under which the one asked was served.
    epoch: u32,
    /// That has changed, and the answer is awaited for a last time.
    is_late: bool,
}

/// A client has sent a request to somebody else.
pub(crate) fn note(ctx: &mut Ctx, stanza: &Stanza) {
    // Alone, a node takes whoever asks with it.
    if ctx.env.fence.is_none() || !stanza.head.type_.is_request() {
        return;
    }
    let (Some(id), Some(to)) = (stanza.head.id.clone(), stanza.head.to.clone()) else {
        return;
    };
    let Some(epoch) = epoch_of(ctx, &to) else {
        return;
    };
    let Some(session) = ctx.session_mut() else {
        return;
    };
    session.pending.add(Request {
        id,
        to,
        epoch,
        is_late: false,
    });
    let id = session.id;
    watch(ctx, id);
}

/// A client is about to get this.
pub(crate) fn answered(ctx: &mut Ctx, id: SessionId, answer: &Stanza) {
    let is_answer = answer.head.kind == Kind::Iq && !answer.head.type_.is_request();
    let is_awaited = |ctx: &Ctx| {
        let session = ctx.account.session(id);
        session.is_some_and(|session| !session.pending.requests.is_empty())
    };
    if is_answer
        && is_awaited(ctx)
        && let Some(session) = ctx.account.session_mut(id)
    {
        session.pending.take(answer);
    }
}

/// It is time to look.
pub(crate) fn look(ctx: &mut Ctx, id: SessionId) {
    let Some(session) = ctx.account.session_mut(id) else {
        return;
    };
    let mut pending = std::mem::take(&mut session.pending);
    let jid = session.jid.clone();
    for Request { id: number, to, .. } in pending.look(|to| epoch_of(ctx, to)) {
        let request = Stanza::iq(Type::Get, number).from(jid.clone()).to(to);
        let error = StanzaError::new(Condition::RecipientUnavailable)
            .text("who was asked is served elsewhere now, and no answer came; ask again");
        if let Some(answer) = request.error(&error) {
            ctx.deliver(id, answer);
        }
    }
    if let Some(session) = ctx.account.session_mut(id) {
        session.pending = pending;
    }
    watch(ctx, id);
}

/// Requests of a session that was brought here: what was on its way to it may
/// be gone with the node that it was at.
pub(crate) fn recall(ctx: &mut Ctx, id: SessionId, note: &[u8]) {
    match Pending::read(note) {
        Ok(pending) => {
            if let Some(session) = ctx.account.session_mut(id) {
                session.pending = pending;
            }
            watch(ctx, id);
        }
        Err(why) => tracing::warn!(why = why.0, "what a client waits for cannot be read"),
    }
}

fn watch(ctx: &mut Ctx, id: SessionId) {
    let session = ctx.account.session_mut(id);
    if session.is_some_and(|session| session.pending.is_to_be_watched()) {
        ctx.effects
            .alarms
            .push((LOOK_EVERY, Alarm::Unanswered { id }));
    }
}

/// Under which an account of this service is served at the moment.
fn epoch_of(ctx: &Ctx, to: &Jid) -> Option<u32> {
    let hosts = ctx.env.hosts.load();
    match hosts.served(to.domain()) {
        Some(Served::Host(_)) => {
            let shard = ctx.env.placement.shard_of(&to.to_bare());
            ctx.env.membership.owner(shard).map(|owner| owner.epoch.0)
        }
        Some(Served::Component(_)) | None => None,
    }
}

impl Pending {
    fn add(&mut self, request: Request) {
        if self.requests.len() >= REQUESTS_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    /// RFC 6120 §8.1.3: an answer has the id, and comes from who was asked.
    fn take(&mut self, answer: &Stanza) {
        let (id, from) = (answer.head.id.as_ref(), answer.head.from.as_ref());
        let mut requests = self.requests.iter();
        let is_it = |request: &Request| Some(&request.id) == id && Some(&request.to) == from;
        if let Some(place) = requests.position(is_it) {
            self.requests.remove(place);
        }
        if self.requests.is_empty() {
            // Most clients wait for nothing most of the time.
            self.requests = VecDeque::new();
        }
    }

    /// Takes out those whose answers are not waited for any longer.
    fn look(&mut self, epoch_of: impl Fn(&Jid) -> Option<u32>) -> Vec<Request> {
        self.is_watched = false;
        let requests = std::mem::take(&mut self.requests).into_iter();
        let (given_up, left): (Vec<_>, _) = requests.partition(|request| request.is_late);
        self.requests = left.into();
        for request in &mut self.requests {
            // While nobody serves the one asked, the link keeps the request.
            let now = epoch_of(&request.to);
            request.is_late = now.is_some_and(|now| now != request.epoch);
        }
        given_up
    }

    fn is_to_be_watched(&mut self) -> bool {
        !self.requests.is_empty() && !std::mem::replace(&mut self.is_watched, true)
    }

    /// For a new owner of the session: the latest that fit; nothing if there are
    /// none.
    pub(crate) fn written(&self) -> Option<Vec<u8>> {
        let mut left = NOTE_BYTES_MAX;
        let latest = self.requests.iter().rev().take_while(|request| {
            let bytes = request.id.len() + request.to.as_str().len() + 4;
            let has_room = bytes <= left;
            left = left.saturating_sub(bytes);
            has_room
        });
        let skipped = self.requests.len() - latest.count();
        let fitting: Vec<_> = self.requests.iter().skip(skipped).collect();
        (!fitting.is_empty()).then(|| {
            let mut out = Encoder::new(VERSION, NOTE_BYTES_MAX);
            out.list(fitting.iter(), |out, request| {
                out.text(&request.id).text(request.to.as_str());
            });
            out.finish()
        })
    }

    fn read(note: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(note, VERSION)?;
        let requests = from.list(|from| {
            Ok(Request {
                id: from.text()?.into(),
                to: from.jid()?,
                epoch: MOVED,
                is_late: false,
            })
        })?;
        from.finish()?;
        Ok(Self {
            requests: requests.into(),
            is_watched: false,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;
    use crate::testing::parse;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn request(id: &str, to: &str) -> Request {
        Request {
            id: id.into(),
            to: jid(to),
            epoch: 7,
            is_late: false,
        }
    }

    fn pending(requests: impl IntoIterator<Item = Request>) -> Pending {
        let mut pending = Pending::default();
        requests.into_iter().for_each(|one| pending.add(one));
        pending
    }

    fn ids(requests: &[Request]) -> Vec<&str> {
        requests.iter().map(|request| request.id.as_str()).collect()
    }

    #[test]
    fn nobody_is_hurried_while_nobody_died() {
        let mut pending = pending([request("1", "romeo@example.com/orchard")]);
        for _ in 0..10 {
            assert_eq!(pending.look(|_| Some(7)), []);
            assert_eq!(pending.look(|_| None), [], "it is kept for whoever comes");
        }
    }

    #[test]
    fn what_a_dead_node_had_is_given_up_after_a_second_look() {
        let of = ["romeo@example.com/orchard", "nurse@example.com/keys"];
        let mut pending = pending([request("1", of[0]), request("2", of[1])]);
        let romeo_moved = |to: &Jid| Some(if *to == jid(of[0]) { 8 } else { 7 });
        assert_eq!(pending.look(romeo_moved), []);
        assert_eq!(ids(&pending.look(romeo_moved)), ["1"]);
        assert_eq!(pending.look(romeo_moved), []);
    }

    /// RFC 6120 §8.1.3.
    #[test]
    fn an_answer_is_by_whoever_was_asked() {
        let mut pending = pending([request("1", "romeo@example.com/orchard")]);
        let mut comes = |type_: &str, from: &str| {
            let answer = format!("<iq type='{type_}' id='1' from='{from}'/>");
            pending.take(&parse(&answer));
            pending.requests.len()
        };
        assert_eq!(comes("result", "tybalt@example.com/sword"), 1);
        assert_eq!(comes("error", "romeo@example.com/orchard"), 0);
    }

    #[test]
    fn requests_go_along_to_a_new_owner_and_are_doubtful_there() {
        let before = pending([request("1", "romeo@example.com/orchard")]);
        let mut after = Pending::read(&before.written().unwrap()).unwrap();
        assert!(after.is_to_be_watched() && !after.is_to_be_watched());
        assert_eq!(after.look(|_| Some(7)), []);
        assert_eq!(ids(&after.look(|_| Some(7))), ["1"]);
        assert!(Pending::default().written().is_none());
    }

    #[test]
    fn what_is_known_is_bounded() {
        let many = (0..1_000).map(|number| request(&number.to_string(), "romeo@example.com/o"));
        let pending = pending(many);
        assert_eq!(pending.requests.len(), REQUESTS_MAX);
        let note = pending.written().unwrap();
        assert!(note.len() <= NOTE_BYTES_MAX, "{}", note.len());
        let after = Pending::read(&note).unwrap();
        assert_eq!(after.requests.back().unwrap().id, "999");
    }
}
