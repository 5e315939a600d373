//! The name of a process that takes part in a cluster.
//!
//! What a node does (its roles) and where it listens belong to the membership.

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
