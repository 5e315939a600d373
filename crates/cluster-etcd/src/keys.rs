//! Where in etcd everything is.
//!
//! What the values look like is in `record`.

use starling_cluster::{Incarnation, Instance, NodeId, Shard};

use crate::error::Error;

/// Longest name of a node, in bytes.
const NODE_NAME_BYTES_MAX: usize = 64;

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The cluster's name and format; written once.
    Meta,
    /// A node that is alive; under its lease.
    Node(NodeId),
    /// A row of the assignment table.
    Shard(Shard),
    /// The controller; under its lease.
    Leader,
    /// A run of a node whose fence is written; under a lease as long as the
    /// window of the limits.
    Fenced(Instance),
    /// A run of a node that stopped in an orderly way; under such a lease.
    Left(Instance),
    /// A run of a node that does not answer another; under the other's lease.
    Report { of: Instance, by: NodeId },
    /// A node that is to own nothing.
    Draining(NodeId),
    /// A node that is given up.
    Removed(NodeId),
    /// A shard that is to be moved.
    Move(Shard),
    /// A secret that all nodes share; written once.
    Secret(String),
}

/// The cluster's part of etcd.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: format!("{prefix}/"),
        }
    }

    /// What every key begins with.
    pub(crate) fn all(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn of(&self, key: &Key) -> String {
        let prefix = &self.prefix;
        match key {
            Key::Meta => format!("{prefix}meta"),
            Key::Node(node) => format!("{prefix}nodes/{node}"),
            Key::Shard(shard) => format!("{prefix}shards/{:04}", shard.number()),
            Key::Leader => format!("{prefix}leader"),
            Key::Fenced(instance) => format!("{prefix}fenced/{instance}"),
            Key::Left(instance) => format!("{prefix}left/{instance}"),
            Key::Report { of, by } => format!("{prefix}reports/{of}/{by}"),
            Key::Draining(node) => format!("{prefix}draining/{node}"),
            Key::Removed(node) => format!("{prefix}removed/{node}"),
            Key::Move(shard) => format!("{prefix}moves/{:04}", shard.number()),
            Key::Secret(name) => format!("{prefix}secrets/{name}"),
        }
    }

    /// What the key is about; none if a later version put it there.
    pub(crate) fn parse(&self, key: &[u8]) -> Option<Key> {
        let key = std::str::from_utf8(key).ok()?;
        let key = key.strip_prefix(&self.prefix)?;
        match key.split_once('/') {
            None if key == "meta" => Some(Key::Meta),
            None if key == "leader" => Some(Key::Leader),
            None => None,
            Some(("nodes", node)) => Some(Key::Node(NodeId::new(node))),
            Some(("shards", shard)) => parse_shard(shard).map(Key::Shard),
            Some(("fenced", instance)) => parse_instance(instance).map(Key::Fenced),
            Some(("left", instance)) => parse_instance(instance).map(Key::Left),
            Some(("reports", rest)) => {
                let (of, by) = rest.split_once('/')?;
                let (of, by) = (parse_instance(of)?, NodeId::new(by));
                Some(Key::Report { of, by })
            }
            Some(("draining", node)) => Some(Key::Draining(NodeId::new(node))),
            Some(("removed", node)) => Some(Key::Removed(NodeId::new(node))),
            Some(("moves", shard)) => parse_shard(shard).map(Key::Move),
            Some(("secrets", name)) => Some(Key::Secret(name.to_owned())),
            Some(_) => None,
        }
    }
}

fn parse_shard(text: &str) -> Option<Shard> {
    text.parse().ok().and_then(Shard::new)
}

/// Reads what `Instance` prints.
pub(crate) fn parse_instance(text: &str) -> Option<Instance> {
    let (node, incarnation) = text.rsplit_once('.')?;
    Some(Instance {
        node: NodeId::new(node),
        incarnation: Incarnation(u64::from_str_radix(incarnation, 16).ok()?),
    })
}

/// Checks that a node's name can be part of a key.
pub(crate) fn check_name(node: &NodeId) -> Result<(), Error> {
    let name = node.as_str();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_short = (1..=NODE_NAME_BYTES_MAX).contains(&name.len());
    if is_short && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(Error::Name(name.to_owned()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_as_it_was_written() {
        let keys = Keys::new("/starling");
        let node = || NodeId::new("node.1.example");
        let instance = || Instance {
            node: node(),
            incarnation: Incarnation(0xfeed),
        };
        let shard = Shard::new(17).unwrap();
        let by = NodeId::new("edge-1");
        for key in [
            Key::Meta,
            Key::Node(node()),
            Key::Shard(shard),
            Key::Leader,
            Key::Fenced(instance()),
            Key::Left(instance()),
            Key::Report { of: instance(), by },
            Key::Draining(node()),
            Key::Removed(node()),
            Key::Move(shard),
            Key::Secret("placement".to_owned()),
        ] {
            assert_eq!(keys.parse(keys.of(&key).as_bytes()), Some(key));
        }
    }

    #[test]
    fn strange_keys_are_left_alone() {
        let keys = Keys::new("/starling");
        for key in ["/starling/shards/1024", "/starling/later", "/other/leader"] {
            assert_eq!(keys.parse(key.as_bytes()), None);
        }
        assert!(check_name(&NodeId::new("a/b")).is_err());
        assert!(check_name(&NodeId::new("")).is_err());
    }
}
