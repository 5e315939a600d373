//! What the contract says of finding entries: by the other side, by time, by
//! position, and page by page (XEP-0313 §4).

use starling_xmpp::jid::Jid;
use starling_xmpp::time::UnixMillis;

use super::sample::{bare, commit, entry, jid};
use crate::archive::{Change, Entry, Order, Query};
use crate::{Position, Store};

const OWNER: &str = "juliet@capulet.example";

async fn fill(store: &dyn Store, entries: &[Entry]) {
    commit(store, OWNER, entries.iter().cloned().map(Change::Append)).await;
}

async fn page(store: &dyn Store, query: Query) -> Vec<Entry> {
    store.archive_page(&bare(OWNER), &query).await.unwrap()
}

async fn places(store: &dyn Store, query: Query) -> Vec<u64> {
    let page = page(store, query).await;
    page.iter().map(|entry| entry.position.seq).collect()
}

fn all() -> Query {
    Query::after(Position::START, 99)
}

fn with(peer: &str) -> Query {
    all().archived_only().with(jid(peer))
}

fn between(peer: &str, seq: u64) -> Entry {
    Entry {
        peer: jid(peer),
        is_archived: true,
        ..entry(1, seq, false)
    }
}

/// XEP-0313 §4.1.1: a bare JID stands for all resources, a full one for one.
pub async fn a_conversation_is_found_by_its_address(store: &dyn Store) {
    let log = [
        between("romeo@montague.example/orchard", 1),
        between("nurse@capulet.example", 2),
        between("romeo@montague.example", 3),
        between("romeo@montague.example/street", 4),
        between("romeo@montague.example/orchard", 5),
    ];
    fill(store, &log).await;
    let romeo = || with("romeo@montague.example");
    assert_eq!(places(store, romeo()).await, [1, 3, 4, 5]);
    let descending = Query {
        order: Order::Descending,
        limit: 2,
        ..romeo()
    };
    assert_eq!(places(store, descending).await, [5, 4]);
    assert_eq!(
        places(store, with("romeo@montague.example/orchard")).await,
        [1, 5]
    );
    assert_eq!(places(store, with("nurse@capulet.example")).await, [2]);
    let whatever = all().with(jid("romeo@montague.example"));
    assert_eq!(places(store, whatever).await, [1, 3, 4, 5]);
    let stretch = Query {
        after: Some(log[0].position),
        before: Some(log[4].position),
        ..romeo()
    };
    assert_eq!(page(store, stretch).await, log[2..4]);
}

/// No address is taken for another that it begins or contains.
pub async fn a_conversation_keeps_to_its_owner_and_its_address(store: &dyn Store) {
    let peers = [
        "romeo@montague.example",
        "rome@montague.example",
        "romeo@montague.example.org",
        "montague.example",
        "juliet@capulet.example",
    ];
    for (n, peer) in peers.iter().enumerate() {
        fill(store, &[between(peer, n as u64 + 1)]).await;
    }
    commit(
        store,
        "julie@capulet.example",
        [Change::Append(between(peers[0], 9))],
    )
    .await;
    for (n, peer) in peers.iter().enumerate() {
        assert_eq!(places(store, with(peer)).await, [n as u64 + 1], "{peer}");
    }
    assert!(
        places(store, with("nobody@montague.example"))
            .await
            .is_empty()
    );
}

/// Also when the same place gets an entry with another address.
pub async fn what_is_purged_or_replaced_is_in_no_conversation(store: &dyn Store) {
    let log: Vec<_> = (1..=4)
        .map(|seq| between("romeo@montague.example/orchard", seq))
        .collect();
    fill(store, &log).await;
    let purge = Change::Purge {
        through: log[1].position,
    };
    commit(store, OWNER, [purge]).await;
    let romeo = || with("romeo@montague.example");
    assert_eq!(places(store, romeo()).await, [3, 4]);
    fill(store, &[between("nurse@capulet.example", 3)]).await;
    assert_eq!(places(store, romeo()).await, [4]);
    assert_eq!(places(store, with("nurse@capulet.example")).await, [3]);
    // What is no longer archived is in none.
    let hidden = Entry {
        is_archived: false,
        ..log[2].clone()
    };
    fill(store, &[hidden]).await;
    assert_eq!(places(store, romeo()).await, [4]);
    // A tombstone stays where its message was.
    let tombstone = Entry {
        stanza: "<message/>".into(),
        ..log[3].clone()
    };
    fill(store, std::slice::from_ref(&tombstone)).await;
    assert_eq!(page(store, romeo()).await, [tombstone]);
}

/// XEP-0313 §4.1.2: both ends belong to it; several entries may share a time.
pub async fn a_time_is_a_place_in_the_log(store: &dyn Store) {
    let at = |epoch, seq, millis| Entry {
        position: Position::new(epoch, seq),
        stored_at: UnixMillis(millis),
        ..entry(1, 1, false)
    };
    let log = [
        at(1, 1, 1_000),
        at(1, 7, 2_000),
        at(1, 8, 2_000),
        at(2, 9, 2_000),
        at(2, 4_000_000_000_000, 3_000),
        at(7, u64::MAX, 4_000),
    ];
    assert!(
        places(
            store,
            Query {
                start: Some(UnixMillis(0)),
                ..all()
            }
        )
        .await
        .is_empty()
    );
    fill(store, &log).await;
    for (start, end, expected) in [
        (None, Some(999), &log[..0]),
        (None, Some(1_000), &log[..1]),
        (Some(1_001), None, &log[1..]),
        (Some(2_000), Some(2_000), &log[1..4]),
        (Some(2_001), Some(3_999), &log[4..5]),
        (Some(4_000), None, &log[5..]),
        (Some(4_001), None, &log[..0]),
        (Some(3_000), Some(1_000), &log[..0]),
        (Some(i64::MIN), Some(i64::MAX), &log[..]),
    ] {
        let query = Query {
            start: start.map(UnixMillis),
            end: end.map(UnixMillis),
            ..all()
        };
        assert_eq!(
            page(store, query.clone()).await,
            expected,
            "{start:?} {end:?}"
        );
        let backwards = Query {
            order: Order::Descending,
            ..query
        };
        let mut found = page(store, backwards).await;
        found.reverse();
        assert_eq!(found, expected, "{start:?} {end:?}");
    }
}

/// XEP-0334 §4.1: what only waits for delivery is not shown.
pub async fn only_archived_entries_when_asked(store: &dyn Store) {
    let log: Vec<_> = (1..=6).map(|seq| entry(1, seq, true)).collect();
    fill(store, &log).await;
    let archived: Vec<u64> = log
        .iter()
        .filter(|entry| entry.is_archived)
        .map(|entry| entry.position.seq)
        .collect();
    assert_eq!(places(store, all().archived_only()).await, archived);
    let query = with("romeo@montague.example").archived_only();
    assert_eq!(places(store, query).await, archived);
    let last = Query::before(None, 1).archived_only();
    assert_eq!(places(store, last).await, archived[archived.len() - 1..]);
}

/// XEP-0313 §4.1.3, `ids`.
pub async fn entries_are_fetched_by_their_positions(store: &dyn Store) {
    let log: Vec<_> = (1..=5).map(|seq| entry(1, seq, false)).collect();
    fill(store, &log).await;
    let only = |seqs: &[u64]| Query {
        only: Some(seqs.iter().map(|seq| Position::new(1, *seq)).collect()),
        ..all()
    };
    assert_eq!(places(store, only(&[4, 2, 2, 9])).await, [2, 4]);
    assert!(places(store, only(&[])).await.is_empty());
    let first = Query {
        limit: 1,
        ..only(&[5, 3, 1])
    };
    assert_eq!(places(store, first.clone()).await, [1]);
    let last = Query {
        order: Order::Descending,
        ..first
    };
    assert_eq!(places(store, last).await, [5]);
    let behind = Query {
        after: Some(log[2].position),
        ..only(&[1, 3, 4])
    };
    assert_eq!(places(store, behind).await, [4]);
}

/// Every filter narrows what the others leave.
pub async fn filters_combine(store: &dyn Store) {
    let peers = ["romeo@montague.example/a", "nurse@capulet.example/b"];
    let log: Vec<_> = (1..=12)
        .map(|seq| Entry {
            is_archived: seq != 5,
            ..between(peers[seq as usize % 2], seq)
        })
        .collect();
    fill(store, &log).await;
    let query = Query {
        after: Some(log[0].position),
        before: Some(log[10].position),
        start: Some(log[2].stored_at),
        end: Some(log[9].stored_at),
        ..with("nurse@capulet.example").archived_only()
    };
    assert_eq!(places(store, query.clone()).await, [3, 7, 9]);
    let resource = |peer: &str| Query {
        with: Some(Jid::parse(peer).unwrap()),
        ..query.clone()
    };
    assert_eq!(places(store, resource(peers[1])).await, [3, 7, 9]);
    assert!(
        places(store, resource("nurse@capulet.example/a"))
            .await
            .is_empty()
    );
    let only = Query {
        only: Some([1, 3, 4, 5, 9].map(|seq| Position::new(1, seq)).to_vec()),
        ..query
    };
    assert_eq!(places(store, only).await, [3, 9]);
}

/// XEP-0313 §4.3: a page asked for again is the same page, from whichever end,
/// whatever was appended meanwhile.
pub async fn pages_from_both_ends_hold_while_the_log_grows(store: &dyn Store) {
    const PAGE: usize = 3;
    let peer = jid("romeo@montague.example");
    let mut appended = 0;
    let mut grow = async |by: u64| {
        let log: Vec<_> = (appended + 1..=appended + by)
            .map(|seq| between(peer.as_str(), seq))
            .collect();
        appended += by;
        fill(store, &log).await;
    };
    grow(7).await;
    let (mut forwards, mut after) = (Vec::new(), Position::START);
    let (mut backwards, mut before) = (Vec::new(), None);
    for _ in 0..4 {
        let query = Query::after(after, PAGE).archived_only().with(peer.clone());
        let next = page(store, query.clone()).await;
        grow(1).await;
        if next.len() == PAGE {
            assert_eq!(page(store, query).await, next);
        }
        after = next.last().map_or(after, |last| last.position);
        forwards.extend(next);

        let query = Query::before(before, PAGE)
            .archived_only()
            .with(peer.clone());
        let next = page(store, query.clone()).await;
        grow(1).await;
        if before.is_some() {
            assert_eq!(page(store, query).await, next);
        }
        before = next.last().map(|last| last.position).or(before);
        backwards.extend(next);
    }
    let seqs = |entries: &[Entry]| -> Vec<u64> {
        entries.iter().map(|entry| entry.position.seq).collect()
    };
    assert_eq!(seqs(&forwards), (1..=12).collect::<Vec<_>>());
    assert_eq!(seqs(&backwards), (1..=8).rev().collect::<Vec<_>>());
}

/// A page ends with the entry that takes it beyond the octets that were asked
/// for: one too large for any page is still one.
pub async fn pages_end_where_they_are_heavy(store: &dyn Store) {
    let log: Vec<_> = (1..=6)
        .map(|seq| between("romeo@montague.example/a", seq))
        .collect();
    let bytes = log[0].stanza.len();
    assert!(log.iter().all(|entry| entry.stanza.len() == bytes));
    fill(store, &log).await;
    let within = |bytes_max| all().archived_only().within_bytes(bytes_max);
    assert_eq!(places(store, within(0)).await, [1]);
    assert_eq!(places(store, within(bytes - 1)).await, [1]);
    assert_eq!(places(store, within(bytes)).await, [1, 2]);
    assert_eq!(places(store, within(usize::MAX)).await, [1, 2, 3, 4, 5, 6]);
    let of_peer = within(2 * bytes).with(jid("romeo@montague.example"));
    assert_eq!(places(store, of_peer).await, [1, 2, 3]);
    let last = Query {
        order: Order::Descending,
        ..within(bytes)
    };
    assert_eq!(places(store, last).await, [6, 5]);
    let fewer = Query {
        limit: 1,
        ..within(bytes)
    };
    assert_eq!(places(store, fewer).await, [1]);
}

/// What waits and is in no archive is found among what waits and is.
pub async fn what_no_archive_has_is_asked_for(store: &dyn Store) {
    let log: Vec<_> = (1..=6)
        .map(|seq| Entry {
            is_archived: seq % 3 != 0,
            ..entry(1, seq, seq > 1)
        })
        .collect();
    fill(store, &log).await;
    let query = all().unarchived_only();
    assert_eq!(places(store, query.clone()).await, [3, 6]);
    let behind = Query {
        after: Some(log[2].position),
        ..query.offline_only()
    };
    assert_eq!(places(store, behind).await, [6]);
}
