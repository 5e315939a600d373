//! Reading an account, and what was on its way to its sessions when whoever
//! served it before came to a sudden end.

use starling_cluster::Epoch;
use starling_link::MessageId;
use starling_store::archive::{Direction, Entry, PAGE_ENTRIES_MAX, Query};
use starling_store::{Error, LoginBundle, Position, Store};
use starling_xmpp::{BareJid, Stanza};

use super::ownership;
use crate::Place;
use crate::failpoint::{Step, reach};
use crate::outgoing::{Logged, Outgoing};
use crate::recent::RECENT_MESSAGES_MAX;
use crate::takeover::Takeover;

/// What is known of an account.
pub(super) struct Found {
    pub(super) bundle: LoginBundle,
    /// What whoever served it before may have left undone.
    pub(super) takeover: Takeover,
    /// Numbers of the last messages that came for it, oldest first.
    pub(super) recent: Vec<MessageId>,
}

/// Reads an account; `None` if there is none. With an epoch, its log is sealed
/// against the writes of earlier ones, and its end is looked at.
pub(super) async fn read(
    store: &dyn Store,
    name: &BareJid,
    epoch: Option<Epoch>,
) -> Result<Option<Box<Found>>, Error> {
    reach(Step::AccountRead);
    let Some(bundle) = store.login(name).await? else {
        return Ok(None);
    };
    let (tail, lost) = match epoch {
        Some(epoch) => {
            let seal = ownership::seal(store, name, epoch, &bundle);
            let end = End::of(&bundle, epoch);
            let tail = Tail::read(store, name, &end);
            let lost = lost(store, name, &bundle, &end);
            // Nothing of it is used before the log is sealed.
            let ((), tail, lost) = tokio::try_join!(seal, tail, lost)?;
            (tail, lost)
        }
        None => {
            let end = End::none();
            (Tail::default(), lost(store, name, &bundle, &end).await?)
        }
    };
    reach(Step::AccountSealed);
    Ok(Some(Box::new(Found {
        bundle,
        takeover: Takeover::new(lost, tail.sent),
        recent: tail.came,
    })))
}

/// Where the log ended when it was sealed. What an earlier owner still writes
/// may be seen until the seal is there, and is no part of the log.
struct End {
    /// Of entries of earlier epochs than this.
    epoch: u32,
    last: Position,
}

impl End {
    fn of(bundle: &LoginBundle, epoch: Epoch) -> Self {
        Self {
            epoch: epoch.0,
            last: bundle.last_position.unwrap_or(Position::START),
        }
    }

    /// Nobody else writes.
    fn none() -> Self {
        Self {
            epoch: 0,
            last: Position::START,
        }
    }

    fn has(&self, entry: &Entry) -> bool {
        entry.position <= self.last || entry.position.epoch >= self.epoch
    }
}

/// What was on its way to sessions.
async fn lost(
    store: &dyn Store,
    name: &BareJid,
    bundle: &LoginBundle,
    end: &End,
) -> Result<Vec<Outgoing>, Error> {
    let mut lost = Vec::new();
    let mut after = bundle.cursors.delivered_or_start();
    while bundle.last_position.is_some_and(|last| last > after) {
        let query = Query::after(after, PAGE_ENTRIES_MAX);
        let page = store.archive_page(name, &query).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.position.max(after);
        let page = page.into_iter().filter(|entry| end.has(entry));
        lost.extend(page.filter_map(|entry| outgoing(name, entry)));
    }
    Ok(lost)
}

/// The end of a log, oldest first.
#[derive(Default)]
struct Tail {
    /// Messages that came.
    came: Vec<MessageId>,
    /// Messages that the owner sent.
    sent: Vec<MessageId>,
}

impl Tail {
    async fn read(store: &dyn Store, name: &BareJid, end: &End) -> Result<Self, Error> {
        let mut tail = Self::default();
        if end.last == Position::START {
            return Ok(tail);
        }
        let query = Query::before(None, RECENT_MESSAGES_MAX);
        let page = store.archive_page(name, &query).await?;
        for entry in page.into_iter().rev().filter(|entry| end.has(entry)) {
            match entry.direction {
                Direction::In => tail.came.push(MessageId(entry.id)),
                Direction::Out => tail.sent.push(MessageId(entry.id)),
            }
        }
        Ok(tail)
    }
}

/// An entry that was on its way; those that wait are marked so.
fn outgoing(owner: &BareJid, entry: Entry) -> Option<Outgoing> {
    let Entry {
        position,
        id,
        peer: _,
        direction,
        stanza,
        stored_at,
        is_offline,
        is_archived,
    } = entry;
    if direction == Direction::Out || is_offline {
        return None;
    }
    let Ok(stanza) = Stanza::parse(stanza) else {
        tracing::error!(account = %owner, %position, "a stored message cannot be read; it is left out");
        return None;
    };
    let logged = Logged {
        place: Place {
            position,
            at: stored_at,
        },
        id: MessageId(id),
        is_archived,
    };
    Some(Outgoing::new(stanza, Some(Box::new(logged))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use starling_store::{Change, Memory, Seal, Stamp, Write, archive};
    use starling_store::{account::Account, archive::Read as _};
    use starling_xmpp::UnixMillis;
    use starling_xmpp::credentials::Credentials;

    use super::*;

    fn put(owner: &BareJid, epoch: u32, seq: u64) -> Write {
        let stanza = "<message xmlns='jabber:client' from='romeo@localhost'/>";
        let entry = Entry {
            position: Position::new(epoch, seq),
            id: u128::from(seq),
            peer: starling_xmpp::Jid::parse("romeo@localhost").unwrap(),
            direction: Direction::In,
            stanza: stanza.into(),
            stored_at: UnixMillis(0),
            is_offline: false,
            is_archived: true,
        };
        let change = Change::from(archive::Change::Append(entry));
        Write::new(owner.clone(), Stamp::new(epoch, seq), change)
    }

    /// DESIGN section 5: what an earlier owner writes once the end of the log was
    /// read was never acknowledged. It is not taken for known, however early the
    /// log is read: it may come again, under the same number.
    #[tokio::test]
    async fn what_is_written_after_the_end_was_read_is_not_in_the_log() {
        let (store, owner) = (Memory::new(), BareJid::parse("juliet@localhost").unwrap());
        let account = Account::new(owner.clone(), Credentials::default(), UnixMillis(0));
        store.create_account(account).await.unwrap();
        store.commit(vec![put(&owner, 1, 1)]).await.unwrap();
        let bundle = store.login(&owner).await.unwrap().unwrap();
        store.commit(vec![put(&owner, 1, 2)]).await.unwrap();
        let end = End::of(&bundle, Epoch(2));
        let late = Tail::read(&store, &owner, &end).await.unwrap();
        assert_eq!(late.came, [MessageId(1)]);
        assert_eq!(lost(&store, &owner, &bundle, &end).await.unwrap().len(), 1);
        // What the log says once it is sealed is the same.
        let (epoch, last) = (2, Position::new(1, 1));
        let seal = Seal { epoch, last };
        starling_store::Fence::seal(&store, &owner, seal)
            .await
            .unwrap();
        let query = Query::before(None, RECENT_MESSAGES_MAX);
        let page = store.archive_page(&owner, &query).await.unwrap();
        let ids: Vec<_> = page.iter().map(|entry| MessageId(entry.id)).collect();
        assert_eq!(ids, late.came);
    }
}
