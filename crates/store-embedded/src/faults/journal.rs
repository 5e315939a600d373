//! Tests of what a journal goes through: damage and loss of its files, tables
//! that take long or fail, and what is too long for it.

use super::*;
use crate::journal::recovery;
use crate::schema::{self, Unfit};

fn refusal(disk: &Disk) -> recovery::Unfit {
    let database = Database::builder()
        .create_with_backend(disk.file(0))
        .unwrap();
    let media = [1, 2].map(|number| Box::new(disk.file(number)) as Medium);
    match schema::prepare(&database, media).unwrap_err() {
        Unfit::Journal(unfit) => unfit,
        other => panic!("{other:?}"),
    }
}

/// A segment whose beginning could not be read was passed over, with all that
/// was acknowledged from it.
#[tokio::test]
async fn a_damaged_header_does_not_hide_what_is_behind_it() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    store.commit(append(1)).await.unwrap();
    let whole = disk.content(1);
    for octet in 0..8 {
        let mut damaged = whole.clone();
        damaged[octet] ^= 1;
        let unfit = refusal(&disk.with(1, damaged));
        assert!(matches!(unfit, recovery::Unfit::Damaged), "{unfit:?}");
    }
    let mut damaged = whole.clone();
    damaged[8] ^= 1; // Where it says to whom it belongs.
    let unfit = refusal(&disk.with(1, damaged));
    assert!(matches!(unfit, recovery::Unfit::Foreign), "{unfit:?}");
    assert_eq!(last(&open(&disk.with(1, whole), space::endless())).await, 1);
}

/// A crash, and then the journal was not moved with the data file: the store
/// began without what was acknowledged last.
#[tokio::test]
async fn a_journal_that_is_not_there_is_missed_after_a_crash_and_not_after_an_end() {
    let disk = Disk::default();
    let store = open_as(&disk, space::endless(), &hasty());
    for seq in 1..=20 {
        store.commit(append(seq)).await.unwrap();
        let crashed = disk.after_power_cut(|_| false);
        for (number, left) in [(1, 0), (2, 0), (1, 20), (2, 20)] {
            let mut bytes = crashed.content(number);
            bytes.truncate(left);
            let unfit = refusal(&crashed.with(number, bytes));
            assert!(matches!(unfit, recovery::Unfit::Missing), "{unfit:?}");
        }
    }
    drop(store);
    let ended = disk.with(1, Vec::new()).with(2, Vec::new());
    assert_eq!(last(&open(&ended, space::endless())).await, 20);
}

/// Every octet of every record, flipped: what is acknowledged is there or is
/// known to be lost, but for the last record, which cannot be told from a torn
/// one.
#[tokio::test]
async fn damage_anywhere_is_found_or_costs_the_last_batch_only() {
    let disk = Disk::default();
    let store = open(&disk, space::endless());
    for seq in 1..=4 {
        store.commit(append(seq)).await.unwrap();
    }
    let whole = disk.content(1);
    let end = whole.iter().rposition(|octet| *octet != 0).unwrap();
    for at in (0..=end).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let disk = disk.with(1, damaged);
        let database = Database::builder()
            .create_with_backend(disk.file(0))
            .unwrap();
        let media = [1, 2].map(|number| Box::new(disk.file(number)) as Medium);
        let is_open = schema::prepare(&database, media).is_ok();
        drop(database);
        if is_open {
            let last = last(&open(&disk, space::endless())).await;
            assert!(last >= 3, "octet {at}: {last}");
        }
    }
}

#[tokio::test]
async fn tables_that_make_the_program_panic_stop_the_store_and_block_nobody() {
    let disk = Disk::default();
    let store = open_as(&disk, space::endless(), &hasty());
    disk.set(Mode::DataPanics);
    let mut acknowledged = 0;
    let error = loop {
        match store.commit(append(acknowledged + 1)).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_fatal(), "{error}");
    assert_eq!(store.failed().await, error);
    disk.set(Mode::Works);
    drop(store);
    let after = disk.after_power_cut(|_| false);
    assert_eq!(last(&open(&after, space::endless())).await, acknowledged);
}

/// The sync of the tables failed and is never tried again: the journal still
/// has everything.
#[tokio::test]
async fn tables_that_cannot_be_synced_stop_the_store_and_lose_nothing() {
    let disk = Disk::default();
    let store = open_as(&disk, space::endless(), &hasty());
    disk.set(Mode::DataSyncFails);
    let mut acknowledged = 0;
    while store.commit(append(acknowledged + 1)).await.is_ok() {
        acknowledged += 1;
    }
    assert!(store.failed().await.is_fatal());
    disk.set(Mode::Works);
    assert!(store.commit(append(99)).await.is_err(), "it stays stopped");
    drop(store);
    let after = disk.after_power_cut(|_| false);
    let found = last(&open(&after, space::endless())).await;
    assert!(
        found == acknowledged || found == acknowledged + 1,
        "{found} of {acknowledged}"
    );
}

/// While the tables take long, the journal grows to its bound and no further;
/// then commits wait, and go on once the tables do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_bounded_while_the_tables_take_long() {
    let disk = Disk::default();
    let config = Config {
        journal_bytes: 20_000,
        ..Config::default()
    };
    let store = Arc::new(open_as(&disk, space::endless(), &config));
    disk.set(Mode::DataHangs);
    let (told, mut acknowledged) = tokio::sync::watch::channel(0);
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for seq in 1..=1_000 {
                store.commit(append(seq)).await.unwrap();
                told.send_replace(seq);
            }
        }
    });
    // It has begun the other segment, and filled that to its bound, when the
    // one who waits for the disk has been waited for.
    let fills = |number: usize| {
        let content = disk.content(number);
        content.iter().rposition(|octet| *octet != 0).unwrap_or(0)
    };
    let record_bytes = 1_000;
    while fills(2) < 40_000 - record_bytes {
        acknowledged.changed().await.unwrap();
    }
    let bytes = store.layers.bytes();
    disk.set(Mode::Works);
    assert!(bytes > 59_000, "all of it was in memory: {bytes}");
    writer.await.unwrap();
    assert_eq!(last(&store).await, 1_000);
    let longest = fills(1).max(fills(2));
    assert!(longest < 40_000 + record_bytes, "it is bounded: {longest}");
}

/// A log of any length is erased, a piece at a time, however many rows there
/// are; and if it is cut short the account is still there.
#[tokio::test]
async fn an_account_with_a_long_log_is_erased_in_pieces() {
    let disk = Disk::default();
    let store = open_as(&disk, space::endless(), &hasty());
    store.create_account(sample::account(OWNER)).await.unwrap();
    let appends = |count| (1..=count).flat_map(append);
    store.commit(appends(950).collect()).await.unwrap();
    let remove = || {
        let remove = account::Change::Remove;
        vec![Write::new(sample::bare(OWNER), Stamp::new(1, 1), remove)]
    };
    for requests in [3, 20, 60, 150] {
        let cut = disk.with(1, disk.content(1));
        let store = open_as(&cut, space::endless(), &hasty());
        cut.cut_after(requests, disk::Dice(requests));
        let is_told = store.commit(remove()).await.is_ok();
        drop(store);
        let after = open(&cut.remains(), space::endless());
        let account = account::Read::account(&after, &sample::bare(OWNER)).await;
        let left = archive::Read::archive_last(&after, &sample::bare(OWNER)).await;
        match account.unwrap() {
            Some(_) => assert!(!is_told),
            None => assert_eq!(left, Ok(None), "nothing is left of who is gone"),
        }
    }
    store.commit(remove()).await.unwrap();
    let (login, log) = (
        store.login(&sample::bare(OWNER)).await.unwrap(),
        archive::Read::archive_last(&store, &sample::bare(OWNER)).await,
    );
    assert_eq!((login, log), (None, Ok(None)));
}

#[tokio::test]
async fn a_commit_beyond_all_measure_is_refused_and_the_rest_goes_on() {
    let store = open(&Disk::default(), space::endless());
    let large = Bytes::from(vec![b'x'; 15 << 20]);
    let writes = (1..=20).map(|seq| {
        let change = vcard::Change::Put(large.clone());
        Write::new(sample::bare(OWNER), Stamp::new(1, seq), change)
    });
    let error = store.commit(writes.collect()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    store.commit(append(1)).await.unwrap();
}

/// Every commit writes two domains alike: whoever reads finds them alike, and
/// never older than what was acknowledged before, while parts of the journal
/// move into the tables all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_reads_sees_one_state_while_layers_move_into_the_tables() {
    use starling_store::{cursor, roster};
    let store = Arc::new(open_as(&Disk::default(), space::endless(), &hasty()));
    let owner = sample::bare(OWNER);
    store.create_account(sample::account(OWNER)).await.unwrap();
    let (told, acknowledged) = tokio::sync::watch::channel(0);
    let readers = (0..2).map(|_| {
        let (store, owner, acknowledged) =
            (Arc::clone(&store), owner.clone(), acknowledged.clone());
        tokio::spawn(async move {
            while acknowledged.has_changed().is_ok() {
                let before = *acknowledged.borrow();
                let bundle = store.login(&owner).await.unwrap().unwrap();
                let cursor = bundle.cursors.offline.map_or(0, |at| at.seq);
                let contacts = bundle.roster.items.len() as u64;
                assert_eq!(cursor % 7, contacts, "one state");
                assert!(cursor >= before, "{cursor}, and {before} was told");
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for n in 1..=700_u64 {
        let jid = sample::jid(&format!("c{}@example.org", (n - 1) % 7));
        let (contacts, stamp) = (n % 7, Stamp::new(1, n));
        let mut writes = vec![Write::new(
            owner.clone(),
            stamp,
            cursor::Change::SetOffline(Position::new(1, n)),
        )];
        if contacts == 0 {
            // All go at once: removed, and forgotten, that nothing remains.
            for contact in 0..7 {
                let jid = sample::jid(&format!("c{contact}@example.org"));
                let (gone, version) = (jid.clone(), n);
                let remove = roster::Change::Remove { jid, version };
                let forget = roster::Change::Forget { jid: gone, version };
                writes.push(Write::new(owner.clone(), stamp, remove));
                writes.push(Write::new(owner.clone(), stamp, forget));
            }
        } else {
            let put = roster::Change::Put(roster::Item::new(jid));
            writes.push(Write::new(owner.clone(), stamp, put));
        }
        store.commit(writes).await.unwrap();
        told.send_replace(n);
    }
    drop(told);
    for reader in readers {
        reader.await.unwrap();
    }
}
