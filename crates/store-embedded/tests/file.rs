//! The data file and its journal: opening, damage, locks, upgrades.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::fs;
use std::path::Path;

use starling_store::account::Read as _;
use starling_store::archive::{Change, Query, Read as _};
use starling_store::contract::sample;
use starling_store::meta::Meta;
use starling_store::vcard::Read as _;
use starling_store::{Stamp, Store, Write, vcard};
use starling_store_embedded::{Config, Embedded, FILE_NAME, JOURNAL_NAME, OpenError};

const OWNER: &str = "juliet@capulet.example";

fn open(folder: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(folder, &Config::default())
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    store.create_account(sample::account(OWNER)).await.unwrap();
    sample::commit(&store, OWNER, sample::everything()).await;
    store.set_meta("key", "value".into()).await.unwrap();
    let before = store.login(&sample::bare(OWNER)).await.unwrap();
    drop(store);

    let store = open(folder.path()).unwrap();
    assert!(before.is_some());
    assert_eq!(store.login(&sample::bare(OWNER)).await.unwrap(), before);
    assert_eq!(
        store.meta("key").await.unwrap().as_deref(),
        Some(&b"value"[..])
    );
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(
        fs::metadata(store.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_file_in_use_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder.path().join("missing")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("missing"));
}

#[tokio::test]
async fn a_damaged_file_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let store = open(folder.path()).unwrap();
    sample::commit(&store, OWNER, sample::everything()).await;
    drop(store);
    let whole = fs::read(&path).unwrap();

    let mut no_header = whole.clone();
    no_header[..4096].fill(0x55);
    let damages = [
        b"this is no database".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        no_header,
    ];
    for damaged in damages {
        fs::write(&path, &damaged).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(FILE_NAME) && text.contains("backup"),
            "{text}"
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            damaged,
            "the damaged file is left as it is"
        );
    }
}

/// Pages overwritten anywhere: whatever comes of it, no panic reaches the
/// caller and nobody else's data is invented.
#[tokio::test]
async fn damage_inside_the_file_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let store = open(folder.path()).unwrap();
    for n in 0..40 {
        let owner = format!("user{n}@capulet.example");
        store.create_account(sample::account(&owner)).await.unwrap();
        sample::commit(&store, &owner, sample::everything()).await;
    }
    drop(store);
    let whole = fs::read(&path).unwrap();
    for page in (4096..whole.len()).step_by(4096 * 7) {
        let mut damaged = whole.clone();
        damaged[page..page + 256].fill(0xa5);
        fs::write(&path, &damaged).unwrap();
        let Ok(store) = open(folder.path()) else {
            continue;
        };
        for n in 0..40 {
            let _ = store
                .login(&sample::bare(&format!("user{n}@capulet.example")))
                .await;
        }
        let _ = store.accounts("capulet.example", None, 99).await;
    }
}

#[test]
fn a_newer_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let database = redb::Database::open(folder.path().join(FILE_NAME)).unwrap();
    let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    let transaction = database.begin_write().unwrap();
    let newer = 99u32.to_be_bytes();
    transaction
        .open_table(meta)
        .unwrap()
        .insert(&b"\0schema"[..], &newer[..])
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open(folder.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
}

/// A file from before conversations were found by pointers gets them.
#[tokio::test]
async fn an_older_file_is_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let owner = sample::bare("juliet@capulet.example");
    let entry = sample::entry(1, 2, false);
    let store = open(folder.path()).unwrap();
    sample::commit(&store, owner.as_str(), [Change::Append(entry.clone())]).await;
    drop(store);
    let database = redb::Database::open(folder.path().join(FILE_NAME)).unwrap();
    let table = redb::TableDefinition::<&[u8], &[u8]>::new;
    let transaction = database.begin_write().unwrap();
    transaction.delete_table(table("archive_peer")).unwrap();
    let version = 1u32.to_be_bytes();
    transaction
        .open_table(table("meta"))
        .unwrap()
        .insert(&b"\0schema"[..], &version[..])
        .unwrap();
    transaction.commit().unwrap();
    drop(database);

    let store = open(folder.path()).unwrap();
    let query = Query::before(None, 9)
        .archived_only()
        .with(entry.peer.clone());
    assert_eq!(store.archive_page(&owner, &query).await.unwrap(), [entry]);
}

/// A new data file that was cut short was taken for a damaged one, and the node
/// never started.
#[tokio::test]
async fn a_first_start_that_was_cut_short_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("starling.redb.new"), vec![0; 1 << 16]).unwrap();
    fs::write(folder.path().join(FILE_NAME), b"").unwrap();
    fs::write(segment(folder.path(), 0), b"").unwrap();
    let store = open(folder.path()).unwrap();
    store.create_account(sample::account(OWNER)).await.unwrap();
    let mut names = fs::read_dir(folder.path()).unwrap();
    assert!(names.all(|entry| entry.unwrap().file_name() != "starling.redb.new"));
}

/// A file as it was before there was a journal: none of its marks, and no
/// segments beside it.
#[tokio::test]
async fn a_file_from_before_there_was_a_journal_is_opened() {
    let (folder, store) = with_cards(3).await;
    drop(store);
    let database = redb::Database::open(folder.path().join(FILE_NAME)).unwrap();
    let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    let transaction = database.begin_write().unwrap();
    let mut rows = transaction.open_table(meta).unwrap();
    rows.remove(&b"\0journal"[..]).unwrap();
    let version = 4u32.to_be_bytes();
    rows.insert(&b"\0schema"[..], &version[..]).unwrap();
    drop(rows);
    transaction.commit().unwrap();
    drop(database);
    for number in 0..2 {
        fs::remove_file(segment(folder.path(), number)).unwrap();
    }
    assert_eq!(card(&open(folder.path()).unwrap()).await, "<vCard n='3'/>");
    assert_eq!(card(&open(folder.path()).unwrap()).await, "<vCard n='3'/>");
}

#[test]
fn another_programs_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = redb::Database::create(folder.path().join(FILE_NAME)).unwrap();
    let foreign = redb::TableDefinition::<u64, u64>::new("foreign");
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(foreign)
        .unwrap()
        .insert(1, 1)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn an_oversized_record_is_refused_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let put = |bytes: usize| vcard::Change::Put(vec![b'x'; bytes].into());
    let large = Write::new(sample::bare(OWNER), Stamp::new(1, 1), put(17 << 20));
    let error = store.commit(vec![large]).await.unwrap_err();
    assert!(
        matches!(error, starling_store::Error::Refused { .. }),
        "{error}"
    );
    sample::commit(&store, OWNER, [put(1 << 20)]).await;
    assert_eq!(
        store
            .vcard(&sample::bare(OWNER))
            .await
            .unwrap()
            .unwrap()
            .len(),
        1 << 20
    );
}

/// What a crash would leave now: a copy of every file.
fn crashed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn segment(folder: &Path, number: u8) -> std::path::PathBuf {
    folder.join(format!("{JOURNAL_NAME}.{number}"))
}

async fn with_cards(count: u64) -> (tempfile::TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for n in 1..=count {
        let text = format!("<vCard n='{n}'/>");
        let change = vcard::Change::Put(text.into());
        let write = Write::new(sample::bare(OWNER), Stamp::new(1, n), change);
        store.commit(vec![write]).await.unwrap();
    }
    (folder, store)
}

async fn card(store: &Embedded) -> String {
    let card = store.vcard(&sample::bare(OWNER)).await.unwrap().unwrap();
    String::from_utf8(card.to_vec()).unwrap()
}

#[tokio::test]
async fn what_only_the_journal_has_is_taken_up() {
    let (folder, store) = with_cards(3).await;
    let after = crashed(folder.path());
    assert_eq!(card(&open(after.path()).unwrap()).await, "<vCard n='3'/>");
    drop(store);
    // After a clean end the data file alone is the store.
    for number in 0..2 {
        fs::remove_file(segment(folder.path(), number)).unwrap();
    }
    assert_eq!(card(&open(folder.path()).unwrap()).await, "<vCard n='3'/>");
}

/// The last batch may be torn by a power cut; one before it cannot be, so what
/// is damaged there was acknowledged.
#[tokio::test]
async fn a_damaged_journal_is_not_taken_for_a_torn_one() {
    let (folder, _store) = with_cards(3).await;
    for (number, is_damage) in [(1, true), (2, true), (3, false)] {
        let after = crashed(folder.path());
        let segment = segment(after.path(), 0);
        let mut bytes = fs::read(&segment).unwrap();
        let text = format!("<vCard n='{number}'/>").into_bytes();
        let at = bytes.windows(text.len()).position(|part| part == text);
        bytes[at.unwrap()] = b'>';
        fs::write(&segment, bytes).unwrap();
        let opened = open(after.path());
        if is_damage {
            let error = opened.unwrap_err();
            assert!(
                matches!(error, OpenError::DamagedJournal { .. }),
                "{number}: {error}"
            );
        } else {
            assert_eq!(card(&opened.unwrap()).await, "<vCard n='2'/>");
        }
    }
}

#[tokio::test]
async fn the_journal_of_another_file_is_not_mixed_in() {
    let (folder, _store) = with_cards(1).await;
    let after = crashed(folder.path());
    let (other, store) = with_cards(2).await;
    drop(store);
    fs::copy(other.path().join(FILE_NAME), after.path().join(FILE_NAME)).unwrap();
    let error = open(after.path()).unwrap_err();
    assert!(matches!(error, OpenError::ForeignJournal { .. }), "{error}");
    assert!(error.to_string().contains(JOURNAL_NAME), "{error}");
}

/// The store began without what was acknowledged last, and said so in its log
/// only.
#[tokio::test]
async fn a_crash_without_its_journal_is_refused_with_a_remedy() {
    let (folder, _store) = with_cards(2).await;
    for gone in [&[0, 1][..], &[0], &[1]] {
        let after = crashed(folder.path());
        for number in gone {
            fs::remove_file(segment(after.path(), *number)).unwrap();
        }
        let error = open(after.path()).unwrap_err();
        assert!(matches!(error, OpenError::MissingJournal { .. }), "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
        for number in gone {
            let name = segment(folder.path(), *number);
            fs::copy(name, segment(after.path(), *number)).unwrap();
        }
        assert_eq!(card(&open(after.path()).unwrap()).await, "<vCard n='2'/>");
    }
}
