//! The section `[node]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Its name in logs and in `starling status`. In a cluster every node has a
    /// name of its own, and keeps it.
    pub name: String,
    /// Whether it is one of several: the sections "cluster" and "link" then say how
    /// they find each other.
    pub cluster: bool,
    /// What it does: "edge" holds the sockets of clients, "session" owns
    /// accounts. A node that is alone does both.
    pub roles: Vec<Role>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds the sockets of clients.
    Edge,
    /// Owns accounts.
    Session,
}

impl Node {
    /// Whether it does this.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "starling".into(),
            cluster: false,
            roles: vec![Role::Edge, Role::Session],
        }
    }
}
