//! The embedded store keeps the contract of every store, and does to random
//! writes what the reference does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::ops::Deref;

use proptest::prelude::*;
use starling_store::contract::sample;
use starling_store::cursor::Change as Cursor;
use starling_store::roster::{Change as Roster, Item};
use starling_store::{
    Change, Memory, Position, Stamp, Store, Write, account, archive, blocklist, vcard,
};
use starling_store_embedded::{Config, Embedded};
use starling_xmpp::credentials::FastSlot;
use tempfile::TempDir;

struct Fresh {
    store: Embedded,
    _folder: TempDir,
}

impl Deref for Fresh {
    type Target = Embedded;

    fn deref(&self) -> &Embedded {
        &self.store
    }
}

fn fresh() -> Fresh {
    open(&Config::default())
}

/// One whose rows go on into the tables as soon as they can.
fn hasty() -> Fresh {
    open(&Config {
        journal_bytes: 1,
        ..Config::default()
    })
}

fn open(config: &Config) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    Fresh {
        store: Embedded::open(folder.path(), config).unwrap(),
        _folder: folder,
    }
}

starling_store::contract_suite!(fresh());

mod in_tables {
    starling_store::contract_suite!(super::hasty());
}

fn any_account_change() -> impl Strategy<Value = account::Change> {
    let token = (0..3u8, any::<bool>()).prop_map(|(n, is_next)| {
        let slot = if is_next {
            FastSlot::Next
        } else {
            FastSlot::Current
        };
        // One name begins another, on purpose.
        sample::token(&"d".repeat(usize::from(n) + 1), slot, n)
    });
    let attribute =
        (0..3u8, any::<Option<String>>()).prop_map(|(n, value)| account::Change::SetAttribute {
            name: format!("a{n}").into(),
            value,
        });
    prop_oneof![
        any::<bool>().prop_map(account::Change::SetDisabled),
        token.clone().prop_map(account::Change::PutToken),
        token.prop_map(|token| {
            let (device, slot) = (token.device, token.slot);
            account::Change::RemoveToken { device, slot }
        }),
        Just(account::Change::ClearTokens),
        attribute,
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    let jid = |n: u8| sample::jid(&format!("c{n}@example.org"));
    let position = (0..3u32, 1..9u64).prop_map(|(epoch, seq)| Position::new(epoch, seq));
    let item = (0..4u8, any::<bool>(), 0..9u64).prop_map(move |(n, is_listed, version)| {
        Change::from(Roster::Put(Item {
            is_listed,
            version,
            ..Item::new(jid(n))
        }))
    });
    prop_oneof![
        item,
        (0..4u8, 0..9u64).prop_map(move |(n, version)| {
            Roster::Remove {
                jid: jid(n),
                version,
            }
            .into()
        }),
        (0..4u8, 0..9u64).prop_map(move |(n, version)| {
            Roster::Forget {
                jid: jid(n),
                version,
            }
            .into()
        }),
        (0..3u32, 1..9u64, any::<bool>()).prop_map(|(epoch, seq, is_offline)| {
            archive::Change::Append(sample::entry(epoch, seq, is_offline)).into()
        }),
        position
            .clone()
            .prop_map(|through| archive::Change::Purge { through }.into()),
        position
            .clone()
            .prop_map(|position| Cursor::SetOffline(position).into()),
        (0..3u8, position).prop_map(|(n, position)| {
            Cursor::SetDevice {
                device: format!("d{n}").into(),
                position,
            }
            .into()
        }),
        (0..3u8).prop_map(|n| Cursor::RemoveDevice {
            device: format!("d{n}").into()
        }
        .into()),
        (0..4u8).prop_map(move |n| blocklist::Change::Block(jid(n)).into()),
        (0..4u8).prop_map(move |n| blocklist::Change::Unblock(jid(n)).into()),
        Just(blocklist::Change::Clear.into()),
        any_account_change().prop_map(Change::from),
        any::<String>().prop_map(|text| vcard::Change::Put(text.into()).into()),
        Just(vcard::Change::Remove.into()),
    ]
}

const OWNERS: [&str; 3] = ["ann@a.example", "anna@a.example", "ann@b.example"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_writes_read_as_in_the_reference(
        batches in prop::collection::vec(
            prop::collection::vec((0..3usize, any_change(), 0..40u8), 1..30),
            1..8,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (memory, embedded) = (Memory::new(), fresh());
        let stores: [&dyn Store; 2] = [&memory, &*embedded];
        let writes = |batch: Vec<(usize, Change, u8)>| -> Vec<Write> {
            let write = |(owner, change, dice): (usize, Change, u8)| {
                let change = if dice == 0 { account::Change::Remove.into() } else { change };
                Write::new(sample::bare(OWNERS[owner]), Stamp::new(1, 1), change)
            };
            batch.into_iter().map(write).collect()
        };
        runtime.block_on(async {
            for batch in batches {
                let batch = writes(batch);
                let mut found = Vec::new();
                for store in stores {
                    let mut seen = Vec::new();
                    for owner in OWNERS {
                        store.create_account(sample::account(owner)).await.unwrap();
                    }
                    store.commit(batch.clone()).await.unwrap();
                    for owner in OWNERS.map(sample::bare) {
                        let log = archive::Query::before(None, 99);
                        let romeo = log.clone().archived_only().with(sample::jid("romeo@montague.example"));
                        let middle = archive::Query {
                            start: Some(sample::entry(1, 3, false).stored_at),
                            end: Some(sample::entry(2, 5, false).stored_at),
                            ..romeo.clone()
                        };
                        seen.push((
                            store.login(&owner).await.unwrap(),
                            store.roster(&owner).await.unwrap(),
                            store.archive_page(&owner, &log).await.unwrap(),
                            store.archive_page(&owner, &romeo).await.unwrap(),
                            store.archive_page(&owner, &middle).await.unwrap(),
                            store.vcard(&owner).await.unwrap(),
                            store.cursors(&owner).await.unwrap(),
                        ));
                    }
                    found.push(seen);
                }
                assert_eq!(found[0], found[1]);
            }
        });
    }
}
