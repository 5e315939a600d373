//! Rows that stand together reach the file as those that do not, and pointers
//! with their entries.

#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _};
use starling_store::archive::Entry;
use starling_store::contract::sample;
use starling_store::record;

use super::*;
use crate::key;
use crate::layers::Layer;
use crate::table::{create_all, read};

/// What a layer says of rows, by their keys.
type Said = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Keys of two logs and of rows that are in none, and values, or that the row
/// is removed. Some values are as long as a page.
fn any_layer() -> impl Strategy<Value = Said> {
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

/// Entries of two logs with four addresses of two others, some not archived,
/// and one that cannot be read.
fn any_entries() -> impl Strategy<Value = Said> {
    let peer = prop::sample::select(vec![
        "romeo@montague.example/orchard",
        "romeo@montague.example",
        "montague.example/a/b",
        "montague.example",
    ]);
    let key = (0..2_usize, 1..12_u64).prop_map(|(owner, seq)| {
        let owner = ["juliet@capulet.example", "nurse@capulet.example"][owner];
        key::entry(&sample::bare(owner), Position::new(1, seq))
    });
    let entry = (peer, any::<bool>()).prop_map(|(peer, is_archived)| {
        record::encode_entry(&Entry {
            peer: sample::jid(peer),
            is_archived,
            ..sample::entry(1, 1, true)
        })
    });
    let value = prop_oneof![
        6 => entry.prop_map(Some),
        1 => Just(Some(b"no entry".to_vec())),
        2 => Just(None),
    ];
    prop::collection::btree_map(key, value, 0..16)
}

fn file() -> Database {
    let database = Database::builder().create_with_backend(InMemoryBackend::new());
    let database = database.unwrap();
    let transaction = database.begin_write().unwrap();
    create_all(&transaction).unwrap();
    transaction.commit().unwrap();
    database
}

/// Settles layers together, as parts of one.
fn settle_all(database: &Database, layers: &[&Said]) {
    let layers = layers.iter().map(|rows| {
        let mut layer = Layer::default();
        for (key, value) in *rows {
            let value = value.clone().map(Bytes::from);
            layer.set(Name::Archive, Bytes::copy_from_slice(key), value);
        }
        layer
    });
    let layers: Vec<_> = layers.collect();
    let transaction = database.begin_write().unwrap();
    let all: Vec<_> = layers.iter().flat_map(Layer::all).collect();
    settle(&transaction, &all).unwrap();
    transaction.commit().unwrap();
}

fn rows(database: &Database, name: Name) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let table = read(&database.begin_read().unwrap(), name).unwrap();
    let rows = table.range::<&[u8]>(..).unwrap();
    rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
        .collect::<Result<_, _>>()
        .unwrap()
}

/// What there is after layers have been put over each other.
fn left<'a>(layers: impl Iterator<Item = &'a Said>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let all: Said = layers.flat_map(Clone::clone).collect();
    let rows = all.into_iter();
    rows.filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

/// The pointers that there should be to entries.
fn pointers(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let pointer = |(key, entry): (&Vec<u8>, &Vec<u8>)| {
        let (owner, position) = key.split_last_chunk().unwrap();
        let position = Position::from_bytes(*position);
        let entry = record::decode_entry(position, entry).ok()?;
        let owner = key::account_of(owner).unwrap();
        let key = [key::peer(&owner, &entry.peer), position.to_bytes().to_vec()].concat();
        let resource = entry.peer.resource().unwrap_or_default();
        entry.is_archived.then(|| (key, resource.into()))
    };
    entries.iter().filter_map(pointer).collect()
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
        let database = file();
        let again = is_last_repeated.then(|| layers.last()).flatten();
        for layer in layers.iter().chain(again) {
            settle_all(&database, &[layer]);
        }
        let (found, expected) = (rows(&database, Name::Archive), left(layers.iter()));
        prop_assert!(found == expected, "{} rows, not {}", found.len(), expected.len());
    }

    /// Whatever an entry replaces, or is replaced by, one after the other or at
    /// once.
    #[test]
    fn every_archived_entry_has_its_pointer_and_nothing_else_has_one(
        layers in prop::collection::vec(any_entries(), 1..5),
        at_once in 1..4_usize,
        is_last_repeated in any::<bool>(),
    ) {
        let database = file();
        let again = is_last_repeated.then(|| layers.last()).flatten();
        let all: Vec<_> = layers.iter().chain(again).collect();
        for layers in all.chunks(at_once) {
            settle_all(&database, layers);
        }
        let entries = rows(&database, Name::Archive);
        prop_assert_eq!(&entries, &left(layers.iter()));
        prop_assert_eq!(rows(&database, Name::ArchivePeer), pointers(&entries));
    }
}
