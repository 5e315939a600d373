//! What the values in etcd look like: JSON that a person can read.
//!
//! A later version may add fields, which this one ignores, and must not change
//! the meaning of those it has, because nodes of both run side by side.

use serde::{Deserialize, Serialize};
use starling_cluster::{Assignment, Epoch, Instance, NodeInfo, Role, State};

use crate::keys::{Key, parse_instance};

/// The format of all records; raised when an older program could not read them.
pub(crate) const FORMAT: u32 = 1;

/// A value, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Node(NodeInfo),
    Shard(Assignment),
    Leader(Instance),
    Fenced(Fenced),
    Move(Move),
    /// The key says it all.
    Mark,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) format: u32,
    pub(crate) shards: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fenced {
    pub(crate) cause: String,
    /// Whether the limits on automatic fencing count it.
    pub(crate) is_limited: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    pub(crate) to: String,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Node {
    instance: String,
    roles: Vec<String>,
    version: String,
    #[serde(default)]
    link: Option<String>,
    started: u64,
    #[serde(default)]
    draining: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    store_lost: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clients_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clients: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Shard {
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Leader {
    instance: String,
}

/// The JSON of a record. The types of this file always have one.
pub(crate) fn json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

pub(crate) fn node(info: &NodeInfo) -> Vec<u8> {
    json(&Node {
        instance: info.instance.to_string(),
        roles: info.roles.iter().map(Role::to_string).collect(),
        version: info.version.clone(),
        link: info.link.as_ref().map(ToString::to_string),
        started: info.started,
        draining: info.is_draining,
        store_lost: info.is_store_lost,
        clients_at: info.clients_at.as_ref().map(ToString::to_string),
        clients: info.clients,
    })
}

pub(crate) fn leader(instance: &Instance) -> Vec<u8> {
    let instance = instance.to_string();
    json(&Leader { instance })
}

pub(crate) fn shard(row: &Assignment) -> Vec<u8> {
    let next = match &row.state {
        State::Moving { next, .. } => Some(next.0),
        State::Unassigned | State::Owned(_) => None,
    };
    json(&Shard {
        epoch: row.epoch.0,
        owner: row.owner().map(Instance::to_string),
        to: row.target().map(Instance::to_string),
        next,
    })
}

/// Reads the value of a key; none if it is not as expected.
pub(crate) fn parse(key: &Key, value: &[u8]) -> Option<Record> {
    Some(match key {
        Key::Node(_) => Record::Node(parse_node(value)?),
        Key::Shard(_) => Record::Shard(parse_row(value)?),
        Key::Leader => {
            let leader: Leader = serde_json::from_slice(value).ok()?;
            Record::Leader(parse_instance(&leader.instance)?)
        }
        Key::Fenced(_) => Record::Fenced(serde_json::from_slice(value).ok()?),
        Key::Move(_) => Record::Move(serde_json::from_slice(value).ok()?),
        Key::Meta
        | Key::Left(_)
        | Key::Report { .. }
        | Key::Draining(_)
        | Key::Removed(_)
        | Key::Secret(_) => Record::Mark,
    })
}

fn parse_node(value: &[u8]) -> Option<NodeInfo> {
    let node: Node = serde_json::from_slice(value).ok()?;
    Some(NodeInfo {
        instance: parse_instance(&node.instance)?,
        // A role of a later version is none that this one could ask for.
        roles: node
            .roles
            .iter()
            .filter_map(|name| Role::of_name(name))
            .collect(),
        version: node.version,
        link: node.link.map(Into::into),
        started: node.started,
        is_draining: node.draining,
        is_store_lost: node.store_lost,
        clients_at: node.clients_at.map(Into::into),
        clients: node.clients,
    })
}

fn parse_row(value: &[u8]) -> Option<Assignment> {
    let row: Shard = serde_json::from_slice(value).ok()?;
    let instance = |text: Option<String>| match text {
        Some(text) => parse_instance(&text).map(Some),
        None => Some(None),
    };
    let state = match (instance(row.owner)?, instance(row.to)?, row.next) {
        (None, None, None) => State::Unassigned,
        (Some(owner), None, None) => State::Owned(owner),
        (Some(from), Some(to), Some(next)) => State::Moving {
            from,
            to,
            next: Epoch(next),
        },
        _ => return None,
    };
    let epoch = Epoch(row.epoch);
    Some(Assignment { epoch, state })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use starling_cluster::{Incarnation, NodeId};

    use super::*;

    fn instance(name: &str) -> Instance {
        Instance {
            node: NodeId::new(name),
            incarnation: Incarnation(7),
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let (from, to, next) = (instance("a"), instance("b"), Epoch(4));
        for state in [
            State::Unassigned,
            State::Owned(instance("a")),
            State::Moving { from, to, next },
        ] {
            let epoch = Epoch(3);
            let row = Assignment { epoch, state };
            assert_eq!(parse_row(&shard(&row)), Some(row));
        }
    }

    #[test]
    fn a_node_of_a_later_version_is_understood() {
        let text =
            br#"{"instance":"a.7","roles":["edge","oracle"],"version":"9","started":1,"new":2}"#;
        let node = parse_node(text).unwrap();
        assert_eq!(node.instance, instance("a"));
        assert_eq!(node.roles, [Role::Edge]);
    }

    #[test]
    fn half_a_row_is_no_row() {
        assert_eq!(parse_row(br#"{"epoch":1,"owner":"a.7","to":"b.7"}"#), None);
        assert_eq!(parse_row(b"later"), None);
    }
}
