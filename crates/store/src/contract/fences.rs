//! What the contract says of fences, seals and epochs.

use super::sample::{bare, commit, entry};
use crate::archive::{Change, Query};
use crate::fence::ShardEpoch;
use crate::{Error, Position, Seal, Stamp, Store, Write};

const OWNER: &str = "juliet@capulet.example";

/// A fence stays, and is for one node only.
pub async fn a_fence_is_seen_and_stays(store: &dyn Store) {
    assert!(!store.is_fenced("node-1.7").await.unwrap());
    store
        .fence("node-1.7", "the controller on node-2")
        .await
        .unwrap();
    store.fence("node-1.7", "somebody else").await.unwrap();
    assert!(store.is_fenced("node-1.7").await.unwrap());
    assert!(!store.is_fenced("node-1.8").await.unwrap());
    assert!(!store.is_fenced("node-1").await.unwrap());
}

/// An epoch is used once, whatever the placement believes.
pub async fn no_epoch_is_used_twice(store: &dyn Store) {
    let at = |shard, epoch| ShardEpoch { shard, epoch };
    assert_eq!(store.highest_epochs(3).await.unwrap(), [0, 0, 0]);
    let first = [at(0, 1), at(2, 7)];
    store.raise_epochs("a", &first).await.unwrap();
    store.raise_epochs("a", &first).await.unwrap();
    assert_eq!(store.highest_epochs(3).await.unwrap(), [1, 0, 7]);
    for (node, stale) in [("b", at(2, 7)), ("b", at(2, 6)), ("a", at(2, 6))] {
        let refused = store.raise_epochs(node, &[stale]).await;
        assert!(
            matches!(refused, Err(Error::Refused { .. })),
            "{node} {stale:?} {refused:?}"
        );
    }
    store
        .raise_epochs("b", &[at(2, 8), at(1, 1)])
        .await
        .unwrap();
    assert_eq!(store.highest_epochs(3).await.unwrap(), [1, 1, 8]);
}

/// Sealing does nothing to what was there, nor to what comes under the new
/// epoch.
pub async fn a_seal_keeps_what_it_found(store: &dyn Store) {
    let owner = bare(OWNER);
    let log = [entry(1, 1, true), entry(1, 2, false)];
    commit(store, OWNER, log.iter().cloned().map(Change::Append)).await;
    let last = log[1].position;
    for _ in 0..2 {
        store.seal(&owner, Seal { epoch: 2, last }).await.unwrap();
    }
    let new = entry(2, 3, false);
    commit(store, OWNER, [Change::Append(new.clone())]).await;
    let page = store
        .archive_page(&owner, &Query::after(Position::START, 9))
        .await
        .unwrap();
    let [first, second] = log;
    assert_eq!(page, [first, second, new]);
}

/// What an owner writes after it lost its shard was never acknowledged, and is
/// never seen. Only for stores that several processes can have open.
pub async fn what_comes_after_the_seal_is_void(store: &dyn Store) {
    let owner = bare(OWNER);
    let late = |seq, n| {
        let late = Change::Append(entry(1, seq, true));
        vec![Write::new(owner.clone(), Stamp::new(1, n), late)]
    };
    store
        .create_account(super::sample::account(OWNER))
        .await
        .unwrap();
    let kept = entry(1, 10, true);
    store.commit(late(10, 1)).await.unwrap();
    let last = kept.position;
    store.seal(&owner, Seal { epoch: 2, last }).await.unwrap();
    // In the log as it was left, and once more before and after the new
    // owner's first entry.
    store.commit(late(20, 2)).await.unwrap();
    let new = entry(2, 15, true);
    let write = Write::new(owner.clone(), Stamp::new(2, 1), Change::Append(new.clone()));
    store.commit(vec![write]).await.unwrap();
    store.commit(late(30, 3)).await.unwrap();

    let expected = [kept.clone(), new.clone()];
    let read = |query: Query| {
        let owner = owner.clone();
        async move { store.archive_page(&owner, &query).await.unwrap() }
    };
    assert_eq!(read(Query::after(Position::START, 9)).await, expected);
    assert_eq!(
        read(Query::after(Position::START, 9).offline_only()).await,
        expected
    );
    assert_eq!(read(Query::before(None, 1)).await, expected[1..]);
    let before = Query::before(Some(new.position), 1);
    assert_eq!(read(before).await, expected[..1]);
    let entry_at = |position| {
        let owner = owner.clone();
        async move { store.archive_entry(&owner, position).await.unwrap() }
    };
    assert_eq!(entry_at(Position::new(1, 20)).await, None);
    assert_eq!(entry_at(last).await, Some(kept));
    let bundle = store.login(&owner).await.unwrap().unwrap();
    assert_eq!(bundle.last_position, Some(new.position));
    assert_eq!(bundle.offline.entries, 2);
}

/// A log that was empty when it was sealed stays so for the old owner.
pub async fn an_empty_log_can_be_sealed(store: &dyn Store) {
    let owner = bare(OWNER);
    let last = Position::START;
    store.seal(&owner, Seal { epoch: 2, last }).await.unwrap();
    let late = Change::Append(entry(1, 5, true));
    let write = Write::new(owner.clone(), Stamp::new(1, 1), late);
    store.commit(vec![write]).await.unwrap();
    assert_eq!(store.archive_last(&owner).await.unwrap(), None);
    let tally = store.offline_tally(&owner, Position::START).await.unwrap();
    assert_eq!(tally.entries, 0);
}
