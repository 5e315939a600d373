//! What the contract says of the log.

use bytes::Bytes;

use super::sample::{bare, commit, entry};
use crate::archive::{Change, Entry, PAGE_ENTRIES_MAX, Query, Tally};
use crate::{Position, Store};

const OWNER: &str = "juliet@capulet.example";

async fn fill(store: &dyn Store, entries: &[Entry]) {
    commit(store, OWNER, entries.iter().cloned().map(Change::Append)).await;
}

async fn page(store: &dyn Store, query: Query) -> Vec<Entry> {
    store.archive_page(&bare(OWNER), &query).await.unwrap()
}

/// Epoch before sequence, and every kind of range.
pub async fn a_log_is_read_in_order(store: &dyn Store) {
    let log = [
        entry(1, 5, false),
        entry(1, 300, false),
        entry(2, 4, true),
        entry(300, 1, false),
    ];
    assert_eq!(store.archive_last(&bare(OWNER)).await.unwrap(), None);
    let shuffled = [2, 0, 3, 1].map(|n: usize| log[n].clone());
    fill(store, &shuffled).await;

    assert_eq!(page(store, Query::after(Position::START, 9)).await, log);
    assert_eq!(
        page(store, Query::after(log[0].position, 2)).await,
        log[1..3]
    );
    assert_eq!(
        page(store, Query::after(Position::new(1, 6), 1)).await,
        log[1..2]
    );
    assert!(
        page(store, Query::after(log[3].position, 9))
            .await
            .is_empty()
    );
    let newest_first: Vec<_> = log.iter().rev().cloned().collect();
    assert_eq!(page(store, Query::before(None, 9)).await, newest_first);
    assert_eq!(
        page(store, Query::before(Some(log[3].position), 2)).await,
        newest_first[1..3]
    );
    let between = |after: usize, before: usize| Query {
        before: Some(log[before].position),
        ..Query::after(log[after].position, 9)
    };
    assert_eq!(page(store, between(0, 3)).await, log[1..3]);
    assert!(
        page(store, between(2, 2)).await.is_empty(),
        "an empty range"
    );
    assert!(
        page(store, between(3, 0)).await.is_empty(),
        "a range the wrong way round"
    );

    assert_eq!(
        store.archive_last(&bare(OWNER)).await.unwrap(),
        Some(log[3].position)
    );
    let found = store
        .archive_entry(&bare(OWNER), log[2].position)
        .await
        .unwrap();
    assert_eq!(found.as_ref(), Some(&log[2]));
    assert_eq!(
        store
            .archive_entry(&bare(OWNER), Position::new(2, 5))
            .await
            .unwrap(),
        None
    );
}

/// Writes are idempotent by key; the same key again replaces.
pub async fn a_repeated_append_stores_one_entry(store: &dyn Store) {
    let first = entry(1, 1, true);
    fill(store, &[first.clone(), first.clone()]).await;
    fill(store, std::slice::from_ref(&first)).await;
    assert_eq!(
        page(store, Query::after(Position::START, 9)).await,
        std::slice::from_ref(&first)
    );

    let tombstone = Entry {
        stanza: "<message/>".into(),
        ..first
    };
    fill(store, std::slice::from_ref(&tombstone)).await;
    assert_eq!(
        page(store, Query::after(Position::START, 9)).await,
        [tombstone]
    );
}

/// No query reads without end.
pub async fn pages_are_bounded(store: &dyn Store) {
    let log: Vec<_> = (1..=PAGE_ENTRIES_MAX as u64 + 1)
        .map(|seq| entry(1, seq, false))
        .collect();
    fill(store, &log).await;
    assert_eq!(
        page(store, Query::after(Position::START, usize::MAX))
            .await
            .len(),
        PAGE_ENTRIES_MAX
    );
    assert_eq!(
        page(store, Query::before(None, usize::MAX)).await.len(),
        PAGE_ENTRIES_MAX
    );
    assert!(
        page(store, Query::after(Position::START, 0))
            .await
            .is_empty()
    );
}

/// XEP-0160: the rest of the log is not offline storage.
pub async fn only_offline_entries_when_asked(store: &dyn Store) {
    let log: Vec<_> = (1..=6).map(|seq| entry(1, seq, seq % 3 == 0)).collect();
    fill(store, &log).await;
    let offline = [log[2].clone(), log[5].clone()];
    assert_eq!(
        page(store, Query::after(Position::START, 9).offline_only()).await,
        offline
    );
    assert_eq!(
        page(store, Query::before(None, 1).offline_only()).await,
        offline[1..]
    );

    let bytes = |entries: &[Entry]| entries.iter().map(|entry| entry.stanza.len() as u64).sum();
    let tally = |after| async move { store.offline_tally(&bare(OWNER), after).await.unwrap() };
    assert_eq!(
        tally(Position::START).await,
        Tally {
            entries: 2,
            bytes: bytes(&offline)
        }
    );
    assert_eq!(
        tally(log[2].position).await,
        Tally {
            entries: 1,
            bytes: bytes(&offline[1..])
        }
    );
    assert_eq!(tally(log[5].position).await, Tally::default());
}

/// XEP-0313 §3.2: a purge leaves no hole.
pub async fn a_log_is_shortened_from_its_oldest_end(store: &dyn Store) {
    let log: Vec<_> = (1..=5).map(|seq| entry(1, seq, true)).collect();
    fill(store, &log).await;
    let purge = || {
        [Change::Purge {
            through: log[2].position,
        }]
    };
    commit(store, OWNER, purge()).await;
    assert_eq!(
        page(store, Query::after(Position::START, 9)).await,
        log[3..]
    );
    commit(store, OWNER, purge()).await;
    assert_eq!(
        page(store, Query::before(None, 9)).await.len(),
        2,
        "purging again is harmless"
    );
    commit(
        store,
        OWNER,
        [Change::Purge {
            through: Position::new(u32::MAX, u64::MAX),
        }],
    )
    .await;
    assert_eq!(store.archive_last(&bare(OWNER)).await.unwrap(), None);
}

/// What was kept only until it arrived goes, and what is archived, waits or is
/// outside of the range stays.
pub async fn a_log_is_swept(store: &dyn Store) {
    let flagged = |seq, is_offline, is_archived| Entry {
        is_archived,
        ..entry(1, seq, is_offline)
    };
    let log = [
        flagged(1, false, false),
        flagged(2, false, false),
        flagged(3, true, false),
        flagged(4, false, true),
        flagged(5, true, true),
        flagged(6, false, false),
        flagged(7, false, false),
    ];
    fill(store, &log).await;
    let sweep = |is_offline| {
        [Change::Sweep {
            after: log[0].position,
            through: log[5].position,
            is_offline,
        }]
    };
    let left = async |places: &[usize]| {
        let left: Vec<_> = places.iter().map(|place| log[*place].clone()).collect();
        assert_eq!(page(store, Query::after(Position::START, 9)).await, left);
    };
    commit(store, OWNER, sweep(false)).await;
    left(&[0, 2, 3, 4, 6]).await;
    commit(store, OWNER, sweep(true)).await;
    left(&[0, 3, 4, 6]).await;
}

/// The owner is part of the key, with its ends marked.
pub async fn logs_of_similar_owners_do_not_mix(store: &dyn Store) {
    let owners = [
        "ann@a.example",
        "anna@a.example",
        "an@a.example",
        "a.example",
        "ann@b.example",
    ];
    for (n, owner) in owners.iter().enumerate() {
        commit(store, owner, [Change::Append(entry(1, n as u64 + 1, true))]).await;
    }
    for (n, owner) in owners.iter().enumerate() {
        let found = store
            .archive_page(&bare(owner), &Query::before(None, 9))
            .await
            .unwrap();
        assert_eq!(found, [entry(1, n as u64 + 1, true)], "{owner}");
    }
    commit(
        store,
        owners[0],
        [Change::Purge {
            through: Position::new(9, 9),
        }],
    )
    .await;
    for owner in &owners[1..] {
        assert!(
            store.archive_last(&bare(owner)).await.unwrap().is_some(),
            "{owner}"
        );
    }
}

/// Stanzas are bytes, up to the largest anyone may send.
pub async fn a_large_stanza_comes_back_byte_for_byte(store: &dyn Store) {
    let stanza: Bytes = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let large = Entry {
        stanza,
        ..entry(1, 1, false)
    };
    let empty = Entry {
        stanza: Bytes::new(),
        ..entry(1, 2, false)
    };
    fill(store, &[large.clone(), empty.clone()]).await;
    assert_eq!(
        page(store, Query::after(Position::START, 9)).await,
        [large, empty]
    );
}
