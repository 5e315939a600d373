//! What is this store's own about logs: buckets, and who knows of them.

use starling_store::archive::{Change, Query, Read as _};
use starling_store::contract::sample::{bare, entry};
use starling_store::fence::Fence as _;
use starling_store::{Position, Seal, Stamp, Store, Write};

use crate::database::{config, connect};

const OWNER: &str = "room@conference.example";

fn append(epoch: u32, seq: u64) -> Write {
    let change = Change::Append(entry(epoch, seq, false));
    Write::new(bare(OWNER), Stamp::new(epoch, seq), change)
}

async fn places(store: &dyn Store, query: Query) -> Vec<(u32, u64)> {
    let page = store.archive_page(&bare(OWNER), &query).await.unwrap();
    page.iter()
        .map(|entry| (entry.position.epoch, entry.position.seq))
        .collect()
}

#[tokio::test]
async fn a_log_of_many_buckets_is_one_log() {
    let Some(config) = config() else { return };
    let store = connect(&config).await;
    // More than two buckets of 8,192 entries.
    const ENTRIES: u64 = 20_000;
    for first in (1..=ENTRIES).step_by(1_000) {
        let batch = (first..first + 1_000).map(|seq| append(1, seq));
        store.commit(batch.collect()).await.unwrap();
    }
    let last = Position::new(1, ENTRIES);
    assert_eq!(store.archive_last(&bare(OWNER)).await.unwrap(), Some(last));
    for border in [8_190, 8_192, 16_384] {
        let expected: Vec<_> = (border + 1..=border + 5).map(|seq| (1, seq)).collect();
        let after = Query::after(Position::new(1, border), 5);
        assert_eq!(places(&store, after).await, expected);
        let before = Query::before(Some(Position::new(1, border + 6)), 5);
        let expected: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(places(&store, before).await, expected);
    }
    let through = Position::new(1, 9_000);
    let purge = Write::new(
        bare(OWNER),
        Stamp::new(1, ENTRIES + 1),
        Change::Purge { through },
    );
    store.commit(vec![purge]).await.unwrap();
    let oldest = Query::after(Position::START, 2);
    assert_eq!(places(&store, oldest).await, [(1, 9_001), (1, 9_002)]);
    let gone = store
        .archive_entry(&bare(OWNER), Position::new(1, 5))
        .await
        .unwrap();
    assert_eq!(gone, None);
}

#[tokio::test]
async fn a_new_owner_finds_what_the_old_one_wrote_and_back() {
    let Some(config) = config() else { return };
    let (one, two) = (connect(&config).await, connect(&config).await);
    one.commit(vec![append(1, 1), append(1, 2)]).await.unwrap();
    two.commit(vec![append(2, 3)]).await.unwrap();
    one.commit(vec![append(3, 4)]).await.unwrap();
    let all = [(1, 1), (1, 2), (2, 3), (3, 4)];
    for store in [&one, &two] {
        assert_eq!(places(store, Query::after(Position::START, 9)).await, all);
    }
    // The same node again, with an empty memory.
    let again = connect(&config).await;
    again
        .commit(vec![append(3, 5), append(3, 4)])
        .await
        .unwrap();
    let newest = places(&one, Query::before(None, 2)).await;
    assert_eq!(newest, [(3, 5), (3, 4)]);
}

/// Every move of its owner's shard begins a bucket, so a log that is read from
/// its end reaches far more of them than are read at once.
#[tokio::test]
async fn a_log_that_has_often_been_moved_is_one_log() {
    let Some(config) = config() else { return };
    let store = connect(&config).await;
    const MOVES: u32 = 30;
    let mut all = Vec::new();
    for epoch in 1..=MOVES {
        // Some owners wrote nothing, and some a little more.
        for seq in 0..u64::from(epoch % 4) {
            let at = u64::from(epoch) * 10 + seq;
            store.commit(vec![append(epoch, at)]).await.unwrap();
            all.push((epoch, at));
        }
        let last = all.last().copied().unwrap_or_default();
        let last = Position::new(last.0, last.1);
        let seal = Seal {
            epoch: epoch + 1,
            last,
        };
        store.seal(&bare(OWNER), seal).await.unwrap();
        // It came too late.
        let late = append(epoch, u64::from(epoch) * 10 + 9);
        store.commit(vec![late]).await.unwrap();
    }
    for limit in [1, 7, 20, 200] {
        let oldest = all.iter().take(limit).copied();
        let found = places(&store, Query::after(Position::START, limit)).await;
        assert!(found.into_iter().eq(oldest), "the first {limit}");
        let newest = all.iter().rev().take(limit).copied();
        let found = places(&store, Query::before(None, limit)).await;
        assert!(found.into_iter().eq(newest), "the last {limit}");
    }
    let middle = all.len() / 2;
    let behind = Query::after(Position::new(all[middle].0, all[middle].1), 9);
    let expected = &all[middle + 1..middle + 10];
    assert_eq!(places(&store, behind).await, expected);
}
