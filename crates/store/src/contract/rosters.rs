//! What the contract says of rosters (RFC 6121 §2, §3).

use super::sample::{account, bare, commit, jid};
use crate::roster::{Change, Item, Push, Roster, Subscription};
use crate::{Store, account};

const OWNER: &str = "juliet@capulet.example";

async fn roster(store: &dyn Store) -> Roster {
    store.roster(&bare(OWNER)).await.unwrap()
}

fn romeo(version: u64) -> Item {
    Item {
        name: Some("Romeo".to_owned()),
        groups: vec!["Friends".into(), "Lovers ♥".into()],
        subscription: Subscription::Both,
        is_asking: true,
        is_approved: true,
        version,
        ..Item::new(jid("romeo@montague.example"))
    }
}

/// RFC 6121 §2.4.1: groups left out are groups removed.
pub async fn items_are_replaced_whole(store: &dyn Store) {
    assert_eq!(roster(store).await, Roster::default());
    store.create_account(account(OWNER)).await.unwrap();
    let mut expected = roster(store).await;
    let first = expected.next_version();
    for item in [
        romeo(first),
        Item {
            version: first + 1,
            ..Item::new(jid("nurse@capulet.example"))
        },
        Item {
            version: first + 2,
            groups: Vec::new(),
            name: None,
            ..romeo(0)
        },
        Item {
            version: first + 3,
            subscription: Subscription::To,
            ..romeo(0)
        },
        Item {
            version: first + 4,
            subscription: Subscription::From,
            ..romeo(0)
        },
    ] {
        expected.apply(&Change::Put(item.clone()));
        commit(store, OWNER, [Change::Put(item)]).await;
        assert_eq!(roster(store).await, expected);
    }
    assert_eq!(expected.version, first + 4);
}

/// RFC 6121 §2.6.3: a client with an old version learns of removals.
pub async fn removals_are_remembered_until_forgotten(store: &dyn Store) {
    store.create_account(account(OWNER)).await.unwrap();
    let start = roster(store).await.version;
    let remove = |version| Change::Remove {
        jid: jid("romeo@montague.example"),
        version,
    };
    commit(
        store,
        OWNER,
        [Change::Put(romeo(start + 1)), remove(start + 2)],
    )
    .await;
    let removed = roster(store).await;
    assert!(removed.items.is_empty());
    assert_eq!(removed.version, start + 2);
    let push = Push::Removed {
        jid: &jid("romeo@montague.example"),
        version: start + 2,
    };
    assert_eq!(removed.since(start), Some(vec![push]));

    commit(store, OWNER, [Change::Put(romeo(start + 3))]).await;
    let again = roster(store).await;
    assert!(again.removed.is_empty(), "a contact is there or it is gone");
    assert_eq!(
        again.since(start + 2),
        Some(vec![Push::Item(&romeo(start + 3))])
    );

    let forget = Change::Forget {
        jid: jid("romeo@montague.example"),
        version: start + 4,
    };
    commit(store, OWNER, [remove(start + 4), forget]).await;
    let forgotten = roster(store).await;
    assert!(forgotten.removed.is_empty());
    assert_eq!((forgotten.version, forgotten.floor), (start + 4, start + 4));
    assert_eq!(forgotten.since(start + 3), None);
}

/// RFC 6121 §3.1.3: the request is kept with its extensions, and clients are
/// not told of the contact.
pub async fn a_pending_request_is_kept_whole_and_unlisted(store: &dyn Store) {
    let request = "<presence xmlns='jabber:client' type='subscribe' from='romeo@montague.example'>\
                   <status>It is I</status><x xmlns='urn:example:x'/></presence>";
    let item = Item {
        pending_in: Some(request.into()),
        is_listed: false,
        ..romeo(0)
    };
    store.create_account(account(OWNER)).await.unwrap();
    let before = roster(store).await;
    commit(store, OWNER, [Change::Put(item.clone())]).await;
    let after = roster(store).await;
    assert_eq!(after.items.values().collect::<Vec<_>>(), [&item]);
    assert_eq!(after.listed().count(), 0);
    assert_eq!(after.version, before.version);
    assert_eq!(after.since(before.version), Some(Vec::new()));
}

/// RFC 6121 §2.6.2: not even when the account is removed and made again.
pub async fn versions_never_repeat_for_a_new_account(store: &dyn Store) {
    let mut account = account(OWNER);
    store.create_account(account.clone()).await.unwrap();
    let used = roster(store).await.next_version();
    commit(store, OWNER, [Change::Put(romeo(used))]).await;
    commit(store, OWNER, [account::Change::Remove]).await;
    account.created_at.0 += 60_000;
    store.create_account(account).await.unwrap();
    let fresh = roster(store).await;
    assert!(fresh.version > used);
    assert_eq!(
        fresh.since(used),
        None,
        "the old client gets the whole roster"
    );
}
