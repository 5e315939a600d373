//! What the contract says of the small domains and of commits.

use super::sample::{account, bare, commit, entry, jid};
use crate::cursor::Cursors;
use crate::private_xml::Key;
use crate::{
    Position, Stamp, Store, Write, archive, blocklist, cursor, private_xml, roster, vcard,
};

const OWNER: &str = "juliet@capulet.example";

/// A batch is applied in its order, and applying it twice is applying it once.
pub async fn later_writes_of_a_batch_win(store: &dyn Store) {
    let put = |text: &'static str| vcard::Change::Put(text.into());
    let one = bare(OWNER);
    let two = bare("nurse@capulet.example");
    let batch = vec![
        Write::new(one.clone(), Stamp::new(1, 1), put("<vCard>1</vCard>")),
        Write::new(two.clone(), Stamp::new(1, 1), put("<vCard>2</vCard>")),
        Write::new(one.clone(), Stamp::new(1, 2), put("<vCard>3</vCard>")),
        Write::new(two.clone(), Stamp::new(1, 2), vcard::Change::Remove),
    ];
    for _ in 0..2 {
        store.commit(batch.clone()).await.unwrap();
        assert_eq!(
            store.vcard(&one).await.unwrap().as_deref(),
            Some(&b"<vCard>3</vCard>"[..])
        );
        assert_eq!(store.vcard(&two).await.unwrap(), None);
    }
    store.commit(Vec::new()).await.unwrap();
}

/// One cursor for the account, one for each device.
pub async fn cursors_are_kept_per_device(store: &dyn Store) {
    let mut expected = Cursors::default();
    assert_eq!(store.cursors(&bare(OWNER)).await.unwrap(), expected);
    let set = |device: &str, seq| cursor::Change::SetDevice {
        device: device.into(),
        position: Position::new(1, seq),
    };
    for change in [
        cursor::Change::SetOffline(Position::new(1, 1)),
        set("phone", 2),
        set("laptop", 3),
        cursor::Change::SetDelivered(Position::new(1, 3)),
        set("phone", 4),
        cursor::Change::RemoveDevice {
            device: "laptop".into(),
        },
        cursor::Change::RemoveDevice {
            device: "tablet".into(),
        },
        cursor::Change::SetOffline(Position::new(2, 9)),
    ] {
        expected.apply(&change);
        commit(store, OWNER, [change]).await;
        assert_eq!(store.cursors(&bare(OWNER)).await.unwrap(), expected);
    }
}

/// XEP-0191: every kind of address.
pub async fn block_lists_are_kept(store: &dyn Store) {
    let mut expected = blocklist::Blocklist::new();
    let block = |text| blocklist::Change::Block(jid(text));
    for change in [
        block("tybalt@capulet.example"),
        block("tybalt@capulet.example/sword"),
        block("montague.example"),
        block("montague.example/bot"),
        block("montague.example"),
        blocklist::Change::Unblock(jid("tybalt@capulet.example")),
        blocklist::Change::Unblock(jid("nobody@capulet.example")),
        blocklist::Change::Clear,
        block("paris@verona.example"),
    ] {
        change.apply_to(&mut expected);
        commit(store, OWNER, [change]).await;
        assert_eq!(store.blocklist(&bare(OWNER)).await.unwrap(), expected);
    }
}

/// XEP-0049: namespace and name together are the key.
pub async fn private_elements_are_kept_by_name(store: &dyn Store) {
    let keys = [
        Key::new("n", "se"),
        Key::new("ns", "e"),
        Key::new("ns", "f"),
    ];
    let put = |key: &Key, text: &str| private_xml::Change::Put {
        key: key.clone(),
        element: text.to_owned().into(),
    };
    commit(
        store,
        OWNER,
        keys.iter().map(|key| put(key, &key.namespace)),
    )
    .await;
    commit(store, OWNER, [put(&keys[2], "new")]).await;
    commit(
        store,
        OWNER,
        [private_xml::Change::Remove {
            key: keys[1].clone(),
        }],
    )
    .await;
    let found = |key: Key| async move { store.private_xml(&bare(OWNER), &key).await.unwrap() };
    let [first, second, third] = keys;
    assert_eq!(found(first).await.as_deref(), Some(&b"n"[..]));
    assert_eq!(found(second).await, None);
    assert_eq!(found(third).await.as_deref(), Some(&b"new"[..]));
}

/// XEP-0054.
pub async fn a_vcard_is_kept(store: &dyn Store) {
    assert_eq!(store.vcard(&bare(OWNER)).await.unwrap(), None);
    let card = "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>";
    commit(store, OWNER, [vcard::Change::Put(card.into())]).await;
    assert_eq!(
        store.vcard(&bare(OWNER)).await.unwrap().as_deref(),
        Some(card.as_bytes())
    );
    commit(store, OWNER, [vcard::Change::Remove]).await;
    assert_eq!(store.vcard(&bare(OWNER)).await.unwrap(), None);
}

/// Two nodes that start at once end with the same secret.
pub async fn nodes_agree_on_the_first_meta_value(store: &dyn Store) {
    assert_eq!(store.meta("secret").await.unwrap(), None);
    let (one, two) = tokio::join!(
        store.init_meta("secret", "one".into()),
        store.init_meta("secret", "two".into())
    );
    let agreed = one.unwrap();
    assert_eq!(two.unwrap(), agreed);
    assert_eq!(
        store.init_meta("secret", "three".into()).await.unwrap(),
        agreed
    );
    assert_eq!(store.meta("secret").await.unwrap(), Some(agreed));
    store.set_meta("secret", "four".into()).await.unwrap();
    assert_eq!(
        store.meta("secret").await.unwrap().as_deref(),
        Some(&b"four"[..])
    );
    assert_eq!(store.meta("secre").await.unwrap(), None);
}

/// One read per login gives what many reads would.
pub async fn the_login_bundle_agrees_with_every_read(store: &dyn Store) {
    let jid_ = bare(OWNER);
    store.create_account(account(OWNER)).await.unwrap();
    let first = store.roster(&jid_).await.unwrap().next_version();
    let contact = roster::Item {
        version: first,
        ..roster::Item::new(jid("romeo@m.example"))
    };
    let changes: Vec<crate::Change> = vec![
        roster::Change::Put(contact).into(),
        roster::Change::Remove {
            jid: jid("paris@v.example"),
            version: first + 1,
        }
        .into(),
        blocklist::Change::Block(jid("tybalt@c.example")).into(),
        archive::Change::Append(entry(1, 1, true)).into(),
        archive::Change::Append(entry(1, 2, true)).into(),
        archive::Change::Append(entry(1, 3, false)).into(),
        cursor::Change::SetOffline(Position::new(1, 1)).into(),
    ];
    commit(store, OWNER, changes).await;
    let bundle = store.login(&jid_).await.unwrap().unwrap();
    assert_eq!(Some(bundle.account), store.account(&jid_).await.unwrap());
    assert_eq!(bundle.roster, store.roster(&jid_).await.unwrap());
    assert_eq!(bundle.blocklist, store.blocklist(&jid_).await.unwrap());
    assert_eq!(bundle.cursors, store.cursors(&jid_).await.unwrap());
    assert_eq!(bundle.last_position, Some(Position::new(1, 3)));
    let offline = store
        .offline_tally(&jid_, Position::new(1, 1))
        .await
        .unwrap();
    assert_eq!((bundle.offline, offline.entries), (offline, 1));
}
