//! Reading an account, and what was on its way to its sessions when whoever
//! served it before came to a sudden end.

use starling_cluster::Epoch;
use starling_link::MessageId;
use starling_store::archive::{Direction, Entry, PAGE_ENTRIES_MAX, Query};
use starling_store::{Error, LoginBundle, Store};
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
    let mut tail = Tail::default();
    if let Some(epoch) = epoch {
        ownership::seal(store, name, epoch, &bundle).await?;
        if bundle.last_position.is_some() {
            tail = Tail::read(store, name).await?;
        }
    }
    let mut lost = Vec::new();
    let mut after = bundle.cursors.delivered_or_start();
    while bundle.last_position.is_some_and(|last| last > after) {
        let query = Query::after(after, PAGE_ENTRIES_MAX);
        let page = store.archive_page(name, &query).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.position.max(after);
        lost.extend(page.into_iter().filter_map(|entry| outgoing(name, entry)));
    }
    reach(Step::AccountSealed);
    Ok(Some(Box::new(Found {
        bundle,
        takeover: Takeover::new(lost, tail.sent),
        recent: tail.came,
    })))
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
    async fn read(store: &dyn Store, name: &BareJid) -> Result<Self, Error> {
        let query = Query::before(None, RECENT_MESSAGES_MAX);
        let page = store.archive_page(name, &query).await?;
        let mut tail = Self::default();
        for entry in page.into_iter().rev() {
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
