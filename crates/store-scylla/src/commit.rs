//! A batch of writes: sorted by partition, each partition's written by one batch
//! of the database, all of them at once within bounds, and `Ok` when every one
//! has answered.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::FutureExt as _;
use starling_store::account::Change as AccountChange;
use starling_store::archive::{self, Entry};
use starling_store::outbox::{self, Row};
use starling_store::{Change, Error, Position, Stamp, Write, cursor, pep, private_xml, vcard};
use starling_xmpp::jid::BareJid;

use crate::client::{Bound, Client, together};
use crate::log::index::Index;
use crate::log::open::OpenLogs;
use crate::log::sweep::{Sweep, sweep};
use crate::log::write;
use crate::stamp::{of_delete, of_put};
use crate::state::Writer;
use crate::value::values;
use crate::{Scylla, account};

/// Most bytes of one batch of the database; Cassandra takes half a segment of
/// its commit log, 16 MiB by default.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Most statements of one batch of the database.
const BATCH_STATEMENTS_MAX: usize = 512;

/// Largest value of one row.
const VALUE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A partition that is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Table {
    Bucket,
    Index,
    Offline,
    Outbox,
    OutboxMark,
    Pep,
    Private,
    State,
    VCard,
}

type Partition = (Table, BareJid, Position);

/// Makes a batch durable.
pub(crate) async fn run(store: &Scylla, batch: Vec<Write>) -> Result<(), Error> {
    if let Some(write) = batch.iter().find(|write| size(write) > VALUE_BYTES_MAX) {
        return Err(Error::Refused {
            reason: format!(
                "{} bytes in one record of {}; {VALUE_BYTES_MAX} at most",
                size(write),
                write.owner
            ),
        });
    }
    let began = store.client.metrics.begin();
    let mut partitions = 0;
    let mut plan = Plan::default();
    for write in batch {
        // What reads the index must find what was appended before it.
        let is_barrier = match write.change {
            Change::Account(AccountChange::Remove) => true,
            Change::Archive(archive::Change::Purge { .. } | archive::Change::Sweep { .. }) => {
                plan.appends_to(&write.owner)
            }
            _ => false,
        };
        if is_barrier {
            partitions += std::mem::take(&mut plan).run(store).await?;
        }
        let Write {
            owner,
            stamp,
            change,
        } = write;
        match change {
            Change::Account(AccountChange::Remove) => {
                // Rare and large: it must not make every commit larger.
                Box::pin(account::remove(&store.client, &owner, stamp)).await?;
                store.open.forget(&owner);
            }
            change => plan.add(&store.client, owner, stamp, change),
        }
    }
    partitions += plan.run(store).await?;
    store.client.metrics.committed(began, partitions);
    Ok(())
}

/// What one batch does, by partition.
#[derive(Default)]
struct Plan {
    partitions: HashMap<Partition, Vec<Bound>>,
    appends: Vec<(BareJid, Stamp, Entry)>,
    appended: HashSet<BareJid>,
    purges: Vec<(BareJid, Stamp, Position)>,
    sweeps: Vec<(BareJid, Stamp, Sweep)>,
}

impl Plan {
    fn appends_to(&self, owner: &BareJid) -> bool {
        self.appended.contains(owner)
    }

    fn push(&mut self, table: Table, owner: &BareJid, part: Position, bound: Bound) {
        let partition = (table, owner.clone(), part);
        self.partitions.entry(partition).or_default().push(bound);
    }

    fn add(&mut self, client: &Client, owner: BareJid, stamp: Stamp, change: Change) {
        let all = &client.statements;
        let (name, writer) = (
            owner.as_str(),
            Writer {
                client,
                owner: &owner,
                stamp,
            },
        );
        let start = Position::START;
        match change {
            Change::Account(change) => {
                if let Some(bound) = writer.account(&change) {
                    self.push(Table::State, &owner, start, bound);
                }
            }
            Change::Blocklist(change) => {
                self.push(Table::State, &owner, start, writer.blocklist(&change));
            }
            Change::Cursor(change) => {
                self.push(Table::State, &owner, start, writer.cursor(&change));
                if let cursor::Change::SetOffline(through) = change {
                    // They do not wait any more.
                    let bound = Bound {
                        statement: all.offline_delete_through.clone(),
                        values: values![of_delete(stamp), name, through],
                    };
                    self.push(Table::Offline, &owner, start, bound);
                }
            }
            Change::Outbox(change) => {
                let (table, part) = place_of(&change);
                let bound = crate::outbox::bound(client, stamp, &change);
                self.push(table, &owner, part, bound);
            }
            Change::Roster(change) => {
                for bound in writer.roster(&change) {
                    self.push(Table::State, &owner, start, bound);
                }
            }
            Change::Pep(change) => self.pep(client, &owner, stamp, change),
            Change::PrivateXml(change) => {
                let bound = private_xml(client, name, stamp, change);
                self.push(Table::Private, &owner, start, bound);
            }
            Change::VCard(change) => {
                let bound = vcard(client, name, stamp, change);
                self.push(Table::VCard, &owner, start, bound);
            }
            Change::Archive(change) => self.add_to_log(owner, stamp, change),
        }
    }

    fn add_to_log(&mut self, owner: BareJid, stamp: Stamp, change: archive::Change) {
        match change {
            archive::Change::Append(entry) => {
                self.appended.insert(owner.clone());
                self.appends.push((owner, stamp, entry));
            }
            archive::Change::Purge { through } => self.purges.push((owner, stamp, through)),
            archive::Change::Sweep {
                after,
                through,
                is_offline,
            } => {
                let sweep = Sweep {
                    after,
                    through,
                    is_offline,
                };
                self.sweeps.push((owner, stamp, sweep));
            }
        }
    }

    fn pep(&mut self, client: &Client, owner: &BareJid, stamp: Stamp, change: pep::Change) {
        for bound in crate::pep::bound(client, owner.as_str(), stamp, change) {
            self.push(Table::Pep, owner, Position::START, bound);
        }
    }

    /// Writes all of it; returns to how many partitions.
    async fn run(mut self, store: &Scylla) -> Result<usize, Error> {
        let client = &store.client;
        learn(client, &store.open, &self.appends).await?;
        let mut indexed = BTreeSet::new();
        let mut appends = std::mem::take(&mut self.appends);
        // So that a bucket begins at the first of its entries.
        appends.sort_by(|a, b| (&a.0, a.2.position).cmp(&(&b.0, b.2.position)));
        for (owner, stamp, entry) in appends {
            let place = store.open.place(&owner, &entry);
            let append = write::append(client, &owner, stamp, &entry, place);
            for bound in append.bucket {
                self.push(Table::Bucket, &owner, place.bucket, bound);
            }
            if let Some(bound) = append.index {
                self.push(Table::Index, &owner, Position::START, bound);
                indexed.insert((owner.clone(), place.bucket));
            }
            if let Some(bound) = append.offline {
                self.push(Table::Offline, &owner, Position::START, bound);
            }
        }
        let partitions = self.partitions.len();
        let writes = self.partitions.values();
        together(
            writes
                .map(|bound| partition(client, bound).boxed())
                .collect(),
        )
        .await?;
        for (owner, bucket) in indexed {
            store.open.indexed(&owner, bucket);
        }
        let purges = self.purges.iter();
        let purges = purges
            .map(|(owner, stamp, through)| write::purge(client, owner, *stamp, *through).boxed());
        together(purges.collect()).await?;
        let sweeps = self.sweeps.iter();
        let sweeps = sweeps.map(|(owner, stamp, what)| sweep(client, owner, *stamp, *what).boxed());
        together(sweeps.collect()).await?;
        Ok(partitions)
    }
}

/// The partition of the outbox that a change is for.
fn place_of(change: &outbox::Change) -> (Table, Position) {
    match change {
        outbox::Change::Put(Row { bucket, .. }) | outbox::Change::Clear(bucket) => {
            let part = Position::new(u32::from(bucket.shard), bucket.hour.into());
            (Table::Outbox, part)
        }
        outbox::Change::Done { shard, .. }
        | outbox::Change::Extend { shard, .. }
        | outbox::Change::ForgetPeers { shard } => {
            (Table::OutboxMark, Position::new(u32::from(*shard), 0))
        }
    }
}

/// Reads the index of every log that this node has not appended to yet.
async fn learn(
    client: &Client,
    open: &OpenLogs,
    appends: &[(BareJid, Stamp, Entry)],
) -> Result<(), Error> {
    let mut unknown: HashMap<&BareJid, BTreeSet<u32>> = HashMap::new();
    for (owner, _, entry) in appends {
        let epoch = entry.position.epoch;
        if !open.knows(owner, epoch) {
            unknown.entry(owner).or_default().insert(epoch);
        }
    }
    let reads = unknown
        .keys()
        .map(|owner| Index::read(client, owner).boxed());
    let indexes = together(reads.collect()).await?;
    for ((owner, epochs), index) in unknown.iter().zip(&indexes) {
        for epoch in epochs {
            open.learn(owner, *epoch, index);
        }
    }
    Ok(())
}

/// Writes to one partition: as one, unless that would be too large.
async fn partition(client: &Client, bound: &[Bound]) -> Result<(), Error> {
    let mut rest = bound;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(BATCH_STATEMENTS_MAX).take_while(|bound| {
            bytes += bound.bytes();
            bytes <= BATCH_BYTES_MAX
        });
        let (batch, behind) = rest.split_at(fitting.count().max(1));
        client.batch(batch).await?;
        rest = behind;
    }
    Ok(())
}

fn private_xml(client: &Client, owner: &str, stamp: Stamp, change: private_xml::Change) -> Bound {
    let all = &client.statements;
    match change {
        private_xml::Change::Put { key, element } => Bound {
            statement: all.private_put.clone(),
            values: values![
                owner,
                key.namespace.as_str(),
                key.name.as_str(),
                element,
                of_put(stamp)
            ],
        },
        private_xml::Change::Remove { key } => Bound {
            statement: all.private_delete.clone(),
            values: values![
                of_delete(stamp),
                owner,
                key.namespace.as_str(),
                key.name.as_str()
            ],
        },
    }
}

fn vcard(client: &Client, owner: &str, stamp: Stamp, change: vcard::Change) -> Bound {
    let all = &client.statements;
    match change {
        vcard::Change::Put(element) => Bound {
            statement: all.vcard_put.clone(),
            values: values![owner, element, of_put(stamp)],
        },
        vcard::Change::Remove => Bound {
            statement: all.vcard_delete.clone(),
            values: values![of_delete(stamp), owner],
        },
    }
}

/// About how many bytes a write stores in one row.
fn size(write: &Write) -> usize {
    match &write.change {
        Change::Account(AccountChange::SetAttribute { value, .. }) => {
            value.as_ref().map_or(0, String::len)
        }
        Change::Archive(archive::Change::Append(entry)) => entry.stanza.len(),
        Change::Pep(pep::Change::PutItem { item, .. }) => item.payload.len(),
        Change::PrivateXml(private_xml::Change::Put { element, .. }) => element.len(),
        Change::Outbox(outbox::Change::Put(row)) => row.stanza.len(),
        Change::VCard(vcard::Change::Put(element)) => element.len(),
        Change::Roster(starling_store::roster::Change::Put(item)) => {
            item.pending_in.as_ref().map_or(0, bytes::Bytes::len)
        }
        _ => 0,
    }
}
