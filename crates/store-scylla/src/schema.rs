//! The tables, as steps that lead from each version of the schema to the next.
//!
//! | table | key | content |
//! |---|---|---|
//! | `account` | `((owner))` | one row for each account, written by lightweight transactions only: `claim` tells who created it, `base` after which removal, `account` is its record as it was created |
//! | `account_list` | `((host, slot), local)` | names for listings, in 16 slots |
//! | `owner_state` | `((owner), kind, name)` | the small rows of an owner: what changed of the account since, roster, block list, cursors; the kinds are in `state` |
//! | `private_xml` | `((owner), namespace, name)` | one element each |
//! | `pep` | `((owner), kind, node, item)` | what the owner publishes, all in one partition, so that an item and what its node says of it are written as one: under the kind `node` the node's record as `body`, under `item` its payload |
//! | `vcard` | `((owner))` | the element |
//! | `archive` | `((owner, bucket), facet, position)` | the log: entries under the empty facet, and under the facet of each peer where its entries are |
//! | `archive_index` | `((owner), kind, position)` | where buckets begin, and the epoch seals |
//! | `offline` | `((owner), position)` | which entries wait for the owner, and their size |
//! | `node_fence` | `((node))` | who was fenced by whom |
//! | `shard_epoch` | `((part), shard, epoch, node)` | the highest epochs |
//! | `outbox` | `((shard, hour), position)` | stanzas for recipients out of reach, removed by the hour |
//! | `outbox_mark` | `((shard), peer)` | up to where those of each peer are done; without a peer: which hours have any |
//! | `meta` | `((key))` | secrets and settings of the deployment, by lightweight transactions only |
//!
//! A position is twelve bytes that sort as positions do: epoch, then sequence,
//! both big-endian. A bucket is named by the position it begins at.
//!
//! Both ScyllaDB, with tablets or without, and Apache Cassandra take every
//! statement: no counters, views, secondary indexes or change streams, and
//! nothing is filtered by the database. A step only adds, or changes how a
//! table is kept, so that nodes of the version before work on; each can be
//! repeated.

/// What leads from one version to the next.
pub(crate) struct Step {
    /// The oldest version of the schema whose programs work with this one.
    pub(crate) known_min: i32,
    /// The statements, each of which may be repeated.
    pub(crate) statements: &'static [&'static str],
}

/// The newest version that this program knows.
pub(crate) const VERSION: i32 = 4;

/// All steps: the first leads to version 1. Steps are only ever added.
pub(crate) const STEPS: [Step; 4] = [
    Step {
        known_min: 1,
        statements: &TABLES,
    },
    // Programs of version 1 do not look for what waits: a node of theirs that
    // takes a shard over leaves it until the next one does.
    Step {
        known_min: 1,
        statements: &OUTBOX,
    },
    Step {
        known_min: 1,
        statements: &PEP,
    },
    Step {
        known_min: 1,
        statements: &CLAIMS,
    },
];

/// What a migration itself needs; not a step, because it comes before them.
pub(crate) const BOOKKEEPING: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS schema_version (
        id int PRIMARY KEY, version int, known_min int)",
    "CREATE TABLE IF NOT EXISTS schema_lock (id int PRIMARY KEY, holder blob)",
];

const TABLES: [&str; 11] = [
    "CREATE TABLE IF NOT EXISTS account (
        owner text PRIMARY KEY, claim blob, base bigint, account blob)",
    "CREATE TABLE IF NOT EXISTS account_list (
        host text, slot int, local text, PRIMARY KEY ((host, slot), local))",
    // Read whole at every login and overwritten in place: levels keep a
    // partition in few files.
    "CREATE TABLE IF NOT EXISTS owner_state (
        owner text, kind text, name text, value blob, PRIMARY KEY ((owner), kind, name))
        WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS private_xml (
        owner text, namespace text, name text, element blob,
        PRIMARY KEY ((owner), namespace, name))",
    "CREATE TABLE IF NOT EXISTS vcard (owner text PRIMARY KEY, element blob)",
    "CREATE TABLE IF NOT EXISTS archive (
        owner text, bucket blob, facet text, position blob, entry blob,
        PRIMARY KEY ((owner, bucket), facet, position))",
    "CREATE TABLE IF NOT EXISTS archive_index (
        owner text, kind text, position blob, value blob,
        PRIMARY KEY ((owner), kind, position))
        WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS offline (
        owner text, position blob, bytes int, PRIMARY KEY ((owner), position))",
    "CREATE TABLE IF NOT EXISTS node_fence (node text PRIMARY KEY, fenced_by text)",
    "CREATE TABLE IF NOT EXISTS shard_epoch (
        part int, shard int, epoch bigint, node text,
        PRIMARY KEY ((part), shard, epoch, node))",
    "CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value blob)",
];

const OUTBOX: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS outbox (
        shard int, hour int, position blob, row blob,
        PRIMARY KEY ((shard, hour), position))",
    "CREATE TABLE IF NOT EXISTS outbox_mark (
        shard int, peer text, value blob, PRIMARY KEY ((shard), peer))
        WITH compaction = {'class': 'LeveledCompactionStrategy'}",
];

const PEP: [&str; 1] = ["CREATE TABLE IF NOT EXISTS pep (
        owner text, kind text, node text, item text,
        at bigint, publisher text, bytes int, body blob,
        PRIMARY KEY ((owner), kind, node, item))
        WITH compaction = {'class': 'LeveledCompactionStrategy'}"];

// What is removed of the claims to epochs lies where all who move a shard read,
// and a database refuses to read past very many of it: Cassandra past 100,000,
// which every node restarted twice a day would make in ten days. It is forgotten
// after an hour. A removal that a replica misses for longer leaves an old claim
// behind, which says no more than the newer one beside it.
const CLAIMS: [&str; 1] = ["ALTER TABLE shard_epoch WITH gc_grace_seconds = 3600"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_step() {
        assert_eq!(usize::try_from(VERSION), Ok(STEPS.len()));
        for (n, step) in STEPS.iter().enumerate() {
            assert!(usize::try_from(step.known_min).is_ok_and(|known| known <= n + 1));
            assert!(
                step.statements
                    .iter()
                    .all(|text| text.contains("IF NOT EXISTS") || text.starts_with("ALTER"))
            );
        }
    }
}
