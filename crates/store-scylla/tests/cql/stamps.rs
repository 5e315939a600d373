//! What stamps are for: a late owner loses, and nothing that is repeated or
//! comes in another order does harm.

use starling_store::contract::sample::{account, bare, entry};
use starling_store::roster::{Change as Roster, Item};
use starling_store::{
    Change, Creation, Position, Stamp, Write, account as accounts, archive, blocklist, cursor,
    vcard,
};

use crate::database::fresh;

const OWNER: &str = "juliet@capulet.example";

fn write(stamp: Stamp, change: impl Into<Change>) -> Write {
    Write::new(bare(OWNER), stamp, change)
}

#[tokio::test]
async fn a_late_owner_changes_nothing() {
    let store = fresh().await;
    if matches!(store, crate::database::Fresh::Memory(_)) {
        return;
    }
    let jid = bare(OWNER);
    store.create_account(account(OWNER)).await.unwrap();
    let contact = |name: &str| {
        Change::from(Roster::Put(Item {
            name: Some(name.to_owned()),
            version: 9,
            ..Item::new(bare("romeo@montague.example").into())
        }))
    };
    let cursor = |seq| Change::from(cursor::Change::SetOffline(Position::new(1, seq)));
    let card = |text: &'static str| Change::from(vcard::Change::Put(text.into()));
    let (old, new) = (Stamp::new(1, 999_999), Stamp::new(2, 1));
    let batch = |stamp, name, seq, text| {
        vec![
            write(stamp, contact(name)),
            write(stamp, cursor(seq)),
            write(stamp, card(text)),
            write(stamp, accounts::Change::SetDisabled(seq == 1)),
        ]
    };
    store.commit(batch(new, "new", 2, "<new/>")).await.unwrap();
    store.commit(batch(old, "old", 1, "<old/>")).await.unwrap();
    store
        .commit(vec![write(old, vcard::Change::Remove)])
        .await
        .unwrap();
    store
        .commit(vec![write(old, blocklist::Change::Clear)])
        .await
        .unwrap();
    let bundle = store.login(&jid).await.unwrap().unwrap();
    let item = bundle.roster.items.values().next().unwrap();
    assert_eq!(item.name.as_deref(), Some("new"));
    assert_eq!(bundle.cursors.offline, Some(Position::new(1, 2)));
    assert!(!bundle.account.credentials.is_disabled);
    assert_eq!(
        store.vcard(&jid).await.unwrap().as_deref(),
        Some(&b"<new/>"[..])
    );
}

#[tokio::test]
async fn a_removal_that_is_repeated_spares_whoever_came_since() {
    let store = fresh().await;
    if matches!(store, crate::database::Fresh::Memory(_)) {
        return;
    }
    let jid = bare(OWNER);
    store.create_account(account(OWNER)).await.unwrap();
    let removal = vec![
        write(Stamp::new(1, 5), archive::Change::Append(entry(1, 1, true))),
        write(Stamp::new(1, 6), accounts::Change::Remove),
        // What a session says on its way out comes after it.
        write(
            Stamp::new(1, 7),
            accounts::Change::SetAttribute {
                name: "left".into(),
                value: Some("behind".to_owned()),
            },
        ),
    ];
    store.commit(removal.clone()).await.unwrap();
    assert_eq!(store.account(&jid).await.unwrap(), None);
    let next = account(OWNER);
    assert_eq!(
        store.create_account(next.clone()).await.unwrap(),
        Creation::Created
    );
    assert_eq!(store.account(&jid).await.unwrap().as_ref(), Some(&next));

    store.commit(removal[..2].to_vec()).await.unwrap();
    assert_eq!(store.account(&jid).await.unwrap(), Some(next));
    let removed = vec![write(Stamp::new(1, 9), accounts::Change::Remove)];
    store.commit(removed).await.unwrap();
    assert_eq!(store.account(&jid).await.unwrap(), None);
    assert_eq!(store.account_count("capulet.example").await.unwrap(), 0);
}
