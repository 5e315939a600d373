//! A process that takes part in a cluster: its name, its run, what it tells of itself.
//!
//! Who owns which shard is in `table`; who is alive is the membership's answer.

use std::fmt;

use smol_str::SmolStr;

/// A node's name: unique in its cluster, stable over restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(SmolStr);

impl NodeId {
    /// A node of this name.
    pub fn new(name: impl Into<SmolStr>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// One run of a node: a random number taken at its start.
///
/// A fence stops one run, not the name, so that a node which was fenced may
/// start again and take shards at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// A node in one of its runs: what owns shards, and what a fence stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// The node's name.
    pub node: NodeId,
    /// Which run of it.
    pub incarnation: Incarnation,
}

impl fmt::Display for Instance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.node, self.incarnation)
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Holds the sockets of clients.
    Edge,
    /// Owns shards.
    Session,
    /// Holds the streams of other servers.
    Federation,
    /// Answers administrators and services.
    Api,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Edge, Self::Session, Self::Federation, Self::Api];

    /// Its name in configuration and in the cluster's records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Session => "session",
            Self::Federation => "federation",
            Self::Api => "api",
        }
    }

    /// The role of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What a node tells the others about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name and its run.
    pub instance: Instance,
    /// What it does.
    pub roles: Vec<Role>,
    /// The version of the program it runs.
    pub version: String,
    /// Where other nodes reach its link, `host:port`; none if it accepts none.
    pub link: Option<SmolStr>,
    /// When it started, in seconds since 1970; shown to people, never compared.
    pub started: u64,
    /// Whether it asks to lose its shards, or its clients, in an orderly way.
    pub is_draining: bool,
    /// Where clients reach it, `host:port`, if it may be told them.
    pub clients_at: Option<SmolStr>,
    /// How many connections of clients it has; some seconds old.
    pub clients: Option<u64>,
    /// Whether it cannot read the store at the moment: it can take nothing over.
    pub is_store_lost: bool,
}

impl NodeInfo {
    /// A node that has said nothing more of itself: it accepts no link and no
    /// clients, and asks for nothing.
    pub fn new(instance: Instance, roles: Vec<Role>) -> Self {
        Self {
            instance,
            roles,
            version: String::new(),
            link: None,
            started: 0,
            is_draining: false,
            clients_at: None,
            clients: None,
            is_store_lost: false,
        }
    }

    /// The node's name.
    pub fn id(&self) -> &NodeId {
        &self.instance.node
    }

    /// Whether it does this.
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
