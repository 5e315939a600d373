//! What an operator may set about the edge: `[edge.tcp]`, `[edge.tls]`,
//! `[edge.limits]`, `[edge.auth]` and `[edge.keepalive]`.
//!
//! What differs from host to host (names, certificates, who may register) is
//! not here but in [`crate::Host`].

mod check;
mod listen;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_xmpp::credentials::ScramHash;

pub use check::Problem;
pub use listen::Listen;

/// `[edge]`: where clients connect and what they may cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[edge.tcp]`: the ports.
    pub tcp: Tcp,
    /// `[edge.tls]`: encryption.
    pub tls: Tls,
    /// `[edge.limits]`: what one connection, or one address, may cost.
    pub limits: Limits,
    /// `[edge.auth]`: how clients prove who they are.
    pub auth: Auth,
    /// `[edge.keepalive]`: how dead connections are found.
    pub keepalive: Keepalive,
}

/// `[edge.tcp]`: the ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// Where clients connect. STARTTLS comes before authentication. One
    /// address or a list; an empty list turns it off.
    pub listen: Listen,
    /// Where clients connect with TLS from the first byte (XEP-0368).
    pub direct_tls_listen: Listen,
    /// Where clients can reach this very edge, as "host:port". Other edges of the
    /// cluster send clients there when they are drained (`see-other-host`);
    /// without it clients find another edge by themselves.
    #[schemars(example = "edge-1.example.org:5222")]
    pub advertise: Option<String>,
    /// Clients that an edge lets go in a second when it is drained and there are
    /// others. A shutdown is faster if that would take more than half of
    /// drain_timeout.
    pub drain_clients_per_second: u32,
    /// How long a shutdown waits for clients to take their last bytes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub drain_timeout: Duration,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            listen: Listen::any(5222),
            direct_tls_listen: Listen::any(5223),
            advertise: None,
            drain_clients_per_second: 500,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The oldest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// RFC 7590 §3 asks for at least this.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// No client older than about 2019.
    #[serde(rename = "1.3")]
    V13,
}

/// `[edge.tls]`: encryption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whether clients must negotiate STARTTLS before anything else. Turning
    /// it off lets passwords be guessed and messages be read on the way.
    pub required: bool,
    /// The oldest version accepted, "1.2" or "1.3".
    pub version_min: TlsVersion,
    /// Whether an e-mail address in a client certificate counts as an account
    /// when it names no XMPP address. Only for authorities of your own.
    pub client_email_is_account: bool,
    /// Whether clients may resume TLS with a ticket, which saves them and the
    /// server most of a handshake.
    pub tickets: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            required: true,
            version_min: TlsVersion::V12,
            client_email_is_account: false,
            tickets: true,
        }
    }
}

/// `[edge.limits]`: what one connection, or one address, may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest stanza a client may send. RFC 6120 §13.12 forbids less than
    /// 10000. Clients are told the limit (XEP-0478).
    pub stanza_bytes_max: usize,
    /// Deepest nesting of elements in a stanza.
    pub depth_max: usize,
    /// Attributes on one element.
    pub attributes_max: usize,
    /// Namespace declarations on one element.
    pub namespaces_max: usize,
    /// Elements in one stanza.
    pub elements_max: usize,
    /// Bytes a client may send in all before it is authenticated.
    pub unauthenticated_bytes_max: usize,
    /// Elements a client may send in all before it is authenticated.
    pub unauthenticated_elements_max: usize,
    /// How long authentication, and after it resource binding, may take.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub negotiation_timeout: Duration,
    /// Connections in all. More are closed as they arrive.
    pub connections_max: usize,
    /// Connections from one address (IPv4), or one /64 network (IPv6).
    pub connections_per_address_max: usize,
    /// Connections of one address that are not authenticated yet.
    pub unauthenticated_per_address_max: usize,
    /// Stanzas a second that a client may send for long. A client that sends
    /// faster is read more slowly; nothing is lost.
    pub stanzas_per_second: u32,
    /// Stanzas a client may send at once after a pause.
    pub stanzas_burst: u32,
    /// Stanzas of one client that may wait to be dealt with before the edge
    /// stops reading from it.
    pub uncommitted_stanzas_max: usize,
    /// The same, in bytes.
    pub uncommitted_bytes_max: usize,
    /// Stanzas that may wait for one client to read them. A client that lets
    /// more gather is disconnected.
    pub outbound_stanzas_max: usize,
    /// The same, in bytes.
    pub outbound_bytes_max: usize,
    /// A client that takes nothing for so long, while there is something to
    /// send, is disconnected.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub write_stall_timeout: Duration,
    /// How long a client is held while no node can take what it sends, as in
    /// the moments after a failure. Then its stream is closed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub unavailable_timeout: Duration,
    /// Accounts one address may register in an hour (XEP-0077), on hosts that
    /// allow it.
    pub registrations_per_address_hour_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes_max: 262_144,
            depth_max: 64,
            attributes_max: 64,
            namespaces_max: 64,
            elements_max: 4_096,
            unauthenticated_bytes_max: 8_192,
            unauthenticated_elements_max: 32,
            negotiation_timeout: Duration::from_secs(30),
            connections_max: 200_000,
            connections_per_address_max: 20_000,
            unauthenticated_per_address_max: 2_000,
            stanzas_per_second: 1_000,
            stanzas_burst: 5_000,
            uncommitted_stanzas_max: 64,
            uncommitted_bytes_max: 65_536,
            outbound_stanzas_max: 16_384,
            outbound_bytes_max: 4_194_304,
            write_stall_timeout: Duration::from_secs(30),
            unavailable_timeout: Duration::from_secs(30),
            registrations_per_address_hour_max: 10,
        }
    }
}

/// A SASL mechanism family that can be turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScramKind {
    /// RFC 5802: the one every client has.
    #[serde(rename = "SCRAM-SHA-1")]
    Sha1,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    /// The strongest.
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

impl From<ScramKind> for ScramHash {
    fn from(kind: ScramKind) -> Self {
        match kind {
            ScramKind::Sha1 => Self::Sha1,
            ScramKind::Sha256 => Self::Sha256,
            ScramKind::Sha512 => Self::Sha512,
        }
    }
}

/// `[edge.auth]`: how clients prove who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Which SCRAM hashes are offered, each with and without channel binding. A
    /// client chooses the strongest it knows, and can log in only if its
    /// account has a verifier of that hash: accounts imported from another
    /// server may have fewer than those made here, which have all.
    pub scram: Vec<ScramKind>,
    /// Whether a password may be sent as it is, under TLS only. A few old
    /// clients know nothing else.
    pub plain: bool,
    /// Whether clients may get tokens that log them in again with one round
    /// trip (XEP-0484).
    pub fast: bool,
    /// Whether SCRAM proves that nobody has shortened the list of mechanisms on
    /// the way (XEP-0474). A client that does not keep what it is sent, against
    /// RFC 5802 §5.1, cannot log in with it.
    pub downgrade_protection: bool,
    /// How long such a token lasts.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub fast_token_lifetime: Duration,
    /// Rounds of key derivation for new passwords, RFC 7677 §4 asks for 4096 or
    /// more. More costs a thief of the database more, each login of a client
    /// too, and an import of passwords most: 20,000 take a CPU a minute and a
    /// half at 4096.
    pub scram_iterations: u32,
    /// Failed attempts on one connection before it is closed. RFC 6120 §6.4.5
    /// asks for at least 2 and at most 5.
    pub failures_per_connection_max: u32,
    /// Failed attempts on one account before it is locked for a while.
    pub failures_per_account_max: u32,
    /// Failed attempts of one address before it is locked for a while.
    pub failures_per_address_max: u32,
    /// The longest lock. The first one is 30 seconds; each further failure
    /// doubles it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub lockout: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            scram: vec![ScramKind::Sha512, ScramKind::Sha256, ScramKind::Sha1],
            plain: true,
            fast: true,
            downgrade_protection: true,
            fast_token_lifetime: Duration::from_secs(21 * 24 * 3_600),
            scram_iterations: 4096,
            failures_per_connection_max: 3,
            failures_per_account_max: 10,
            failures_per_address_max: 50,
            lockout: Duration::from_secs(900),
        }
    }
}

/// `[edge.keepalive]`: how dead connections are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// A client that has sent nothing for so long is asked whether it is there
    /// (XEP-0199). Shorter finds dead clients sooner and drains phones.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub ping_after: Duration,
    /// How long it may take to answer before it is disconnected.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub ping_timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            ping_after: Duration::from_secs(300),
            ping_timeout: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut config = Config::default();
        config.tcp.direct_tls_listen = Listen::default();
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("listen = \"[::]:5222\""), "{text}");
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let refused = toml::from_str::<Config>("[limits]\nstanza_max = 1").unwrap_err();
        assert!(refused.to_string().contains("stanza_max"), "{refused}");
    }

    #[test]
    fn ports_are_one_or_many() {
        let text = "[tcp]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]";
        assert_eq!(
            toml::from_str::<Config>(text).unwrap().tcp.listen.0.len(),
            2
        );
        let refused = toml::from_str::<Config>("[tcp]\nlisten = 5222").unwrap_err();
        assert!(
            refused.to_string().contains("an address such as"),
            "{refused}"
        );
    }
}
