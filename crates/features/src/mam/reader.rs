//! A client that reads its archive: one page after the other, at its pace; and
//! how far it finds there what was said, so that it need not be told again
//! (XEP-0313 §6.1.1, XEP-0386 §3.2).
//!
//! Clients send queries without waiting for answers. Each page must fit a
//! client's queue, and all of them together would not: the next is read when
//! the client has the one before.

use std::collections::VecDeque;

use starling_session::{Ctx, Session, SessionId};
use starling_store::Position;
use starling_store::codec::{Decoder, Encoder, Malformed};
use starling_xmpp::{Condition, Element, Stanza, StanzaError, Type, ns};

use super::query::{self, Request};
use super::{Retention, page};

/// Queries of one session that wait for their turn.
const WAITING_QUERIES_MAX: usize = 32;

/// Octets of the ids in one query: they are kept while it waits, and one of
/// them is in every result.
const IDS_BYTES_MAX: usize = 1_024;

/// The layout of what goes along to another node.
const NOTE_VERSION: u8 = 1;

/// Octets of ids of waiting queries in it.
const NOTE_IDS_BYTES_MAX: usize = 256;

/// In the slots of a session.
#[derive(Default)]
struct Reader {
    /// What is archived up to here, its client finds in the archive.
    finds_until: Option<Position>,
    /// It was bound by Bind 2 and is to be told where the archive ends.
    is_new: bool,
    /// A page is on its way to it.
    is_busy: bool,
    /// Queries that wait until it has that.
    waiting: VecDeque<Asked>,
}

/// A query that waits.
struct Asked {
    /// The request without what was in it: enough to answer.
    iq: Stanza,
    request: Request,
}

/// Up to which entry a session finds in the archive what is in it.
pub(crate) fn finds_until(session: &Session) -> Option<Position> {
    session.slots.get::<Reader>()?.finds_until
}

/// XEP-0386 §3.2: whether a session is bound that way, by what it asks for.
pub(crate) fn is_bind2(inline: &[Element]) -> bool {
    inline.iter().any(|asked| asked.is(ns::BIND2, "bind"))
}

/// A session was bound by Bind 2: what was said before, it finds in the
/// archive; what is said from now on, it gets.
pub(super) fn begin(session: SessionId, ctx: &mut Ctx) {
    let finds_until = Some(ctx.account.last_position());
    if let Some(found) = ctx.account.session_mut(session) {
        found.slots.set(Reader {
            finds_until,
            is_new: true,
            ..Reader::default()
        });
    }
}

/// XEP-0386 §3.2.2: tells a session that was just bound where the archive
/// begins and ends; `false` if this one was not.
pub(super) async fn tell_metadata(
    session: SessionId,
    retention: &Retention,
    ctx: &mut Ctx,
) -> bool {
    let reader = of(session, ctx).filter(|reader| reader.is_new);
    if reader.map(|reader| reader.is_new = false).is_none() {
        return false;
    }
    // It is no reason not to bind: the client can ask again.
    if let Ok(metadata) = page::metadata(retention, ctx).await {
        ctx.answer_inline(metadata);
    }
    true
}

/// Answers a query, now or when its turn comes.
pub(super) async fn ask(
    iq: &Stanza,
    asked: &Element,
    retention: &Retention,
    ctx: &mut Ctx,
) -> Result<(), StanzaError> {
    let Some(session) = ctx.session().map(|session| session.id) else {
        return Err(StanzaError::new(Condition::ServiceUnavailable));
    };
    let (ids, owner) = (&ctx.env().entry_ids, &ctx.account.jid);
    let request = query::read(asked, |id| ids.position_of(owner, id))?;
    let kept = [request.query_id.as_deref(), iq.head.id.as_deref()];
    if kept.iter().flatten().map(|id| id.len()).sum::<usize>() > IDS_BYTES_MAX {
        let long = StanzaError::new(Condition::ResourceConstraint);
        return Err(long.text(format!(
            "the ids of a query have at most {IDS_BYTES_MAX} bytes"
        )));
    }
    let asked = Asked {
        iq: Stanza::of_head(iq.head.clone()),
        request,
    };
    match of(session, ctx).filter(|reader| reader.is_busy) {
        None => answer(asked, session, retention, ctx).await,
        Some(reader) if reader.waiting.len() < WAITING_QUERIES_MAX => {
            reader.waiting.push_back(asked);
            Ok(())
        }
        Some(_) => Err(StanzaError::new(Condition::ResourceConstraint)
            .text("too many queries wait; read the answers first")),
    }
}

/// Whether a session that had a page on its way has it.
pub(super) fn is_free_now(session: SessionId, ctx: &mut Ctx) -> bool {
    let reader = of(session, ctx).filter(|reader| reader.is_busy);
    reader.is_some_and(|reader| {
        reader.is_busy = false;
        // Nobody needs the room until it asks again.
        let is_waiting = !reader.waiting.is_empty();
        if !is_waiting {
            reader.waiting = VecDeque::new();
        }
        is_waiting
    })
}

/// Answers what waits, up to the next page.
pub(super) async fn go_on(session: SessionId, retention: &Retention, ctx: &mut Ctx) {
    loop {
        let reader = of(session, ctx).filter(|reader| !reader.is_busy);
        let Some(asked) = reader.and_then(|reader| reader.waiting.pop_front()) else {
            return;
        };
        let iq = asked.iq.clone();
        if let Err(error) = answer(asked, session, retention, ctx).await
            && let Some(refusal) = iq.error(&error)
        {
            ctx.send(refusal.from(ctx.account.jid.clone()));
        }
    }
}

async fn answer(
    asked: Asked,
    session: SessionId,
    retention: &Retention,
    ctx: &mut Ctx,
) -> Result<(), StanzaError> {
    let Asked { iq, request } = asked;
    let end = ctx.account.last_position();
    let page::Answer { fin, results } = page::answer(&request, session, retention, ctx).await?;
    ctx.send(iq.result_with(&fin));
    if results == 0 && !request.reads_to_the_end() {
        return Ok(());
    }
    if results > 0 {
        ctx.report_drained(session);
    }
    let account = &mut ctx.account;
    if let Some(found) = account.session_mut(session) {
        if found.slots.get::<Reader>().is_none() {
            found.slots.set(Reader::default());
        }
        if let Some(reader) = found.slots.get_mut::<Reader>() {
            reader.is_busy = results > 0;
            if request.reads_to_the_end() {
                reader.finds_until = reader.finds_until.max(Some(end));
            }
        }
    }
    Ok(())
}

fn of(session: SessionId, ctx: &mut Ctx) -> Option<&mut Reader> {
    ctx.account.session_mut(session)?.slots.get_mut::<Reader>()
}

/// For the next owner of the account: how far the client finds in the archive
/// what was said, and which of its queries wait.
pub(super) fn note(session: &Session) -> Option<Vec<u8>> {
    let reader = session.slots.get::<Reader>()?;
    let waiting = reader.waiting.iter();
    let ids = waiting.filter_map(|asked| asked.iq.head.id.as_deref());
    written(reader.finds_until, ids)
}

/// Goes on where the owner before had come. Queries that waited there are
/// refused, so that nobody waits for answers to them: they may be large, and
/// their client knows them.
pub(super) fn recall(note: &[u8], session: SessionId, ctx: &mut Ctx) {
    let Ok((finds_until, ids)) = read(note) else {
        return;
    };
    let Some(found) = ctx.account.session_mut(session) else {
        return;
    };
    let user = found.jid.clone();
    found.slots.set(Reader {
        finds_until,
        ..Reader::default()
    });
    let why = StanzaError::new(Condition::ResourceConstraint)
        .text("the archive is served by another node now; ask again");
    for id in ids {
        let asked = Stanza::iq(Type::Set, id).from(user.clone());
        if let Some(refusal) = asked.error(&why) {
            ctx.send(refusal.from(ctx.account.jid.clone()));
        }
    }
}

fn written<'a>(
    finds_until: Option<Position>,
    ids: impl Iterator<Item = &'a str>,
) -> Option<Vec<u8>> {
    let mut left = NOTE_IDS_BYTES_MAX;
    let fitting = ids.take_while(|id| {
        let has_room = id.len() <= left;
        left = left.saturating_sub(id.len());
        has_room
    });
    let ids: Vec<&str> = fitting.take(WAITING_QUERIES_MAX).collect();
    (finds_until.is_some() || !ids.is_empty()).then(|| {
        let mut out = Encoder::new(NOTE_VERSION, NOTE_IDS_BYTES_MAX);
        out.option(finds_until, |out, at| {
            out.raw(&at.to_bytes());
        });
        out.list(ids.iter(), |out, id| {
            out.text(id);
        });
        out.finish()
    })
}

fn read(note: &[u8]) -> Result<(Option<Position>, Vec<String>), Malformed> {
    let mut from = Decoder::new(note, NOTE_VERSION)?;
    let finds_until = from.option(|from| Ok(Position::from_bytes(from.array()?)))?;
    let ids = from.list(|from| Ok(from.text()?.to_owned()))?;
    from.finish()?;
    Ok((finds_until, ids))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn what_goes_along_comes_back_and_is_bounded() {
        let until = Some(Position::new(7, u64::MAX));
        let note = written(until, ["a", "b"].into_iter()).unwrap();
        let ids = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(read(&note), Ok((until, ids)));
        assert_eq!(written(None, std::iter::empty()), None);
        let long = "x".repeat(100);
        let note = written(None, std::iter::repeat_n(long.as_str(), 9)).unwrap();
        assert_eq!(read(&note).unwrap().1.len(), 2);
        assert!(read(b"another version").is_err());
    }
}
