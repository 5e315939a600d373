//! What an operator may set of the CQL store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the store on ScyllaDB or Apache Cassandra.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Some nodes of the database, as `host:port` or `host`; the others are
    /// learned from them.
    pub contact_points: Vec<String>,
    /// The keyspace. Every Starling cluster needs one of its own.
    pub keyspace: String,
    /// The datacenter of the database that this node belongs to. Only its
    /// nodes are asked. Leave it empty if there is only one.
    pub local_datacenter: String,
    /// How many replicas must agree. `local_quorum` asks the local datacenter
    /// only; with several datacenters use it only if all session nodes are in
    /// the same one.
    pub consistency: Consistency,
    /// The user; empty if the database asks for none.
    pub username: String,
    /// A file with the user's password.
    #[schemars(example = "/etc/starling/cql.password")]
    pub password_file: Option<PathBuf>,
    /// A file with the certificates, in PEM, that the database's own must be
    /// signed by. With it connections are encrypted, without it they are not,
    /// the password neither.
    #[schemars(example = "/etc/starling/cql-ca.crt")]
    pub ca: Option<PathBuf>,
    /// A name that the certificates of all nodes of the database have. Empty:
    /// each must have the IP address at which its node is reached.
    pub server_name: String,
    /// A file with this node's certificate (PEM) for the database, if it asks
    /// for one.
    #[schemars(example = "/etc/starling/cql.crt")]
    pub cert: Option<PathBuf>,
    /// A file with the key (PEM) of that certificate.
    #[schemars(example = "/etc/starling/cql.key")]
    pub key: Option<PathBuf>,
    /// How long one statement may take before it is issued again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub request_timeout: Duration,
    /// How often a statement is issued before its write is given back to wait:
    /// senders are slowed, and nothing is acknowledged meanwhile.
    #[schemars(range(min = 1, max = 100))]
    pub request_attempts: u32,
    /// After how long without an answer a second replica is asked as well.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub speculative_delay: Duration,
    /// How long a connection may take to be made.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub connect_timeout: Duration,
    /// Statements on their way at once, of this node.
    #[schemars(range(min = 1))]
    pub requests_max: usize,
    /// How many replicas the keyspace gets in each datacenter if it has to be
    /// created, as in `{ datacenter1 = 3 }`. Empty: it must exist.
    pub replication: BTreeMap<String, u32>,
}

/// How many replicas must agree on a read or a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// A majority of all of them.
    Quorum,
    /// A majority of those in the local datacenter.
    #[default]
    LocalQuorum,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            contact_points: Vec::new(),
            keyspace: "starling".to_owned(),
            local_datacenter: String::new(),
            consistency: Consistency::default(),
            username: String::new(),
            password_file: None,
            ca: None,
            server_name: String::new(),
            cert: None,
            key: None,
            request_timeout: Duration::from_secs(2),
            request_attempts: 3,
            speculative_delay: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(5),
            requests_max: 512,
            replication: BTreeMap::new(),
        }
    }
}

/// Longest name of a keyspace that both databases take.
const KEYSPACE_BYTES_MAX: usize = 48;

impl Config {
    /// What is wrong with these settings, as far as can be seen without the
    /// database: one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.contact_points.is_empty() {
            problems.push("contact_points names no node of the database".to_owned());
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !self.keyspace.chars().all(is_plain)
            || !self.keyspace.starts_with(|c: char| c.is_ascii_lowercase())
            || self.keyspace.len() > KEYSPACE_BYTES_MAX
            || self.keyspace.chars().any(|c| c.is_ascii_uppercase())
        {
            problems.push(format!(
                "keyspace must begin with a small letter and have only small letters, digits and \
                 _, at most {KEYSPACE_BYTES_MAX} of them"
            ));
        }
        if self.username.is_empty() != self.password_file.is_none() {
            problems.push("username and password_file go together".to_owned());
        }
        self.tls_problems(&mut problems);
        if self.replication.keys().any(|name| name.contains('\'')) {
            problems.push("replication names a datacenter with a quote in it".to_owned());
        }
        if self.request_timeout.is_zero() || self.connect_timeout.is_zero() {
            problems.push("a timeout of nothing lets nothing succeed".to_owned());
        }
        problems
    }

    fn tls_problems(&self, problems: &mut Vec<String>) {
        if self.cert.is_some() != self.key.is_some() {
            problems.push("cert and key go together".to_owned());
        }
        if self.ca.is_none() && (self.cert.is_some() || !self.server_name.is_empty()) {
            problems.push(
                "ca is missing: cert, key and server_name are for encrypted connections, and \
                 without ca there are none"
                    .to_owned(),
            );
        }
        let name = ServerName::try_from(self.server_name.as_str());
        if !self.server_name.is_empty() && name.is_err() {
            problems.push("server_name is neither a host name nor an IP address".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_before_anything_is_connected() {
        let good = Config {
            contact_points: vec!["localhost".to_owned()],
            ..Config::default()
        };
        assert_eq!(good.problems(), Vec::<String>::new());
        assert_eq!(Config::default().problems().len(), 1);
        let bad = Config {
            keyspace: "Star; DROP".to_owned(),
            username: "starling".to_owned(),
            request_timeout: Duration::ZERO,
            ..good
        };
        assert_eq!(bad.problems().len(), 3, "{:?}", bad.problems());
    }

    #[test]
    fn what_is_for_encryption_is_of_no_use_without_it() {
        let mut config = Config {
            contact_points: vec!["localhost".to_owned()],
            server_name: "not a name".to_owned(),
            cert: Some("cql.crt".into()),
            ..Config::default()
        };
        let keys = |config: &Config| {
            let problems = config.problems().into_iter();
            let key = |problem: String| problem.split(' ').next().map(str::to_owned);
            problems.filter_map(key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&config), ["cert", "ca", "server_name"]);
        config.ca = Some("ca.crt".into());
        config.key = Some("cql.key".into());
        config.server_name = "db.internal".to_owned();
        assert_eq!(keys(&config), Vec::<String>::new());
    }
}
