//! Whether the values make sense, all mistakes at once.

use std::fmt;
use std::time::Duration;

use super::{Auth, Config, Keepalive, Limits, Tcp};

/// RFC 6120 §13.12: nobody may accept less.
const STANZA_BYTES_MIN: usize = 10_000;
/// More than this in one piece would let a few clients fill the memory.
const STANZA_BYTES_LIMIT: usize = 64 * 1024 * 1024;
/// A stream header and one SCRAM exchange need about half of it.
const UNAUTHENTICATED_BYTES_MIN: usize = 4_096;
/// RFC 5802 §5.1 for SCRAM-SHA-1; RFC 7677 §4 for SHA-256.
const SCRAM_ITERATIONS_MIN: u32 = 4_096;
/// Above this a login takes seconds on a phone.
const SCRAM_ITERATIONS_LIMIT: u32 = 10_000_000;

/// A value that cannot be used, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key below `[edge]`, such as `limits.stanza_bytes_max`.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.key, self.text)
    }
}

impl Config {
    /// Every problem there is; nothing is opened or read for it.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Problems(Vec::new());
        self.tcp.check(&mut problems);
        self.limits.check(&mut problems);
        self.auth.check(&mut problems);
        self.keepalive.check(&mut problems);
        problems.0
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.0.push(Problem { key, text });
    }

    fn range<T>(&mut self, key: &'static str, value: T, least: T, most: T)
    where
        T: PartialOrd + fmt::Display,
    {
        if value < least || value > most {
            let text = format!("{value} is out of range: choose {least} to {most}");
            self.add(key, text);
        }
    }

    fn span(&mut self, key: &'static str, value: Duration, least: Duration, most: Duration) {
        if value < least || value > most {
            let text = format!("{value:?} is out of range: choose {least:?} to {most:?}");
            self.add(key, text);
        }
    }
}

const MILLI: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Whether a text is a host and a port, as RFC 6120 §4.9.3.19 writes them: an
/// IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.ends_with(']'),
        None => !host.is_empty() && !host.contains([':', '/', ' ']),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl Tcp {
    fn check(&self, problems: &mut Problems) {
        if self.listen.0.is_empty() && self.direct_tls_listen.0.is_empty() {
            problems.add(
                "tcp.listen",
                "no client can connect: set it or tcp.direct_tls_listen",
            );
        }
        let both = |a: &&std::net::SocketAddr| a.port() != 0 && self.listen.0.contains(a);
        for address in self.direct_tls_listen.0.iter().filter(both) {
            let text = format!("{address} is used by tcp.listen too: choose another port");
            problems.add("tcp.direct_tls_listen", text);
        }
        if let Some(advertised) = &self.advertise
            && !is_address(advertised)
        {
            let text = format!("\"{advertised}\" is not \"host:port\"");
            problems.add("tcp.advertise", text);
        }
        let rate = self.drain_clients_per_second;
        problems.range("tcp.drain_clients_per_second", rate, 1, 1_000_000);
        problems.span("tcp.drain_timeout", self.drain_timeout, Duration::ZERO, DAY);
    }
}

impl Limits {
    fn check(&self, to: &mut Problems) {
        let most = STANZA_BYTES_LIMIT;
        to.range(
            "limits.stanza_bytes_max",
            self.stanza_bytes_max,
            STANZA_BYTES_MIN,
            most,
        );
        to.range("limits.depth_max", self.depth_max, 8, 1_024);
        to.range("limits.attributes_max", self.attributes_max, 16, 1_024);
        to.range("limits.namespaces_max", self.namespaces_max, 8, 1_024);
        to.range("limits.elements_max", self.elements_max, 128, 1_000_000);
        let key = "limits.unauthenticated_bytes_max";
        to.range(
            key,
            self.unauthenticated_bytes_max,
            UNAUTHENTICATED_BYTES_MIN,
            most,
        );
        let key = "limits.unauthenticated_elements_max";
        to.range(key, self.unauthenticated_elements_max, 16, 1_024);
        let key = "limits.negotiation_timeout";
        to.span(key, self.negotiation_timeout, MILLI, DAY);
        to.range(
            "limits.connections_max",
            self.connections_max,
            1,
            100_000_000,
        );
        let key = "limits.connections_per_address_max";
        to.range(key, self.connections_per_address_max, 1, 100_000_000);
        let key = "limits.unauthenticated_per_address_max";
        to.range(key, self.unauthenticated_per_address_max, 1, 100_000_000);
        let key = "limits.stanzas_per_second";
        to.range(key, self.stanzas_per_second, 1, 1_000_000);
        to.range("limits.stanzas_burst", self.stanzas_burst, 1, 1_000_000);
        let key = "limits.uncommitted_stanzas_max";
        to.range(key, self.uncommitted_stanzas_max, 1, 65_536);
        let key = "limits.uncommitted_bytes_max";
        to.range(key, self.uncommitted_bytes_max, STANZA_BYTES_MIN, most);
        let key = "limits.outbound_stanzas_max";
        to.range(key, self.outbound_stanzas_max, 16, 1_000_000);
        let key = "limits.outbound_bytes_max";
        to.range(
            key,
            self.outbound_bytes_max,
            self.stanza_bytes_max.min(most),
            1 << 30,
        );
        let key = "limits.registrations_per_address_hour_max";
        to.range(key, self.registrations_per_address_hour_max, 1, 1_000_000);
        let key = "limits.write_stall_timeout";
        to.span(key, self.write_stall_timeout, MILLI, DAY);
        let key = "limits.unavailable_timeout";
        to.span(key, self.unavailable_timeout, MILLI, DAY);
    }
}

impl Auth {
    fn check(&self, problems: &mut Problems) {
        if self.scram.is_empty() && !self.plain {
            problems.add(
                "auth.scram",
                "no password mechanism is left: list one or set auth.plain",
            );
        }
        let iterations = self.scram_iterations;
        let (least, most) = (SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_LIMIT);
        problems.range("auth.scram_iterations", iterations, least, most);
        let key = "auth.failures_per_connection_max";
        problems.range(key, self.failures_per_connection_max, 2, 5);
        let key = "auth.failures_per_account_max";
        problems.range(key, self.failures_per_account_max, 1, 1_000_000);
        let key = "auth.failures_per_address_max";
        problems.range(key, self.failures_per_address_max, 1, 1_000_000);
        problems.span("auth.lockout", self.lockout, MILLI, DAY);
        let key = "auth.fast_token_lifetime";
        let least = Duration::from_secs(3_600);
        problems.span(key, self.fast_token_lifetime, least, DAY * 3_650);
    }
}

impl Keepalive {
    fn check(&self, problems: &mut Problems) {
        problems.span("keepalive.ping_after", self.ping_after, MILLI, DAY);
        problems.span("keepalive.ping_timeout", self.ping_timeout, MILLI, DAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listen;

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(Config::default().check(), []);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut config = Config::default();
        config.limits.stanza_bytes_max = 9_999;
        config.tcp.listen = Listen::default();
        config.tcp.direct_tls_listen = Listen::default();
        config.auth.scram_iterations = 1;
        let keys: Vec<_> = config.check().into_iter().map(|p| p.key).collect();
        assert_eq!(
            keys,
            [
                "tcp.listen",
                "limits.stanza_bytes_max",
                "auth.scram_iterations"
            ]
        );
    }

    #[test]
    fn both_listeners_cannot_have_one_port() {
        let mut config = Config::default();
        config.tcp.direct_tls_listen = Listen::any(5222);
        let problems: Vec<_> = config.check().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            ["tcp.direct_tls_listen: [::]:5222 is used by tcp.listen too: choose another port"]
        );
    }
}
