//! Removing from a log what was kept only until it arrived. Neighbours that go
//! are one deletion, so a log without an archive, where all of a range goes, is
//! left with one range and not with a tombstone for each entry.

use starling_store::archive::{Order, Query};
use starling_store::{Error, Position, Stamp};
use starling_xmpp::jid::BareJid;

use super::ENTRIES;
use super::index::{Bucket, Index};
use super::page::{ROWS_MAX, Reader};
use crate::client::{Bound, Client};
use crate::stamp::of_delete;
use crate::value::{just_behind, values};

/// What to remove.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub(crate) after: Position,
    pub(crate) through: Position,
    pub(crate) is_offline: bool,
}

/// First and last position of neighbours that go.
type Run = (Position, Position);

/// Removes the entries of the range that are not archived and waited, or did
/// not.
pub(crate) async fn sweep(
    client: &Client,
    owner: &BareJid,
    stamp: Stamp,
    sweep: Sweep,
) -> Result<(), Error> {
    let index = Index::read(client, owner).await?;
    let reader = Reader::new(client, owner, &index);
    for bucket in reader.buckets(&Query::after(sweep.after, ROWS_MAX)) {
        if bucket.start > sweep.through {
            break;
        }
        let runs = runs(&reader, bucket, sweep).await?;
        delete(client, owner, stamp, bucket.start, &runs, sweep.is_offline).await?;
    }
    Ok(())
}

async fn runs(reader: &Reader<'_>, bucket: &Bucket, sweep: Sweep) -> Result<Vec<Run>, Error> {
    let query = Query::after(sweep.after, ROWS_MAX);
    let mut range = reader.within(&query, bucket);
    range.end_at(just_behind(sweep.through));
    let (mut runs, mut open): (Vec<Run>, Option<Run>) = (Vec::new(), None);
    while !range.is_empty() {
        let (places, entries) = reader
            .entries(Order::Ascending, bucket, &range, ROWS_MAX)
            .await?;
        let mut entries = entries.iter().peekable();
        for place in &places {
            let entry = entries.next_if(|entry| entry.position == *place);
            // What cannot be read stays for whoever can repair it.
            if entry.is_some_and(|entry| entry.is_swept(sweep.is_offline)) {
                open = Some((open.map_or(*place, |(first, _)| first), *place));
            } else {
                runs.extend(open.take());
            }
        }
        match places.last() {
            Some(last) if places.len() == ROWS_MAX => range.go_on(Order::Ascending, *last),
            _ => break,
        }
    }
    runs.extend(open);
    Ok(runs)
}

async fn delete(
    client: &Client,
    owner: &BareJid,
    stamp: Stamp,
    bucket: Position,
    runs: &[Run],
    is_offline: bool,
) -> Result<(), Error> {
    let (all, owner, at) = (&client.statements, owner.as_str(), of_delete(stamp));
    // Each chunk is one batch of one partition.
    for runs in runs.chunks(ROWS_MAX) {
        let entries = runs.iter().map(|(first, last)| Bound {
            statement: all.log_delete_run.clone(),
            values: values![at, owner, bucket, ENTRIES, *first, *last],
        });
        client.batch(&entries.collect::<Vec<_>>()).await?;
        if is_offline {
            let waiting = runs.iter().map(|(first, last)| Bound {
                statement: all.offline_delete_run.clone(),
                values: values![at, owner, *first, *last],
            });
            client.batch(&waiting.collect::<Vec<_>>()).await?;
        }
    }
    Ok(())
}
