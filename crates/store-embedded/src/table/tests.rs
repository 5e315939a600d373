//! Rows that stand together reach the file as those that do not.

#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _};

use super::*;

/// Keys of two logs and of rows that are in none, and values, or that the row
/// is removed. Some values are as long as a page.
fn any_layer() -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
    let place = prop_oneof![
        9 => (0..2_u8, 0..2_u32, 0..60_u64).prop_map(|(owner, epoch, seq)| {
            [&[owner][..], &Position::new(epoch, seq).to_bytes()].concat()
        }),
        1 => prop::collection::vec(0..2_u8, 0..3),
    ];
    let value = prop_oneof![
        6 => (any::<u8>(), 0..700_usize).prop_map(|(octet, length)| Some(vec![octet; length])),
        1 => any::<u8>().prop_map(|octet| Some(vec![octet; 5_000])),
        1 => Just(None),
    ];
    prop::collection::btree_map(place, value, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Also over rows that are there, between them, and when the same layer is
    /// taken up from the journal once more.
    #[test]
    fn what_is_settled_is_what_the_layers_say(
        layers in prop::collection::vec(any_layer(), 1..4),
        is_last_repeated in any::<bool>(),
    ) {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let again = is_last_repeated.then(|| layers.last()).flatten();
        let mut expected = BTreeMap::new();
        for rows in layers.iter().chain(again) {
            let mut layer = Layer::default();
            for (key, value) in rows {
                let value = value.clone().map(Bytes::from);
                layer.set(Name::Archive, Bytes::copy_from_slice(key), value);
            }
            let transaction = database.begin_write().unwrap();
            let all: Vec<_> = layer.all().collect();
            settle(&transaction, &all).unwrap();
            transaction.commit().unwrap();
            expected.extend(rows.clone());
        }
        expected.retain(|_, value| value.is_some());
        create(&database);
        let table = read(&database.begin_read().unwrap(), Name::Archive).unwrap();
        let rows = table.range::<&[u8]>(..).unwrap();
        let found: BTreeMap<_, _> = rows
            .map(|row| row.map(|(key, value)| (key.value().to_vec(), Some(value.value().to_vec()))))
            .collect::<Result<_, _>>()
            .unwrap();
        prop_assert!(found == expected, "{} rows, not {}", found.len(), expected.len());
    }
}

/// Layers without rows have made no table.
fn create(database: &Database) {
    let transaction = database.begin_write().unwrap();
    create_all(&transaction).unwrap();
    transaction.commit().unwrap();
}
