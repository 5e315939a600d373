//! Sessions that lost their stream, and how many stanzas of each are dealt
//! with, in the store: a client that comes back after the node that had its
//! session is gone learns from it which of its stanzas it need not send again
//! (XEP-0198 §5: `<failed h='…'/>`).
//!
//! It is written when a stream is lost, and once more when all that came on it
//! is dealt with. After that nothing comes, and the number is the true count of
//! all stanzas, whatever their kind; in between it is one of stanzas that are
//! dealt with, so that a client that sends the others again loses nothing, and
//! a message among them that came before is known (`sent`). A session that goes
//! on takes its number away, for its client may be told a higher one from then
//! on. Without a number, because stream and node ended at once, nothing is said.
//!
//! How far a session has come that this node still knows is in `account`.

use std::fmt::Write as _;

use starling_link::SessionId;
use starling_store::account::Change;

use crate::{Account, Ctx};

/// The attribute of the account: number of the session and of its stanzas, as
/// its client counts, between blanks.
const ATTRIBUTE: &str = "sessions.lost";

/// Sessions of an account that are written down: those that lost their streams
/// last.
const SESSIONS_MAX: usize = 8;

/// How many stanzas of a session were dealt with when it lost its stream. Only
/// its own account may ask, whoever it says it is.
pub(crate) fn count(account: &Account, id: SessionId) -> Option<u32> {
    let mut all = read(account);
    all.find_map(|(of, count)| (of == id).then_some(count))
}

/// A session has lost its stream, or has dealt with more of it since.
pub(crate) fn note(ctx: &mut Ctx, id: SessionId) {
    let session = ctx.account.session(id);
    let Some(count) = session.and_then(|session| {
        let managed = session.managed.as_deref()?;
        managed.resumable?;
        Some(managed.count(&session.ledger))
    }) else {
        return;
    };
    if self::count(&ctx.account, id) != Some(count) {
        change(ctx, id, Some(count));
    }
}

/// A session goes on, or its client has left it.
pub(crate) fn forget(ctx: &mut Ctx, id: SessionId) {
    if count(&ctx.account, id).is_some() {
        change(ctx, id, None);
    }
}

fn change(ctx: &mut Ctx, id: SessionId, count: Option<u32>) {
    let mut all: Vec<_> = read(&ctx.account).filter(|(of, _)| *of != id).collect();
    all.extend(count.map(|count| (id, count)));
    let latest = &all[all.len().saturating_sub(SESSIONS_MAX)..];
    let value = (!latest.is_empty()).then(|| written(latest));
    ctx.write(Change::SetAttribute {
        name: ATTRIBUTE.into(),
        value,
    });
}

/// Those of an account, in the order in which they were lost.
fn read(account: &Account) -> impl Iterator<Item = (SessionId, u32)> {
    let value = account.attributes.get(ATTRIBUTE);
    let words = value.map(String::as_str).unwrap_or_default();
    words.split_ascii_whitespace().filter_map(|word| {
        let (id, count) = word.split_once(':')?;
        let id = u64::from_str_radix(id, 16).ok()?;
        Some((SessionId(id), count.parse().ok()?))
    })
}

fn written(all: &[(SessionId, u32)]) -> String {
    let mut text = String::new();
    for (id, count) in all {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:x}:{count} ", id.0);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use starling_xmpp::BareJid;

    use super::*;
    use crate::Lasting;
    use crate::testing::Scene;

    #[test]
    fn what_is_written_can_be_read_and_the_rest_is_nothing() {
        let jid = BareJid::parse("juliet@example.com").unwrap();
        let mut account = Account::unstored(jid, Lasting::Stored);
        assert_eq!(count(&account, SessionId(1)), None);
        let text = written(&[(SessionId(u64::MAX), u32::MAX), (SessionId(1), 0)]);
        account
            .attributes
            .insert(ATTRIBUTE.into(), format!("{text}? 2: :3"));
        assert_eq!(count(&account, SessionId(u64::MAX)), Some(u32::MAX));
        assert_eq!(count(&account, SessionId(1)), Some(0));
        assert_eq!(read(&account).count(), 2);
    }

    /// XEP-0198 §4: stanzas of every kind count, those before `<enable/>` do
    /// not.
    #[test]
    fn a_lost_session_is_counted_for_as_long_as_it_is_lost() {
        let mut scene = Scene::new("juliet@example.com");
        let plain = scene.online("orchard");
        scene.loses("orchard");
        assert_eq!(count(scene.account(), plain), None, "nobody may resume it");
        let id = scene.bind("balcony");
        scene.enables("balcony");
        // The last one goes on to somebody who is not done with it.
        for stanza in [
            "<presence/>",
            "<iq type='result' id='i'/>",
            "<presence/>",
            "<message to='romeo@example.com'/>",
        ] {
            scene.sends("balcony", stanza);
        }
        assert_eq!(count(scene.account(), id), None);
        scene.loses("balcony");
        assert_eq!(count(scene.account(), id), Some(3));
        scene.reload();
        assert_eq!(count(scene.account(), id), Some(3));
    }

    #[test]
    fn what_came_before_the_client_counts_is_not_counted() {
        let mut scene = Scene::new("juliet@example.com");
        let id = scene.bind("balcony");
        // Under way when management is turned on, and when the stream is lost.
        scene.sends("balcony", "<message to='romeo@example.com'/>");
        scene.enables_behind("balcony", 1);
        scene.loses("balcony");
        assert_eq!(count(scene.account(), id), Some(0));
    }

    #[test]
    fn only_the_last_sessions_are_written_down() {
        let mut scene = Scene::new("juliet@example.com");
        let ids: Vec<SessionId> = (0..=SESSIONS_MAX)
            .map(|number| {
                let resource = number.to_string();
                let id = scene.bind(&resource);
                scene.enables(&resource);
                scene.loses(&resource);
                id
            })
            .collect();
        assert_eq!(count(scene.account(), ids[0]), None);
        for id in &ids[1..] {
            assert_eq!(count(scene.account(), *id), Some(0));
        }
    }
}
