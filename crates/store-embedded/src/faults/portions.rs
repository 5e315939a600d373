//! Tests of a part of the journal that reaches the tables in portions.

use redb::ReadableTableMetadata as _;

use super::*;
use crate::schema::JOURNAL_KEY;

/// How many entries are in the tables, and up to which batch they say that
/// they hold everything. Every batch has one entry.
fn tables_of(disk: &Disk) -> (u64, u64) {
    let copy = disk.remains();
    let database = Database::builder()
        .create_with_backend(copy.file(0))
        .unwrap();
    let file = redb::ReadableDatabase::begin_read(&database).unwrap();
    let entries = table::read(&file, Name::Archive).unwrap().len().unwrap();
    let meta = table::read(&file, Name::Meta).unwrap();
    let mark = meta.get(JOURNAL_KEY).unwrap().unwrap();
    let number = mark.value()[16..24].try_into().unwrap();
    (entries, u64::from_be_bytes(number))
}

/// Cut short between two portions, the tables have rows of batches that they
/// do not speak for: the journal still has all of them.
#[tokio::test]
async fn a_power_cut_between_two_portions_loses_nothing() {
    let mut cuts_between = 0;
    for requests in 1..150 {
        let disk = Disk::default();
        let store = open_as(&disk, space::endless(), &hasty());
        disk.cut_after(requests, disk::Dice(requests));
        let mut acknowledged = 0;
        while acknowledged < 20 && store.commit(append(acknowledged + 1)).await.is_ok() {
            acknowledged += 1;
        }
        drop(store);
        let after = disk.remains();
        let (entries, spoken_for) = tables_of(&after);
        cuts_between += u64::from(entries > spoken_for);
        let found = last(&open(&after, space::endless())).await;
        assert!(
            found >= acknowledged,
            "{requests}: {found} of {acknowledged}"
        );
        assert!(
            found <= acknowledged + 1,
            "{requests}: {found} of {acknowledged}"
        );
    }
    assert!(cuts_between > 0, "portions are durable one by one");
}
