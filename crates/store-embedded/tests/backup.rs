//! Copies of the store, made while it works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use starling_store::account::Read as _;
use starling_store::contract::sample;
use starling_store::outbox::{self, Bucket, Read as _};
use starling_store::roster::Read as _;
use starling_store::vcard::Read as _;
use starling_store::{Position, Stamp, Store, Write, vcard};
use starling_store_embedded::{Config, Embedded, FILE_NAME, JOURNAL_NAME, OpenError};

fn open(folder: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(folder, &Config::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_consistent_while_writes_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).unwrap());
    for n in 0..500 {
        let account = sample::account(&format!("user{n}@capulet.example"));
        store.create_account(account).await.unwrap();
        if n == 0 {
            sample::commit(&*store, "user0@capulet.example", sample::everything()).await;
        }
    }
    // One commit writes two owners alike; a consistent copy has them alike.
    let pair = ["user1@capulet.example", "user2@capulet.example"].map(sample::bare);
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, is_done, pair) = (Arc::clone(&store), Arc::clone(&is_done), pair.clone());
        async move {
            let mut n = 0u64;
            while !is_done.load(Ordering::SeqCst) {
                n += 1;
                let writes = pair.iter().map(|owner| {
                    let change = vcard::Change::Put(n.to_string().into());
                    Write::new(owner.clone(), Stamp::new(1, n), change)
                });
                store.commit(writes.collect()).await.unwrap();
            }
        }
    });
    let target = tempfile::tempdir().unwrap();
    let copy = target.path().join(FILE_NAME);
    for _ in 0..3 {
        let backup = store.backup(&copy).await.unwrap();
        assert_eq!(backup.bytes, fs::metadata(&copy).unwrap().len());
        let restored = open(target.path()).unwrap();
        let cards = [
            restored.vcard(&pair[0]).await.unwrap(),
            restored.vcard(&pair[1]).await.unwrap(),
        ];
        assert_eq!(cards[0], cards[1]);
        assert_eq!(
            restored.account_count("capulet.example").await.unwrap(),
            500
        );
        let owner = sample::bare("user0@capulet.example");
        assert_eq!(
            restored.login(&owner).await.unwrap(),
            store.login(&owner).await.unwrap()
        );
        assert_eq!(
            restored.roster(&owner).await.unwrap(),
            store.roster(&owner).await.unwrap()
        );
    }
    is_done.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let names = fs::read_dir(target.path()).unwrap();
    let is_other = |name: &str| name != FILE_NAME && !name.starts_with(JOURNAL_NAME);
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        names.find(|name| is_other(name)),
        None,
        "nothing else is left"
    );
}

#[tokio::test]
async fn a_backup_never_overwrites_the_store_and_names_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let error = store.backup(store.path()).await.unwrap_err();
    assert!(error.to_string().contains("the store itself"), "{error}");
    let error = store
        .backup(&folder.path().join("missing/copy"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("missing/copy"), "{error}");
    // A segment in its place would be the end of what is stored from then on.
    for number in 0..2 {
        let segment = folder.path().join(format!("{JOURNAL_NAME}.{number}"));
        let error = store.backup(&segment).await.unwrap_err();
        assert!(error.to_string().contains("the store itself"), "{error}");
    }
    store.commit(Vec::new()).await.unwrap();
}

/// Two at once wrote into one file, and the first one's success was the other
/// one's half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_backups_at_once_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let owner = sample::bare("juliet@capulet.example");
    let card = vcard::Change::Put(vec![b'x'; 1 << 20].into());
    let write = Write::new(owner.clone(), Stamp::new(1, 1), card);
    store.commit(vec![write]).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    let copy = target.path().join(FILE_NAME);
    let (one, other) = tokio::join!(store.backup(&copy), store.backup(&copy));
    assert!(one.is_ok() || other.is_ok());
    for error in [one, other].into_iter().filter_map(Result::err) {
        assert!(error.to_string().contains("another backup"), "{error}");
    }
    let restored = open(target.path()).unwrap();
    let card = restored.vcard(&owner).await.unwrap().unwrap();
    assert_eq!(card.len(), 1 << 20);
    drop(restored);
    store.backup(&copy).await.unwrap();
}

/// Keys that begin with a number may begin with the greatest octet.
#[tokio::test]
async fn a_backup_has_the_last_shards_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let owner = sample::bare("juliet@capulet.example");
    let (shard, through) = (u16::MAX, Position::new(1, 1));
    let bucket = Bucket {
        shard,
        hour: u32::MAX,
    };
    let peer = "peer.example".into();
    let done = outbox::Change::Done {
        shard,
        peer,
        through,
    };
    let write = Write::new(owner, Stamp::new(1, 1), done);
    store.commit(vec![write]).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    store.backup(&target.path().join(FILE_NAME)).await.unwrap();
    let restored = open(target.path()).unwrap();
    let outline = restored.outbox(shard).await.unwrap();
    assert_eq!(outline.peers.len(), 1);
    assert_eq!(outline, store.outbox(shard).await.unwrap());
    let rows = restored.outbox_page(bucket, Position::START, 9).await;
    assert_eq!(rows.unwrap(), []);
}
