//! Whom a run is aimed at, and whether it may be. How to talk to it is the
//! work of `negotiate`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// The server under load and its users.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Where it listens; clients take them in turn.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Local addresses clients connect from, in turn; empty for any.
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) host: String,
    pub(crate) tls: Tls,
    /// Certificates that its own has to come from; without them any will do.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) protocol: Protocol,
    pub(crate) users: Users,
}

/// The accounts: `prefix`, a number, `@host`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Users {
    pub(crate) prefix: String,
    pub(crate) first: u64,
    pub(crate) password: String,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// After `<starttls/>`.
    Starttls,
    /// With the first byte (XEP-0368).
    Direct,
    /// Never.
    Off,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    #[default]
    Xmpp,
    /// That of `loadtest relay`: a line with a name, then bytes.
    Relay,
}

/// The target on the command line.
#[derive(Args, Clone, Debug)]
pub(crate) struct TargetArguments {
    /// Where the server listens; several are used in turn.
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:5222"
    )]
    target: Vec<String>,
    /// The XMPP host.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// When TLS begins.
    #[arg(long, value_enum, default_value = "starttls")]
    tls: Tls,
    /// PEM file with the authorities of the server's certificate. Any
    /// certificate is accepted without it.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Local addresses to connect from, in turn: one address has some 28,000
    /// connections to one port in it.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    source: Vec<IpAddr>,
    /// Accounts are called this and a number: user0, user1, ….
    #[arg(long, default_value = "user")]
    user_prefix: String,
    /// The number of the first account.
    #[arg(long, default_value_t = 0)]
    user_first: u64,
    /// The password of every account; {} stands for its number.
    #[arg(
        long,
        default_value = "secret",
        env = "LOADTEST_PASSWORD",
        hide_env_values = true
    )]
    password: String,
    /// What is spoken; "relay" with `loadtest relay`.
    #[arg(long, value_enum, default_value = "xmpp")]
    protocol: Protocol,
    /// Allows a target that is neither this machine nor in a private network.
    /// Only for servers whose operator wants this load.
    #[arg(long)]
    allow_public_target: bool,
}

impl TargetArguments {
    /// The target, if it may be one.
    pub(crate) fn resolve(&self) -> Result<Target> {
        let mut addresses = Vec::new();
        for name in &self.target {
            let found = name.to_socket_addrs();
            addresses.extend(found.with_context(|| format!("the target {name}"))?);
        }
        let target = Target {
            addresses,
            sources: self.source.clone(),
            host: self.host.clone(),
            tls: self.tls,
            ca: self.ca.clone(),
            protocol: self.protocol,
            users: Users {
                prefix: self.user_prefix.clone(),
                first: self.user_first,
                password: self.password.clone(),
            },
        };
        target.check(self.allow_public_target)?;
        Ok(target)
    }
}

impl Target {
    fn check(&self, is_public_allowed: bool) -> Result<()> {
        let Some(first) = self.addresses.first() else {
            bail!("the target has no address");
        };
        for address in &self.addresses {
            if !is_public_allowed && !is_own(address.ip()) {
                bail!(
                    "{address} is neither this machine nor in a private network; \
                     with --allow-public-target it is loaded all the same"
                );
            }
        }
        let is_mixed = |other: &IpAddr| other.is_ipv4() != first.is_ipv4();
        if let Some(source) = self.sources.iter().find(|source| is_mixed(source)) {
            bail!("--source {source} and the target {first} are of different families");
        }
        Ok(())
    }

    /// Account and password of a user.
    pub(crate) fn user(&self, number: u64) -> (String, String) {
        let number = self.users.first + number;
        let name = format!("{}{number}", self.users.prefix);
        (name, self.users.password.replace("{}", &number.to_string()))
    }

    /// The bare address of a user.
    pub(crate) fn jid(&self, number: u64) -> String {
        format!("{}@{}", self.user(number).0, self.host)
    }
}

/// Loopback, private (RFC 1918, RFC 4193) or of this link.
fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::is_own;

    #[test]
    fn only_our_own_networks_may_be_loaded_unasked() {
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.9",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for foreign in ["8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "172.32.0.1"] {
            assert!(!is_own(foreign.parse().unwrap()), "{foreign}");
        }
    }
}
