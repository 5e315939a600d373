//! All keys of the cluster, as of one revision of etcd.
//!
//! A mirror only applies what it is given; listing and watching is the work of
//! `watch`. What a row means for a shard or a node is the pure crate's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use etcd_client::{Event, EventType, KeyValue};
use starling_cluster::{Instance, NodeId, NodeInfo, Requests, Shard, Table, View};

use crate::keys::{Key, Keys};
use crate::record::{self, Record};
use crate::status;

/// A key's value and what guards a change of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) record: Record,
    /// The revision of its last change.
    pub(crate) revision: i64,
    /// The lease it is under, or 0.
    pub(crate) lease: i64,
}

/// The controller, as its key tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) instance: Instance,
    /// Guards whatever the controller writes.
    pub(crate) revision: i64,
    pub(crate) lease: i64,
}

/// What is below the prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// Every change up to this revision is in here.
    pub(crate) revision: i64,
    entries: BTreeMap<Key, Kept>,
}

impl Mirror {
    /// The mirror of a full list.
    pub(crate) fn of_list(keys: &Keys, list: &[KeyValue], revision: i64) -> Self {
        let entries = list.iter().filter_map(|kv| read(keys, kv)).collect();
        Self { revision, entries }
    }

    /// Applies the events of one answer, all or none of them visible to others:
    /// the caller publishes the result. Events that a newer list already showed
    /// are passed over.
    pub(crate) fn apply(&mut self, keys: &Keys, events: &[Event]) {
        let known = self.revision;
        for event in events {
            let Some(kv) = event.kv().filter(|kv| kv.mod_revision() > known) else {
                continue;
            };
            match event.event_type() {
                EventType::Put => self.entries.extend(read(keys, kv)),
                EventType::Delete => {
                    if let Some(key) = keys.parse(kv.key()) {
                        self.entries.remove(&key);
                    }
                }
            }
            self.revision = self.revision.max(kv.mod_revision());
        }
    }

    /// Whether it says the same, whatever its revision.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.entries == other.entries
    }

    /// The revision that guards a key: that of its last change, 0 if it is not
    /// there. etcd compares missing keys as 0, too.
    pub(crate) fn guard(&self, key: &Key) -> i64 {
        self.entries.get(key).map_or(0, |kept| kept.revision)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Kept> {
        self.entries.get(key)
    }

    /// What every node knows and readers of the hot path see.
    pub(crate) fn view(&self) -> View {
        View {
            revision: u64::try_from(self.revision).unwrap_or(0),
            table: self.table(),
            nodes: self.nodes(),
        }
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::default();
        for (key, kept) in &self.entries {
            if let (Key::Shard(shard), Record::Shard(row)) = (key, &kept.record) {
                table.set(*shard, row.clone());
            }
        }
        table
    }

    pub(crate) fn nodes(&self) -> BTreeMap<NodeId, Arc<NodeInfo>> {
        let nodes = self.entries.values().filter_map(|kept| match &kept.record {
            Record::Node(info) => Some((info.id().clone(), Arc::new(info.clone()))),
            _ => None,
        });
        nodes.collect()
    }

    pub(crate) fn node(&self, node: &NodeId) -> Option<(&NodeInfo, &Kept)> {
        let kept = self.entries.get(&Key::Node(node.clone()))?;
        match &kept.record {
            Record::Node(info) => Some((info, kept)),
            _ => None,
        }
    }

    pub(crate) fn leader(&self) -> Option<Leader> {
        let kept = self.entries.get(&Key::Leader)?;
        let Record::Leader(instance) = &kept.record else {
            return None;
        };
        Some(Leader {
            instance: instance.clone(),
            revision: kept.revision,
            lease: kept.lease,
        })
    }

    /// The runs of nodes that are fenced, and whether the limits count them.
    pub(crate) fn fenced(&self) -> BTreeMap<Instance, bool> {
        let fenced = self
            .entries
            .iter()
            .filter_map(|(key, kept)| match (key, &kept.record) {
                (Key::Fenced(instance), Record::Fenced(fenced)) => {
                    Some((instance.clone(), fenced.is_limited))
                }
                _ => None,
            });
        fenced.collect()
    }

    /// The runs of nodes that are fenced, and why.
    pub(crate) fn causes(&self) -> impl Iterator<Item = status::Fenced> {
        self.entries
            .iter()
            .filter_map(|(key, kept)| match (key, &kept.record) {
                (Key::Fenced(instance), Record::Fenced(fenced)) => Some(status::Fenced {
                    instance: instance.clone(),
                    cause: fenced.cause.clone(),
                }),
                _ => None,
            })
    }

    pub(crate) fn left(&self) -> BTreeSet<Instance> {
        let left = self.entries.keys().filter_map(|key| match key {
            Key::Left(instance) => Some(instance.clone()),
            _ => None,
        });
        left.collect()
    }

    /// Who is reported not to answer, and by whom.
    pub(crate) fn reports(&self) -> BTreeMap<Instance, BTreeSet<NodeId>> {
        let mut reports = BTreeMap::<_, BTreeSet<NodeId>>::new();
        for key in self.entries.keys() {
            if let Key::Report { of, by } = key {
                reports.entry(of.clone()).or_default().insert(by.clone());
            }
        }
        reports
    }

    pub(crate) fn requests(&self) -> Requests {
        let mut requests = Requests::default();
        for (key, kept) in &self.entries {
            match (key, &kept.record) {
                (Key::Draining(node), _) => drop(requests.draining.insert(node.clone())),
                (Key::Removed(node), _) => drop(requests.removed.insert(node.clone())),
                (Key::Move(shard), Record::Move(to)) if to.refusal.is_none() => {
                    requests.moves.insert(*shard, NodeId::new(to.to.as_str()));
                }
                _ => {}
            }
        }
        requests
    }

    /// Requests to move a shard, refused ones included.
    pub(crate) fn move_requests(&self) -> impl Iterator<Item = (Shard, &record::Move)> {
        self.entries
            .iter()
            .filter_map(|(key, kept)| match (key, &kept.record) {
                (Key::Move(shard), Record::Move(request)) => Some((*shard, request)),
                _ => None,
            })
    }
}

fn read(keys: &Keys, kv: &KeyValue) -> Option<(Key, Kept)> {
    let key = keys.parse(kv.key())?;
    let Some(record) = record::parse(&key, kv.value()) else {
        // What is not understood is not there: nobody can act on it.
        tracing::error!(
            key = %String::from_utf8_lossy(kv.key()),
            "a key of the cluster in etcd has a value that cannot be read"
        );
        return None;
    };
    let kept = Kept {
        record,
        revision: kv.mod_revision(),
        lease: kv.lease(),
    };
    Some((key, kept))
}
