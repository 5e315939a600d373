//! What the contract says of the outbox.

use bytes::Bytes;

use super::sample::{NOW, bare};
use crate::outbox::{Bucket, Change, Extent, Hours, PAGE_ROWS_MAX, Row};
use crate::{Position, Seal, Stamp, Store, Write};

const SENDER: &str = "romeo@montague.example";

/// A row whose stanza says where it is.
fn row(shard: u16, hour: u32, seq: u64, peer: &str) -> Row {
    Row {
        bucket: Bucket { shard, hour },
        position: Position::new(1, seq),
        peer: peer.into(),
        target: bare("juliet@capulet.example"),
        id: u128::MAX - u128::from(seq),
        stanza: Bytes::from(format!("<message xmlns='jabber:client' id='{seq}'/>")),
        stored_at: NOW,
    }
}

/// Writes as the owner of a shard does, one after the other.
async fn write(store: &dyn Store, n: &mut u64, changes: impl IntoIterator<Item = Change>) {
    let writes = changes.into_iter().map(|change| {
        *n += 1;
        Write::new(bare(SENDER), Stamp::new(1, *n), change)
    });
    store.commit(writes.collect()).await.unwrap();
}

async fn all(store: &dyn Store, shard: u16, hour: u32) -> Vec<Row> {
    let bucket = Bucket { shard, hour };
    let page = store.outbox_page(bucket, Position::START, usize::MAX).await;
    page.unwrap()
}

/// Rows come back whole and in order, whatever the order they were written in.
pub async fn rows_of_an_outbox_come_back_in_order(store: &dyn Store) {
    let rows: Vec<Row> = (1..=4).map(|seq| row(7, 100, seq, "a")).collect();
    let (n, put) = (&mut 0, |row: &Row| Change::Put(row.clone()));
    write(store, n, rows.iter().rev().map(put)).await;
    write(store, n, rows.iter().map(put)).await;
    assert_eq!(all(store, 7, 100).await, rows);
    let bucket = rows[0].bucket;
    let page = store.outbox_page(bucket, rows[1].position, 1).await;
    assert_eq!(page.unwrap(), [rows[2].clone()]);
    let rest = store.outbox_page(bucket, rows[3].position, 9).await;
    assert_eq!(rest.unwrap(), []);
}

/// Neither shards nor hours mix, and a bucket is cleared by itself.
pub async fn buckets_of_an_outbox_do_not_mix(store: &dyn Store) {
    let rows = [row(1, 5, 1, "a"), row(1, 6, 2, "a"), row(257, 5, 3, "a")];
    let (n, put) = (&mut 0, |row: &Row| Change::Put(row.clone()));
    write(store, n, rows.iter().map(put)).await;
    write(store, n, [Change::Clear(rows[0].bucket)]).await;
    assert_eq!(all(store, 1, 5).await, []);
    assert_eq!(all(store, 1, 6).await, rows[1..2]);
    assert_eq!(all(store, 257, 5).await, rows[2..]);
    // What is written into it later is there.
    write(store, n, [put(&rows[0])]).await;
    assert_eq!(all(store, 1, 5).await, rows[..1]);
}

/// One read returns no more than it says.
pub async fn pages_of_an_outbox_are_bounded(store: &dyn Store) {
    let count = PAGE_ROWS_MAX as u64 + 10;
    let rows = (1..=count).map(|seq| Change::Put(row(3, 9, seq, "a")));
    write(store, &mut 0, rows).await;
    let page = all(store, 3, 9).await;
    assert_eq!(page.len(), PAGE_ROWS_MAX);
    let bucket = page[0].bucket;
    let after = page[PAGE_ROWS_MAX - 1].position;
    let rest = store.outbox_page(bucket, after, usize::MAX).await;
    assert_eq!(rest.unwrap().len(), 10);
}

/// Marks are kept by shard and by peer, and say what is still owed.
pub async fn marks_of_an_outbox_are_kept(store: &dyn Store) {
    assert_eq!(store.outbox(4).await.unwrap(), Default::default());
    let n = &mut 0;
    let done = |shard, peer: &str, seq| Change::Done {
        shard,
        peer: peer.into(),
        through: Position::new(1, seq),
    };
    let extent = Extent {
        through: Position::new(1, 2),
        hours: Some(Hours { first: 5, last: 7 }),
        seals: vec![Seal {
            epoch: 3,
            last: Position::new(2, 9),
        }],
    };
    let extend = Change::Extend {
        shard: 4,
        extent: extent.clone(),
    };
    write(store, n, [extend, done(4, "a", 6)]).await;
    write(
        store,
        n,
        [done(4, "a", 8), done(4, "b", 3), done(5, "a", 99)],
    )
    .await;
    let found = store.outbox(4).await.unwrap();
    assert_eq!(found.extent, extent);
    let peers = [("a", 8), ("b", 3)];
    let peers = peers.map(|(peer, seq)| (peer.into(), Position::new(1, seq)));
    assert_eq!(found.peers, peers.into());
    let owed = |seq, peer| found.is_owed(&row(4, 5, seq, peer));
    assert!(!owed(8, "a") && owed(9, "a") && owed(4, "b"));
    assert!(!owed(2, "c") && owed(3, "c"));
    let late = Row {
        position: Position::new(2, 10),
        ..row(4, 5, 1, "a")
    };
    assert!(!found.is_owed(&late), "it was never promised");

    write(store, n, [Change::ForgetPeers { shard: 4 }]).await;
    let found = store.outbox(4).await.unwrap();
    assert_eq!((found.extent, found.peers.len()), (extent, 0));
    assert_eq!(store.outbox(5).await.unwrap().peers.len(), 1);
}
