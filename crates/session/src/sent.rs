//! What an account's clients sent last and marked with an id of their own
//! (XEP-0359 `origin-id`): a client that could not resume does not know what
//! became of its last messages, and says them once more.
//!
//! Such a message goes to its recipient under the number that it had. The
//! recipient, who alone knows whether it came, takes it once; so nothing is lost
//! if the first one never arrived, or came back. In the sender's own log it
//! stands once anyway.
//!
//! The memory goes with the account's. It is found again at the end of the log,
//! as far as the account keeps an archive.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use starling_link::MessageId;
use starling_store::archive::{Direction, Entry, PAGE_ENTRIES_MAX, Query};
use starling_store::{Error, Store};
use starling_xmpp::payload::stanza_id;
use starling_xmpp::stanza::Kind;
use starling_xmpp::{BareJid, Stanza, UnixMillis, ns};
use tokio::time::sleep;

use crate::Ctx;
use crate::account::Lasting;

/// For how long a message may be said once more. Who was away for longer has
/// seen from the archive what arrived.
pub(crate) const REPEATED_WITHIN_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Messages of one account that are remembered. A client has fewer that are
/// not acknowledged.
const SENT_MESSAGES_MAX: usize = 64;

/// Entries of a log that are looked through for them, and octets.
const TAIL_ENTRIES_MAX: usize = 256;
const TAIL_BYTES_MAX: usize = 512 * 1024;

/// Pause before a store that did not answer is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Octets of a log that are looked through for one message: some thousand
/// entries. Few messages are said once more, and fewer of them have come.
const SEARCH_BYTES_MAX: usize = 1024 * 1024;

/// What an account's clients sent last.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Oldest first.
    messages: VecDeque<Said>,
    /// The end of the log has been looked at.
    is_complete: bool,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    mark: Mark,
    id: MessageId,
    at: UnixMillis,
}

impl Sent {
    /// The number that this message had when it was sent before.
    fn find(&self, mark: Mark, now: UnixMillis) -> Option<MessageId> {
        let mut messages = self.messages.iter().rev();
        let said = messages.find(|said| said.mark == mark)?;
        (now.0 - said.at.0 <= REPEATED_WITHIN_MILLIS).then_some(said.id)
    }

    fn note(&mut self, said: Said) {
        if self.messages.len() >= SENT_MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(said);
    }
}

/// What is the same for a message and for its repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    /// The id, the addressee and the content count: a client may use an id
    /// again for something else. When it was first said, some clients note only
    /// in the repetition (XEP-0203).
    pub(crate) fn of(message: &Stanza) -> Option<Self> {
        if message.head.kind != Kind::Message {
            return None;
        }
        let origin = stanza_id::origin_id(message)?;
        let mut hasher = DefaultHasher::new();
        origin.hash(&mut hasher);
        message.head.to.as_ref()?.as_str().hash(&mut hasher);
        message.head.type_.hash(&mut hasher);
        for payload in message.payloads() {
            if !payload.is_in(ns::DELAY) {
                payload.bytes().hash(&mut hasher);
            }
        }
        Some(Self(hasher.finish()))
    }
}

/// Whether the log has to be looked at before this message can be recognised.
pub(crate) fn is_unread(message: &Stanza, ctx: &mut Ctx) -> bool {
    let now = ctx.now();
    let account = &mut ctx.account;
    if account.sent.is_complete || account.lasting != Lasting::Stored {
        return false;
    }
    // At its end is nothing that could still be said once more.
    account.sent.is_complete = now.0 - account.last_said().0 > REPEATED_WITHIN_MILLIS;
    !account.sent.is_complete && Mark::of(message).is_some()
}

/// Looks at the end of the log, once for as long as the account stays loaded.
pub(crate) async fn read(ctx: &mut Ctx) {
    let owner = ctx.account.jid.clone();
    let since = ctx.now().0.saturating_sub(REPEATED_WITHIN_MILLIS);
    let query = Query {
        start: Some(UnixMillis(since)),
        ..Query::before(None, TAIL_ENTRIES_MAX)
            .archived_only()
            .within_bytes(TAIL_BYTES_MAX)
    };
    let Some(page) = page(&*ctx.store().await, &owner, &query).await else {
        return;
    };
    let sent = page.into_iter().rev();
    let sent = sent.filter(|entry| entry.direction == Direction::Out);
    for entry in sent {
        let message = Stanza::parse(entry.stanza).ok();
        if let Some(mark) = message.as_ref().and_then(Mark::of) {
            ctx.account.sent.note(Said {
                mark,
                id: MessageId(entry.id),
                at: entry.stored_at,
            });
        }
    }
    ctx.account.sent.is_complete = true;
}

/// Gives a message that is said once more the number that it had.
pub(crate) fn recognise(mark: Option<Mark>, ctx: &mut Ctx) {
    let now = ctx.now();
    let known = mark.and_then(|mark| ctx.account.sent.find(mark, now));
    if known.is_some() {
        ctx.id = known;
        ctx.is_repeated = true;
    }
}

/// Takes note of a message that goes on its way.
pub(crate) fn note(mark: Option<Mark>, ctx: &mut Ctx) {
    if let Some(mark) = mark.filter(|_| !ctx.is_repeated) {
        let (id, at) = (ctx.message_id(), ctx.now());
        ctx.account.sent.note(Said { mark, id, at });
    }
}

/// Who sent the message in hand, and its number.
pub(crate) fn sender(message: &Stanza, ctx: &Ctx) -> Option<(BareJid, MessageId)> {
    Some((message.head.from.as_ref()?.to_bare(), ctx.id?))
}

/// Whether the log of the account has a message with the number of the one in
/// hand, which its sender says once more. What the log says is remembered: many
/// more may follow.
pub(crate) async fn has_come(message: &Stanza, ctx: &mut Ctx) -> bool {
    let Some((from, id)) = sender(message, ctx) else {
        return false;
    };
    let owner = ctx.account.jid.clone();
    let store = ctx.store().await;
    let latest = Query::before(None, PAGE_ENTRIES_MAX).within_bytes(SEARCH_BYTES_MAX);
    if !ctx.account.came.has_tail() {
        // Of all senders, in the archive or only on its way to somebody.
        let Some(page) = page(&*store, &owner, &latest).await else {
            return false;
        };
        let bytes: usize = page.iter().map(|entry| entry.stanza.len()).sum();
        let is_whole = page.len() < PAGE_ENTRIES_MAX && bytes < SEARCH_BYTES_MAX;
        ctx.account.came.learn_tail(ids(&page), is_whole);
        if let Some(has_come) = ctx.account.came.note(&from, id, true) {
            return has_come;
        }
    }
    // However long ago: what an outbox sends again may have waited for days.
    let of_sender = latest.archived_only().with(from.clone().into());
    let Some(page) = page(&*store, &owner, &of_sender).await else {
        return false;
    };
    ctx.account.came.learn(from.clone(), ids(&page));
    ctx.account.came.note(&from, id, true) == Some(true)
}

fn ids(page: &[Entry]) -> HashSet<MessageId> {
    page.iter().map(|entry| MessageId(entry.id)).collect()
}

/// A page of a log. A store that does not answer is asked until it does, because
/// without the page a message could come twice; `None` if it cannot be read.
async fn page(store: &dyn Store, owner: &BareJid, query: &Query) -> Option<Vec<Entry>> {
    loop {
        match store.archive_page(owner, query).await {
            Ok(page) => return Some(page),
            Err(error @ Error::Unavailable { .. }) => {
                tracing::warn!(account = %owner, %error, "a log cannot be looked at; trying again");
                sleep(RETRY_PAUSE).await;
            }
            Err(error) => {
                tracing::error!(account = %owner, %error, "a log cannot be looked at; a message may come twice");
                return None;
            }
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;
    use crate::testing::parse;

    fn mark(to: &str, content: &str) -> Option<Mark> {
        Mark::of(&parse(&format!(
            "<message type='chat' to='{to}'>{content}</message>"
        )))
    }

    const ORIGIN: &str = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>";

    /// XEP-0359 §2.2.
    #[test]
    fn a_message_is_recognised_by_id_addressee_and_content() {
        let said = mark("a@b", &format!("<body>a</body>{ORIGIN}"));
        assert!(said.is_some());
        let again = "<delay xmlns='urn:xmpp:delay' stamp='2001-09-09T01:46:40Z'/>";
        let again = mark("a@b", &format!("<body>a</body>{ORIGIN}{again}"));
        assert_eq!(said, again);
        for other in [
            mark("a@c", &format!("<body>a</body>{ORIGIN}")),
            mark("a@b/c", &format!("<body>a</body>{ORIGIN}")),
            mark("a@b", &format!("<body>b</body>{ORIGIN}")),
            mark(
                "a@b",
                "<body>a</body><origin-id xmlns='urn:xmpp:sid:0' id='p'/>",
            ),
        ] {
            assert!(other.is_some());
            assert_ne!(said, other);
        }
        assert_eq!(mark("a@b", "<body>a</body>"), None);
    }

    #[test]
    fn the_memory_is_bounded_and_fades() {
        let mut sent = Sent::default();
        for n in 0..100 {
            sent.note(Said {
                mark: Mark(n),
                id: MessageId(u128::from(n)),
                at: UnixMillis(0),
            });
        }
        assert_eq!(sent.messages.len(), SENT_MESSAGES_MAX);
        let find = |n, now| sent.find(Mark(n), UnixMillis(now));
        assert_eq!(find(99, REPEATED_WITHIN_MILLIS), Some(MessageId(99)));
        assert_eq!(find(99, REPEATED_WITHIN_MILLIS + 1), None);
        assert_eq!(find(0, 0), None);
    }
}
