//! What a server says itself of how much waits within, while the load counts:
//! gauges in the text that Prometheus reads, over plain HTTP. What they mean is
//! the server's affair.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::{Nanos, SECOND};
use crate::record::Window;
use crate::run::until;

/// How often they are read.
const INTERVAL: Nanos = 10 * SECOND;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What names of gauges of queues contain.
const QUEUES: [&str; 7] = [
    "backlog", "journal", "outbox", "parked", "pending", "queue", "waiting",
];

/// One gauge, of all processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gauge {
    pub(crate) begin: f64,
    pub(crate) most: f64,
    pub(crate) end: f64,
}

/// Whether that gauge tells of something that waits.
pub(crate) fn is_queue(name: &str) -> bool {
    QUEUES.iter().any(|part| name.contains(part))
}

/// What the gauges at these addresses were in the window; those that cannot be
/// read any more, as of a process that has died, are not told of.
pub(crate) async fn watch(
    addresses: &[SocketAddr],
    window: Window,
) -> Result<BTreeMap<String, Gauge>> {
    let mut all = BTreeMap::new();
    if addresses.is_empty() {
        return Ok(all);
    }
    until(window.begin).await;
    for (name, value) in together(addresses).await? {
        let gauge = Gauge {
            begin: value,
            most: value,
            end: value,
        };
        all.insert(name, gauge);
    }
    let mut at = window.begin;
    while at < window.end {
        at = (at + INTERVAL).min(window.end);
        until(at).await;
        for (name, value) in together(addresses).await? {
            let gauge: &mut Gauge = all.entry(name).or_default();
            gauge.most = gauge.most.max(value);
            gauge.end = value;
        }
    }
    Ok(all)
}

/// The gauges of all that answer: ages the greatest, others the sum.
async fn together(addresses: &[SocketAddr]) -> Result<BTreeMap<String, f64>> {
    let (mut all, mut last) = (BTreeMap::new(), None);
    for address in addresses {
        match timeout(TIMEOUT, get(*address)).await {
            Ok(Ok(text)) => gather(&mut all, &text),
            Ok(Err(error)) => last = Some(error),
            Err(late) => last = Some(late.into()),
        }
    }
    match last {
        Some(error) if all.is_empty() => Err(error.context("no gauges")),
        _ => Ok(all),
    }
}

async fn get(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut answer)
        .await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    ensure!(head.contains(" 200 "), "metrics: {head}");
    Ok(body.to_owned())
}

/// Adds the gauges of a text to others. What else is in it, such as the sizes of
/// chunks, is no line of a gauge.
fn gather(all: &mut BTreeMap<String, f64>, text: &str) {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let gauges: Vec<&str> = types
        .filter_map(|line| line.strip_suffix(" gauge"))
        .collect();
    for line in text.lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
        let Some(value) = value.filter(|value: &f64| value.is_finite()) else {
            continue;
        };
        if !gauges.contains(&name) {
            continue;
        }
        let sum = all.entry(name.to_owned()).or_default();
        *sum = match name.ends_with("_seconds") {
            true => f64::max(*sum, value),
            false => *sum + value,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{gather, is_queue};

    #[test]
    fn gauges_are_added_up_and_ages_are_not() {
        let text = "4f\r\n# HELP x_outbox_stanzas What waits.\n# TYPE x_outbox_stanzas gauge\n\
                    x_outbox_stanzas{worker=\"0\"} 3\nx_outbox_stanzas{worker=\"1\"} 4\n\
                    # TYPE x_oldest_seconds gauge\nx_oldest_seconds{worker=\"a b\"} 1.5\n\
                    x_oldest_seconds{worker=\"1\"} 0.5\n# TYPE x_total counter\nx_total 9\n";
        let mut all = BTreeMap::new();
        gather(&mut all, text);
        let told: Vec<_> = all
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        assert_eq!(told, [("x_oldest_seconds", 1.5), ("x_outbox_stanzas", 7.0)]);
        assert!(is_queue("x_outbox_stanzas") && !is_queue("x_open_connections"));
    }
}
