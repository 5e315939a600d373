//! What an operator may set of the cluster.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_cluster::Limits;

use crate::error::Error;

/// The shortest lease etcd gives with its usual election timeout.
const LEASE_TTL_MIN: Duration = Duration::from_secs(2);

/// A node that is cut off serves nobody for so long; more is not sensible.
const LEASE_TTL_MAX: Duration = Duration::from_secs(60);

/// Settings of a node that is one of several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Members of etcd, as `http://host:port` or `https://host:port`. Any of
    /// them will do; the others are used when it fails.
    pub endpoints: Vec<String>,
    /// The name of the cluster, the same on all its nodes. The first node
    /// writes it down; a node with another name is refused.
    pub name: String,
    /// Where in etcd the cluster keeps its keys. Two clusters on one etcd need
    /// two prefixes.
    pub prefix: String,
    /// After so long without a sign of life from a node its shards go to
    /// others. A process that was killed is noticed at once; this is for
    /// machines that hang or are cut off.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub lease_ttl: Duration,
    /// The user at etcd, if it asks for one.
    #[schemars(example = &"starling")]
    pub username: Option<String>,
    /// A file with the password of that user.
    #[schemars(example = "/etc/starling/etcd.password")]
    pub password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of the authorities that etcd's
    /// certificate may come from. Needed for `https` endpoints.
    #[schemars(example = "/etc/starling/etcd-ca.crt")]
    pub ca: Option<PathBuf>,
    /// A file with this node's certificate (PEM) for etcd, if it asks for one.
    #[schemars(example = "/etc/starling/etcd.crt")]
    pub cert: Option<PathBuf>,
    /// A file with the key (PEM) of that certificate.
    #[schemars(example = "/etc/starling/etcd.key")]
    pub key: Option<PathBuf>,
    /// Shards that may be moving at once in the whole cluster.
    pub moves_max: usize,
    /// Shards that may be moving at once from or to one node.
    pub moves_per_node_max: usize,
    /// How long a session node that stops may take to give its shards to
    /// others. It goes earlier if none has left for 15 seconds.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub drain_timeout: Duration,
    /// How many session nodes, in percent, may be given up as dead within
    /// `fences_window` without asking anybody; one always may. Keeps a failing
    /// network from stopping the whole cluster.
    #[schemars(range(min = 1, max = 100))]
    pub fences_percent: usize,
    /// The time in which `fences_percent` counts.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub fences_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            name: "starling".to_owned(),
            prefix: "/starling".to_owned(),
            lease_ttl: Duration::from_secs(5),
            username: None,
            password_file: None,
            ca: None,
            cert: None,
            key: None,
            moves_max: limits.moves_max,
            moves_per_node_max: limits.moves_per_node_max,
            drain_timeout: Duration::from_secs(300),
            fences_percent: limits.fences_percent,
            fences_window: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// What is wrong with it, each mistake in a sentence.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |is_wrong: bool, text: &str| {
            if is_wrong {
                problems.push(text.to_owned());
            }
        };
        check(
            self.endpoints.is_empty(),
            "endpoints: name at least one member of etcd",
        );
        check(self.name.is_empty(), "name: the cluster needs a name");
        check(
            !self.prefix.starts_with('/') || self.prefix.ends_with('/'),
            "prefix: must begin with a slash and not end with one",
        );
        check(
            !(LEASE_TTL_MIN..=LEASE_TTL_MAX).contains(&self.lease_ttl),
            "lease_ttl: must be between 2s and 60s",
        );
        check(
            self.username.is_some() != self.password_file.is_some(),
            "username and password_file: give both or none",
        );
        check(
            self.cert.is_some() != self.key.is_some(),
            "cert and key: give both or none",
        );
        check(
            self.moves_max == 0 || self.moves_per_node_max == 0,
            "moves_max and moves_per_node_max: must be at least 1",
        );
        let is_tls = |endpoint: &String| endpoint.starts_with("https://");
        let is_plain = |endpoint: &String| endpoint.starts_with("http://");
        check(
            !self
                .endpoints
                .iter()
                .all(|one| is_tls(one) || is_plain(one)),
            "endpoints: each must begin with http:// or https://",
        );
        let has_tls_files = self.ca.is_some() || self.cert.is_some();
        check(
            has_tls_files && self.endpoints.iter().any(is_plain),
            "endpoints: with ca or cert every endpoint must begin with https://",
        );
        check(
            self.ca.is_none() && self.endpoints.iter().any(is_tls),
            "ca: https endpoints need the authority of their certificate",
        );
        problems
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.problems() {
            problems if problems.is_empty() => Ok(()),
            problems => Err(Error::Config(problems.join("; "))),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            moves_max: self.moves_max,
            moves_per_node_max: self.moves_per_node_max,
            fences_percent: self.fences_percent,
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_no_problems() {
        assert_eq!(Config::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let config = Config {
            endpoints: vec!["etcd:2379".to_owned()],
            prefix: "starling/".to_owned(),
            lease_ttl: Duration::from_millis(500),
            username: Some("root".to_owned()),
            ..Config::default()
        };
        assert_eq!(config.problems().len(), 4);
    }
}
