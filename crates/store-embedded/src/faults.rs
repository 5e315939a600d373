//! Tests on a disk that fails on demand, or loses its power.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

mod disk;
mod journal;
mod model;
mod portions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use redb::Database;
use starling_store::archive::Query;
use starling_store::contract::sample;
use starling_store::{Error, Position, Stamp, Store, Write, account, archive, vcard};

use disk::{Disk, Mode};

use crate::journal::Medium;
use crate::layers::Layer;
use crate::open::Opened;
use crate::snapshot::Snapshot;
use crate::space::{self, Gauge, Space};
use crate::table::{self, Name};
use crate::{Config, Embedded, backup, key};

const OWNER: &str = "juliet@capulet.example";

/// Settings under which a few commits fill a segment of the journal.
fn hasty() -> Config {
    Config {
        journal_bytes: 1_000,
        ..Config::default()
    }
}

fn open(disk: &Disk, gauge: Gauge) -> Embedded {
    open_as(disk, gauge, &Config::default())
}

fn open_as(disk: &Disk, gauge: Gauge, config: &Config) -> Embedded {
    let mut builder = Database::builder();
    builder.set_cache_size(config.cache_bytes);
    start(disk, &builder, gauge, config)
}

fn start(disk: &Disk, builder: &redb::Builder, gauge: Gauge, config: &Config) -> Embedded {
    let database = builder.create_with_backend(disk.file(0)).unwrap();
    let media = [1, 2].map(|number| Box::new(disk.file(number)) as Medium);
    let opened = Opened::of(database, media).unwrap();
    let space = Space::new(gauge, config.free_bytes_min);
    Embedded::start(opened, space, config, PathBuf::new()).unwrap()
}

fn append(seq: u64) -> Vec<Write> {
    let change = archive::Change::Append(sample::entry(1, seq, true));
    vec![Write::new(sample::bare(OWNER), Stamp::new(1, seq), change)]
}

async fn last(store: &Embedded) -> u64 {
    let page = Query::before(None, 1_000);
    let page = archive::Read::archive_page(store, &sample::bare(OWNER), &page)
        .await
        .unwrap();
    let newest = page.first().map_or(0, |entry| entry.position.seq);
    assert_eq!(page.len() as u64, newest, "no hole");
    newest
}

#[tokio::test]
async fn acknowledged_writes_survive_any_power_cut() {
    let disk = Disk::default();
    let store = open_as(&disk, space::endless(), &hasty());
    for seq in 1..=24 {
        store.commit(append(seq)).await.unwrap();
        for survivors in [0u32, u32::MAX, 0x5555_5555, 0xaaaa_aaaa, 0x0f0f_1248] {
            let after = disk.after_power_cut(|n| survivors >> (n % 32) & 1 == 1);
            assert!(last(&open(&after, space::endless())).await >= seq);
        }
    }
}

#[tokio::test]
async fn a_failed_sync_stops_the_store_and_acknowledges_nothing() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    store.commit(append(1)).await.unwrap();
    disk.set(Mode::SyncFails);
    let error = store.commit(append(2)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed { remedy, .. } if !remedy.is_empty()),
        "{error}"
    );

    // The disk says it is well again; the store knows better.
    disk.set(Mode::Works);
    assert_eq!(store.commit(append(3)).await, Err(error.clone()));
    assert_eq!(store.commit(Vec::new()).await, Err(error.clone()));
    assert_eq!(store.login(&sample::bare(OWNER)).await, Err(error.clone()));
    assert_eq!(store.failed().await, error);
    drop(store);

    let after = disk.after_power_cut(|_| false);
    let reopened = open(&after, space::endless());
    assert_eq!(last(&reopened).await, 1);
    reopened.commit(append(2)).await.unwrap();
}

#[tokio::test]
async fn every_commit_of_a_failed_batch_is_told() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    disk.set(Mode::SyncFails);
    let commits = (1..=50).map(|seq| store.commit(append(seq)));
    for result in futures_of(commits).await {
        assert!(result.unwrap_err().is_fatal());
    }
}

async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut results = Vec::new();
    // All are polled once, and so queued, before the first is awaited.
    std::future::poll_fn(|context| {
        pinned.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                results.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pinned.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results
}

#[tokio::test]
async fn a_disk_that_fills_during_a_write_stops_the_store_with_nothing_half_written() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    store.commit(append(1)).await.unwrap();
    disk.set(Mode::IsFull);
    let error = store.commit(append(2)).await.unwrap_err();
    assert!(
        error.is_fatal() && error.to_string().contains("filled up"),
        "{error}"
    );
    drop(store);
    disk.set(Mode::Works);
    let reopened = open(&disk.after_power_cut(|_| true), space::endless());
    assert_eq!(last(&reopened).await, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let gauge = Arc::clone(&free);
    let disk = Disk::default();
    let store = open(&disk, Box::new(move || Ok(gauge.load(Ordering::SeqCst))));
    store.commit(append(1)).await.unwrap();

    free.store(Config::default().free_bytes_min, Ordering::SeqCst);
    let error = store.commit(append(2)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Full { remedy, .. } if remedy.contains("room")),
        "{error}"
    );
    assert_eq!(last(&store).await, 1, "reads go on");
    let purge = archive::Change::Purge {
        through: Position::new(1, 1),
    };
    sample::commit(&store, OWNER, [purge]).await;

    free.store(u64::MAX, Ordering::SeqCst);
    store.commit(append(1)).await.unwrap();
}

/// It could fill the disk of the store up, which stopped the store.
#[tokio::test]
async fn a_backup_leaves_the_store_its_room() {
    let store = open(&Disk::default(), space::endless());
    store.commit(append(1)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy");
    let snapshot = Snapshot::now(&store.database, &store.layers).unwrap();
    let full = Space::new(Box::new(|| Ok(64_000_000)), 64_000_000);
    let error = backup::write(&snapshot, &to, Some(&full)).unwrap_err();
    assert!(error.to_string().contains("free on the disk"), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    backup::write(&snapshot, &to, None).unwrap();
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_stops_the_store() {
    let disk = Disk::default();
    let large = Write::new(
        sample::bare(OWNER),
        Stamp::new(1, 1),
        vcard::Change::Put(Bytes::from(vec![b'x'; 1 << 20])),
    );
    open(&disk, space::endless())
        .commit(vec![large])
        .await
        .unwrap();
    // Opened again without a cache, so that every read asks the disk.
    let mut builder = Database::builder();
    let store = start(&disk, builder.set_cache_size(0), space::endless(), &hasty());
    disk.set(Mode::ReadFails);
    let owner = sample::bare(OWNER);
    let error = starling_store::vcard::Read::vcard(&store, &owner)
        .await
        .unwrap_err();
    assert!(error.is_fatal());
    assert_eq!(store.commit(append(1)).await, Err(error));
}

/// Overwrites a row behind the store's back.
fn damage(disk: &Disk, name: Name, key: &[u8]) {
    let database = Database::builder()
        .create_with_backend(disk.file(0))
        .unwrap();
    let transaction = database.begin_write().unwrap();
    let mut layer = Layer::default();
    let garbage = Bytes::from_static(b"\x01garbage");
    layer.set(name, Bytes::copy_from_slice(key), Some(garbage));
    let rows: Vec<_> = layer.all().collect();
    table::settle(&transaction, &rows).unwrap();
    transaction.commit().unwrap();
}

/// An entry that cannot be read once kept an account from everything behind
/// it, for good.
#[tokio::test]
async fn one_damaged_entry_does_not_hide_the_others() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    let owner = sample::bare(OWNER);
    store.create_account(sample::account(OWNER)).await.unwrap();
    let log: Vec<_> = (1..=3).map(|seq| sample::entry(1, seq, true)).collect();
    let appends = log.iter().cloned().map(archive::Change::Append);
    sample::commit(&store, OWNER, appends).await;
    drop(store);
    let bad = key::entry(&owner, log[1].position);
    damage(&disk, Name::Archive, &bad);

    let store = open(&disk, space::endless());
    let bundle = store.login(&owner).await.unwrap().unwrap();
    assert_eq!(bundle.offline.entries, 2);
    let query = Query::after(Position::START, 9).offline_only();
    let page = archive::Read::archive_page(&store, &owner, &query).await;
    assert_eq!(page.unwrap(), [log[0].clone(), log[2].clone()]);
    let through = log[2].position;
    sample::commit(&store, OWNER, [archive::Change::Purge { through }]).await;
    let last = archive::Read::archive_last(&store, &owner).await.unwrap();
    assert_eq!(last, Some(log[1].position), "it stays, to be repaired");
}

/// Counting what waits takes as long as much waits: not on a thread that
/// serves others.
#[tokio::test]
async fn a_login_finds_all_that_waits_however_much() {
    let store = open(&Disk::default(), space::endless());
    store.create_account(sample::account(OWNER)).await.unwrap();
    let large = |seq| archive::Entry {
        stanza: Bytes::from(vec![b'x'; 100_000]),
        ..sample::entry(1, seq, true)
    };
    for count in 1..=4 {
        let append = archive::Change::Append(large(count));
        sample::commit(&store, OWNER, [append]).await;
        let bundle = store.login(&sample::bare(OWNER)).await.unwrap().unwrap();
        let waiting = (bundle.offline.entries, bundle.offline.bytes);
        assert_eq!(waiting, (count, count * 100_000));
    }
}

#[tokio::test]
async fn one_damaged_record_is_one_accounts_fault() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    for jid in [OWNER, "nurse@capulet.example"] {
        store.create_account(sample::account(jid)).await.unwrap();
    }
    drop(store);
    damage(&disk, Name::Account, &key::owner(&sample::bare(OWNER)));

    let store = open(&disk, space::endless());
    let error = store.login(&sample::bare(OWNER)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { place, .. } if place == OWNER),
        "{error}"
    );
    let disable = |jid: &str| {
        let change = account::Change::SetDisabled(true);
        store.commit(vec![Write::new(
            sample::bare(jid),
            Stamp::new(1, 1),
            change,
        )])
    };
    let commits = [
        disable("nurse@capulet.example"),
        disable(OWNER),
        store.commit(append(1)),
    ];
    let results = futures_of(commits.into_iter()).await;
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        2,
        "{results:?}"
    );
    assert!(
        store
            .login(&sample::bare("nurse@capulet.example"))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(last(&store).await, 1);
}
