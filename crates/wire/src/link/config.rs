//! What an operator may set about the link between nodes: `[link]`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outbox::Batching;

/// The port nodes meet on, unless another is set.
const PORT: u16 = 5290;

/// `[link]`: how the nodes of a cluster reach each other. A node that is alone
/// needs none of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where other nodes connect. Only a node with the role "session" listens.
    pub listen: SocketAddr,
    /// Where others reach this node, as "host:port". Without this key: the
    /// address of `listen`, which must then be one that others can use.
    #[schemars(example = "10.0.0.7:5290")]
    pub advertise: Option<String>,
    /// The certificate of this node, a PEM file: "starling cluster cert" makes
    /// one. It names the cluster, the node and its roles.
    #[schemars(example = "/etc/starling/link.crt")]
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file.
    #[schemars(example = "/etc/starling/link.key")]
    pub key: Option<PathBuf>,
    /// Who signs the certificates of all nodes, a PEM file.
    #[schemars(example = "/etc/starling/ca.crt")]
    pub ca: Option<PathBuf>,
    /// Connections to each other node, besides one for questions. More of them
    /// use more cores; each costs memory for what is on its way.
    #[schemars(range(min = 1, max = 16))]
    pub lanes: u32,
    /// A batch is sent at once when it has this many bytes.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub batch_bytes: usize,
    /// A batch waits no longer than this while more keeps coming.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub batch_delay: Duration,
    /// Bytes that may be on their way to one node by one lane before clients
    /// are read no further.
    #[schemars(range(min = 65_536))]
    pub unacknowledged_bytes_max: usize,
    /// How long a lane may be broken before the sessions behind it are let go.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub broken_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT),
            advertise: None,
            certificate: None,
            key: None,
            ca: None,
            lanes: 2,
            batch_bytes: 65_536,
            batch_delay: Duration::from_micros(200),
            unacknowledged_bytes_max: 8 * 1_048_576,
            broken_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Where others reach this node, if that can be told; `bound` is where it
    /// really listens.
    #[must_use]
    pub fn advertised(&self, bound: SocketAddr) -> Option<String> {
        match &self.advertise {
            Some(given) => Some(given.clone()),
            None if bound.ip().is_unspecified() => None,
            None => Some(bound.to_string()),
        }
    }

    pub(super) fn batching(&self) -> Batching {
        Batching {
            bytes: self.batch_bytes.max(1),
            delay: self.batch_delay,
        }
    }
}
