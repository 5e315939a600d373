//! What can go wrong with the cluster's coordination.

use starling_cluster::{FenceFailure, Instance, NodeId};

/// Why a node cannot be part of the cluster, or a request to etcd failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself.
    #[error("[cluster]: {0}")]
    Config(String),
    /// A file that the configuration names cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// No member of etcd answers.
    #[error("cannot reach etcd at {endpoints}: {reason}")]
    Unreachable {
        /// The members that were tried.
        endpoints: String,
        /// What the last of them said.
        reason: String,
    },
    /// etcd does not accept who we are.
    #[error("etcd refuses the user or its password: {0}")]
    Credentials(String),
    /// etcd knows us and does not let us.
    #[error("etcd does not let this user read and write below {prefix}: {reason}")]
    Forbidden {
        /// The cluster's prefix.
        prefix: String,
        /// What etcd said.
        reason: String,
    },
    /// The prefix belongs to another cluster.
    #[error("the cluster below {prefix} is \"{found}\", this node is configured for \"{wanted}\"")]
    WrongCluster {
        /// The cluster's prefix.
        prefix: String,
        /// What is written there.
        found: String,
        /// What the configuration says.
        wanted: String,
    },
    /// The cluster's keys are of a version this program does not know.
    #[error("the cluster below {prefix} has format {found}; this program knows format {known}")]
    WrongFormat {
        /// The cluster's prefix.
        prefix: String,
        /// What is written there.
        found: u32,
        /// What this program reads and writes.
        known: u32,
    },
    /// Another process runs under this name.
    #[error(
        "another process runs as node \"{node}\" (run {other}, link {link}): give every node a name of its own"
    )]
    IdentityTaken {
        /// The name.
        node: NodeId,
        /// The other process.
        other: Instance,
        /// Where it is.
        link: String,
    },
    /// A node's name cannot be part of a key.
    #[error(
        "\"{0}\" cannot name a node: use 1 to 64 letters, digits, dots, dashes and underscores"
    )]
    Name(String),
    /// There is no such node.
    #[error("there is no node \"{0}\"")]
    NoSuchNode(NodeId),
    /// The store does not keep the controller's rows.
    #[error("the store cannot keep fences and epochs: {0}")]
    Store(#[source] FenceFailure),
    /// etcd refused a request for another reason.
    #[error("etcd: {0}")]
    Refused(String),
}

impl Error {
    /// Whether another member of etcd, or a later time, may bring another answer.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
