//! The outbox as rows: stanzas by shard and hour, marks by shard and peer.

use starling_store::outbox::{Bucket, Change, Outline, Row};
use starling_store::{Error, Position, Stamp, record};

use crate::client::{Bound, Client};
use crate::error::corrupt;
use crate::stamp::{of_delete, of_put};
use crate::value::{position, values};

/// The name of the mark of all peers.
const ALL: &str = "";

/// What a change does.
pub(crate) fn bound(client: &Client, stamp: Stamp, change: &Change) -> Bound {
    let all = &client.statements;
    let mark = |shard: &u16, peer: &str, value: Vec<u8>| Bound {
        statement: all.outbox_mark_put.clone(),
        values: values![i32::from(*shard), peer, value, of_put(stamp)],
    };
    match change {
        Change::Put(row) => Bound {
            statement: all.outbox_put.clone(),
            values: values![
                i32::from(row.bucket.shard),
                row.bucket.hour.cast_signed(),
                row.position,
                record::encode_row(row),
                of_put(stamp)
            ],
        },
        Change::Done {
            shard,
            peer,
            through,
        } => mark(shard, peer, through.to_bytes().to_vec()),
        Change::Extend { shard, extent } => mark(shard, ALL, record::encode_extent(extent)),
        Change::ForgetPeers { shard } => Bound {
            statement: all.outbox_mark_delete.clone(),
            values: values![of_delete(stamp), i32::from(*shard)],
        },
        Change::Clear(bucket) => Bound {
            statement: all.outbox_clear.clone(),
            values: values![
                of_delete(stamp),
                i32::from(bucket.shard),
                bucket.hour.cast_signed()
            ],
        },
    }
}

/// The marks of a shard.
pub(crate) async fn outline(client: &Client, shard: u16) -> Result<Outline, Error> {
    let mut outline = Outline::default();
    let (statement, values) = (&client.statements.outbox_marks, values![i32::from(shard)]);
    let bad = |error| corrupt("outbox_mark", error);
    let read = |(peer, value): (String, Vec<u8>)| {
        if peer == ALL {
            outline.extent = record::decode_extent(&value).map_err(bad)?;
        } else {
            let through = record::decode_position(&value).map_err(bad)?;
            outline.peers.insert(peer.into(), through);
        }
        Ok(())
    };
    client
        .rows::<(String, Vec<u8>), _>(statement, values, read)
        .await?;
    Ok(outline)
}

/// Rows of a bucket.
pub(crate) async fn page(
    client: &Client,
    bucket: Bucket,
    after: Position,
    limit: usize,
) -> Result<Vec<Row>, Error> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let (shard, hour) = (i32::from(bucket.shard), bucket.hour.cast_signed());
    let values = values![shard, hour, after, limit];
    let read = |(at, row): (Vec<u8>, Vec<u8>)| {
        let at = position(&at).ok_or_else(|| corrupt("outbox", "a key that is no position"))?;
        record::decode_row(bucket, at, &row).map_err(|error| corrupt("outbox", error))
    };
    client
        .rows::<(Vec<u8>, Vec<u8>), _>(&client.statements.outbox_page, values, read)
        .await
}
