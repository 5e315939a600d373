//! Appending to a log, and shortening it.

use futures_util::FutureExt as _;
use starling_store::archive::Entry;
use starling_store::{Error, Position, Stamp, record};
use starling_xmpp::jid::BareJid;

use super::ENTRIES;
use super::index::{BUCKET, Index};
use super::open::Place;
use crate::client::{Bound, Client, together};
use crate::stamp::{of_delete, of_put};
use crate::value::values;

/// What one entry writes, by partition.
pub(crate) struct Append {
    /// To its bucket.
    pub(crate) bucket: Vec<Bound>,
    /// To the index, if that has to be told.
    pub(crate) index: Option<Bound>,
    /// To what waits for the owner.
    pub(crate) offline: Option<Bound>,
}

/// Stores an entry in its place.
pub(crate) fn append(
    client: &Client,
    owner: &BareJid,
    stamp: Stamp,
    entry: &Entry,
    place: Place,
) -> Append {
    let (all, owner, at) = (&client.statements, owner.as_str(), of_put(stamp));
    let (bucket, position) = (place.bucket, entry.position);
    let record = record::encode_entry(entry);
    let peer = entry.peer.to_bare();
    let whole = Bound {
        statement: all.log_put.clone(),
        values: values![owner, bucket, ENTRIES, position, record, at],
    };
    let mut in_bucket = vec![whole];
    if entry.is_archived {
        // In the same partition, so that it costs a few bytes and no write more.
        in_bucket.push(Bound {
            statement: all.log_point.clone(),
            values: values![owner, bucket, peer.as_str(), position, at],
        });
    }
    let index = place.note.map(|note| Bound {
        statement: all.index_put.clone(),
        values: values![owner, BUCKET, bucket, note.encode(), at],
    });
    let offline = entry.is_offline.then(|| Bound {
        statement: all.offline_put.clone(),
        values: values![
            owner,
            position,
            i32::try_from(entry.stanza.len()).unwrap_or(i32::MAX),
            at
        ],
    });
    Append {
        bucket: in_bucket,
        index,
        offline,
    }
}

/// Removes every entry up to and including this one: whole buckets by one
/// deletion each, and the beginning of the bucket that goes on behind it by one
/// more, which the next one replaces. The last bucket stays in the index even if
/// nothing is left in it, because its owner goes on appending to it.
pub(crate) async fn purge(
    client: &Client,
    owner: &BareJid,
    stamp: Stamp,
    through: Position,
) -> Result<(), Error> {
    let (all, name, at) = (&client.statements, owner.as_str(), of_delete(stamp));
    let index = Index::read(client, owner).await?;
    let begun: Vec<_> = index
        .buckets()
        .iter()
        .filter(|bucket| bucket.start <= through)
        .collect();
    let buckets = begun.iter().map(|bucket| {
        let is_last = index
            .next_of(bucket)
            .is_none_or(|next| next.start > through);
        let (statement, values) = if is_last {
            let values = values![at, name, bucket.start, ENTRIES, through];
            (&all.log_delete_through, values)
        } else {
            (&all.log_delete_bucket, values![at, name, bucket.start])
        };
        client.execute(statement, values).boxed()
    });
    together(buckets.collect()).await?;
    let offline = values![at, name, through];
    client.execute(&all.offline_delete_through, offline).await?;
    // Last, so that what could not be deleted is found when this is repeated.
    if let [_, .., last] = begun.as_slice() {
        let values = values![at, name, BUCKET, last.start];
        client.execute(&all.index_delete_before, values).await?;
    }
    Ok(())
}
