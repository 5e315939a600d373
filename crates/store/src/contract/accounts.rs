//! What the contract says of accounts.

use starling_xmpp::credentials::{FastSlot, ScramHash};

use super::sample::{self, NOW, bare, commit};
use crate::account::{Change, LastActivity};
use crate::archive::Query;
use crate::private_xml::Key;
use crate::{Creation, Store, cursor, vcard};

/// Creating an account that exists leaves it untouched and says so.
pub async fn an_account_is_created_once(store: &dyn Store) {
    let account = sample::account("juliet@capulet.example");
    assert_eq!(store.account(&account.jid).await.unwrap(), None);
    assert_eq!(store.credentials(&account.jid).await.unwrap(), None);
    assert_eq!(store.login(&account.jid).await.unwrap(), None);
    assert_eq!(
        store.create_account(account.clone()).await.unwrap(),
        Creation::Created
    );

    let mut second = account.clone();
    second.credentials.verifiers.clear();
    assert_eq!(
        store.create_account(second).await.unwrap(),
        Creation::AlreadyExists
    );
    assert_eq!(
        store.credentials(&account.jid).await.unwrap().as_ref(),
        Some(&account.credentials)
    );
    assert_eq!(store.account(&account.jid).await.unwrap(), Some(account));
}

/// Compare-and-set: never two winners.
pub async fn of_two_creations_at_once_one_wins(store: &dyn Store) {
    let account = sample::account("juliet@capulet.example");
    let (one, two) = tokio::join!(
        store.create_account(account.clone()),
        store.create_account(account)
    );
    let created = [one.unwrap(), two.unwrap()].map(|creation| creation == Creation::Created);
    assert!(
        created[0] != created[1],
        "exactly one creation wins: {created:?}"
    );
}

/// Whatever is changed is read back so, and the rest stays.
pub async fn every_change_of_an_account_is_read_back(store: &dyn Store) {
    let mut expected = sample::account("juliet@capulet.example");
    store.create_account(expected.clone()).await.unwrap();
    let last = LastActivity {
        at: NOW,
        status: Some("gone to the balcony ☾".to_owned()),
    };
    let attribute = |value: Option<&str>| Change::SetAttribute {
        name: "language".into(),
        value: value.map(str::to_owned),
    };
    let changes = [
        Change::SetDisabled(true),
        Change::PutToken(sample::token("phone", FastSlot::Current, 1)),
        Change::PutToken(sample::token("phone", FastSlot::Next, 2)),
        Change::PutToken(sample::token("laptop", FastSlot::Current, 3)),
        Change::PutToken(sample::token("phone", FastSlot::Current, 4)),
        Change::RemoveToken {
            device: "phone".into(),
            slot: FastSlot::Next,
        },
        Change::SetLastActivity(last.clone()),
        Change::SetLastActivity(LastActivity {
            status: None,
            ..last.clone()
        }),
        Change::SetLastActivity(last),
        attribute(Some("it")),
        attribute(None),
        attribute(Some("en")),
        Change::SetVerifiers(vec![sample::verifier(ScramHash::Sha256, 9)]),
        Change::SetDisabled(false),
        Change::ClearTokens,
    ];
    for change in changes {
        expected.apply(&change);
        commit(store, "juliet@capulet.example", [change.clone()]).await;
        let found = store.account(&expected.jid).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected), "after {change:?}");
    }
}

/// A change does not bring an account into being.
pub async fn changes_of_no_account_are_lost(store: &dyn Store) {
    let token = sample::token("phone", FastSlot::Current, 1);
    let attribute = Change::SetAttribute {
        name: "a".into(),
        value: Some("b".to_owned()),
    };
    let changes = [
        Change::SetDisabled(true),
        Change::PutToken(token),
        attribute,
        Change::ClearTokens,
    ];
    commit(store, "nobody@capulet.example", changes).await;
    assert_eq!(
        store
            .account(&bare("nobody@capulet.example"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.account_count("capulet.example").await.unwrap(), 0);

    let account = sample::account("nobody@capulet.example");
    store.create_account(account.clone()).await.unwrap();
    assert_eq!(store.account(&account.jid).await.unwrap(), Some(account));
}

/// Hosts are tenants: a listing never leaves its host.
pub async fn accounts_are_listed_by_host_in_order(store: &dyn Store) {
    let names = ["a", "a-b", "a.b", "ab", "b", "\u{e9}tienne"];
    for name in names.iter().rev() {
        let jid = format!("{name}@capulet.example");
        store.create_account(sample::account(&jid)).await.unwrap();
    }
    for other in [
        "a@capulet.exampl",
        "a@capulet.example.org",
        "a@bcapulet.example",
    ] {
        store.create_account(sample::account(other)).await.unwrap();
    }
    // A host's own data and that of a room are no accounts.
    let put = || [vcard::Change::Put("<vCard xmlns='vcard-temp'/>".into())];
    commit(store, "capulet.example", put()).await;
    commit(store, "aa@capulet.example", put()).await;

    assert_eq!(
        store.account_count("capulet.example").await.unwrap(),
        names.len() as u64
    );
    assert_eq!(store.account_count("nowhere.example").await.unwrap(), 0);
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .accounts("capulet.example", after.as_ref(), 4)
            .await
            .unwrap();
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = Some(last.jid.clone());
        found.extend(page.into_iter().map(|account| account.jid));
    }
    assert_eq!(
        found,
        names.map(|name| bare(&format!("{name}@capulet.example")))
    );
}

/// Nothing of a removed account is left for whoever takes its name.
pub async fn removal_erases_every_domain_and_no_neighbour(store: &dyn Store) {
    let removed = "ann@capulet.example";
    let neighbours = [
        "an@capulet.example",
        "anna@capulet.example",
        "ann@capulet.example.org",
    ];
    for owner in neighbours.iter().chain([&removed]) {
        store.create_account(sample::account(owner)).await.unwrap();
        let changes = sample::everything();
        commit(store, owner, changes).await;
    }
    let jid = bare(removed);
    let before = store.login(&bare(neighbours[1])).await.unwrap().unwrap();
    commit(store, removed, [Change::Remove]).await;

    assert_eq!(store.login(&jid).await.unwrap(), None);
    assert_eq!(store.account_count("capulet.example").await.unwrap(), 2);
    for neighbour in neighbours {
        let mut bundle = store.login(&bare(neighbour)).await.unwrap().unwrap();
        bundle.account.jid = before.account.jid.clone();
        assert_eq!(bundle, before, "{neighbour} keeps everything");
    }

    let fresh = sample::account(removed);
    assert_eq!(
        store.create_account(fresh.clone()).await.unwrap(),
        Creation::Created
    );
    let bundle = store.login(&jid).await.unwrap().unwrap();
    assert_eq!(bundle.account, fresh);
    assert!(bundle.roster.items.is_empty() && bundle.roster.removed.is_empty());
    assert!(bundle.blocklist.is_empty());
    assert_eq!(bundle.cursors, cursor::Cursors::default());
    assert_eq!((bundle.last_position, bundle.offline.entries), (None, 0));
    assert!(
        store
            .archive_page(&jid, &Query::before(None, 9))
            .await
            .unwrap()
            .is_empty()
    );
    let peer = sample::entry(1, 1, false).peer;
    let conversation = Query::before(None, 9).archived_only().with(peer);
    let found = store.archive_page(&jid, &conversation).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        store.private_xml(&jid, &Key::new("n", "e")).await.unwrap(),
        None
    );
    assert_eq!(store.vcard(&jid).await.unwrap(), None);
    assert_eq!(store.pep_nodes(&jid).await.unwrap(), []);
    assert_eq!(store.pep_index(&jid, "n").await.unwrap(), []);
}
