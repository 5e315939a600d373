//! Reading an account, and what was on its way to its sessions when whoever
//! served it before came to a sudden end.

use starling_cluster::Epoch;
use starling_link::MessageId;
use starling_store::archive::{Direction, Entry, PAGE_ENTRIES_MAX, Query};
use starling_store::{Error, LoginBundle, Position, Store};
use starling_xmpp::{BareJid, Stanza};

use super::asking::Mark;
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
    is_writing: &Mark,
) -> Result<Option<Box<Found>>, Error> {
    reach(Step::AccountRead);
    let found = match epoch {
        Some(epoch) => taken_over(store, name, epoch, is_writing).await?,
        None => alone(store, name).await?,
    };
    reach(Step::AccountSealed);
    Ok(found.map(Box::new))
}

/// Nobody else has ever written here.
async fn alone(store: &dyn Store, name: &BareJid) -> Result<Option<Found>, Error> {
    let Some(bundle) = store.login(name).await? else {
        return Ok(None);
    };
    let lost = lost(store, name, &bundle, &End::none()).await?;
    Ok(Some(Found {
        bundle,
        takeover: Takeover::new(lost, Vec::new()),
        recent: Vec::new(),
    }))
}

/// Clients wait for this, so as little as possible is asked in a row: the end of
/// the log is looked at beside all else, and once more only if it turns out not to
/// have been its end.
async fn taken_over(
    store: &dyn Store,
    name: &BareJid,
    epoch: Epoch,
    is_writing: &Mark,
) -> Result<Option<Found>, Error> {
    let (bundle, page) = tokio::try_join!(store.login(name), newest(store, name))?;
    let Some(bundle) = bundle else {
        return Ok(None);
    };
    let seal = async {
        is_writing.set(true);
        ownership::seal(store, name, epoch, &bundle).await?;
        is_writing.set(false);
        Ok(())
    };
    let is_end = page.first().map(|entry| entry.position) == bundle.last_position;
    let page = async {
        match is_end {
            true => Ok(page),
            false => newest(store, name).await,
        }
    };
    // Nothing of it is used before the log is sealed.
    let ((), page) = tokio::try_join!(seal, page)?;
    let end = End::of(&bundle, epoch);
    let after = bundle.cursors.delivered_or_start();
    let is_long = page.len() >= RECENT_MESSAGES_MAX;
    let is_enough = !is_long || page.last().is_some_and(|oldest| oldest.position <= after);
    let mut tail = Tail::default();
    for entry in page.into_iter().rev().filter(|entry| end.has(entry)) {
        match entry.direction {
            Direction::In => tail.came.push(MessageId(entry.id)),
            Direction::Out => tail.sent.push(MessageId(entry.id)),
        }
        if is_enough && entry.position > after {
            tail.lost.extend(outgoing(name, entry));
        }
    }
    if !is_enough {
        tail.lost = lost(store, name, &bundle, &end).await?;
    }
    Ok(Some(Found {
        bundle,
        takeover: Takeover::new(tail.lost, tail.sent),
        recent: tail.came,
    }))
}

/// The end of a log, newest first.
async fn newest(store: &dyn Store, name: &BareJid) -> Result<Vec<Entry>, Error> {
    let query = Query::before(None, RECENT_MESSAGES_MAX);
    store.archive_page(name, &query).await
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
    /// Messages that were on their way to sessions.
    lost: Vec<Outgoing>,
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
    use starling_store::account::Account;
    use starling_store::{Change, Memory, Stamp, Write, archive};
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

    async fn juliet() -> (Memory, BareJid) {
        let (store, owner) = (Memory::new(), BareJid::parse("juliet@localhost").unwrap());
        let account = Account::new(owner.clone(), Credentials::default(), UnixMillis(0));
        store.create_account(account).await.unwrap();
        (store, owner)
    }

    /// DESIGN section 5: what an earlier owner writes once the end of the log was
    /// read was never acknowledged. It is not taken for known, however the log is
    /// read: it may come again, under the same number.
    #[tokio::test]
    async fn what_is_written_after_the_end_was_read_is_not_in_the_log() {
        let (store, owner) = juliet().await;
        store.commit(vec![put(&owner, 1, 1)]).await.unwrap();
        let bundle = store.login(&owner).await.unwrap().unwrap();
        store.commit(vec![put(&owner, 1, 2)]).await.unwrap();
        let end = End::of(&bundle, Epoch(2));
        let page = newest(&store, &owner).await.unwrap();
        let of_end: Vec<_> = page.iter().map(|entry| end.has(entry)).collect();
        assert_eq!(of_end, [false, true]);
        assert_eq!(lost(&store, &owner, &bundle, &end).await.unwrap().len(), 1);
        // What the log says once it is sealed is the same.
        ownership::seal(&store, &owner, Epoch(2), &bundle)
            .await
            .unwrap();
        let found = read(&store, &owner, Some(Epoch(2)), &Mark::default())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.recent, [MessageId(1)]);
    }

    /// However many they are, each once and in order.
    #[tokio::test]
    async fn what_was_on_its_way_is_found_in_the_end_of_the_log_or_behind_it() {
        for count in [0, 1, RECENT_MESSAGES_MAX, 2 * PAGE_ENTRIES_MAX] {
            let (store, owner) = juliet().await;
            let writes = (1..=count as u64).map(|seq| put(&owner, 1, seq));
            store.commit(writes.collect()).await.unwrap();
            let found = read(&store, &owner, Some(Epoch(2)), &Mark::default())
                .await
                .unwrap()
                .unwrap();
            let lost = found.takeover.unclaimed();
            let seqs = lost.iter().map(|of| of.position().unwrap().seq);
            assert!(seqs.eq(1..=count as u64), "{count}");
            let newest = count.saturating_sub(RECENT_MESSAGES_MAX) as u128 + 1;
            let recent = found.recent.iter().map(|id| id.0);
            assert!(recent.eq(newest..=count as u128), "{count}");
        }
    }
}
