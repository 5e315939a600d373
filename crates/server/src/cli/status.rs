//! `starling status`.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use starling_wire::admin::v1::{Check, GetStatusRequest, GetStatusResponse};

use super::exit::Refused;
use super::output::{Output, count, moment};
use super::{Exit, Global, client};

pub(super) async fn run(global: &Global, output: &Output) -> anyhow::Result<Exit> {
    let mut node = client::connect(global).await?;
    let answer = node.get_status(GetStatusRequest {}).await;
    let status = answer.map_err(Refused::from)?.into_inner();
    output.print(&as_text(&status), &as_json(&status))?;
    Ok(Exit::Done)
}

fn as_text(status: &GetStatusResponse) -> String {
    let state = match (status.is_draining, status.is_ready) {
        (true, _) => "draining",
        (false, true) => "running",
        (false, false) => "running, but NOT READY",
    };
    let mut text = format!(
        "{} is {state}, version {}, for {}\n  data      {}\n  sessions  {}",
        status.node,
        status.version,
        uptime(status.started_at_ms),
        status.data_folder,
        status.sessions,
    );
    for silent in &status.silent_nodes {
        let _ = write!(text, ", without those of {silent}, which does not answer");
    }
    let _ = write!(text, "\n  store     {}", store(status));
    for check in status.checks.iter().filter(|check| is_told_apart(check)) {
        let _ = write!(text, "\n  {:<9} NOT READY: {}", check.name, check.reason);
    }
    for listener in &status.listeners {
        let _ = write!(
            text,
            "\n  listens   {} ({})",
            listener.address, listener.protocol
        );
    }
    for host in &status.hosts {
        let certificate = if host.is_self_signed {
            "self-signed certificate"
        } else {
            "certificate"
        };
        let ends = match host.certificate_ends_at_ms {
            0 => String::new(),
            ends => format!(" until {}", moment(ends)),
        };
        let accounts = match host.accounts {
            Some(accounts) => count(accounts, "account"),
            None => "an unknown number of accounts".to_owned(),
        };
        let _ = write!(
            text,
            "\n  serves    {}: {accounts}, {certificate}{ends}",
            host.host
        );
    }
    text
}

/// What the lines above do not tell.
fn is_told_apart(check: &Check) -> bool {
    !check.is_ready && !matches!(check.name.as_str(), "store" | "draining")
}

fn store(status: &GetStatusResponse) -> String {
    let store = status.store.clone().unwrap_or_default();
    if !store.problem.is_empty() {
        return format!("NOT WRITABLE: {}", store.problem);
    }
    let mut words = vec!["takes writes".to_owned()];
    if let Some(micros) = store.last_commit_micros {
        let took = Duration::from_micros(micros);
        words.push(format!("last synced in {took:?}"));
    }
    if let Some(bytes) = store.free_bytes {
        words.push(format!("{} MB free on its disk", bytes / 1_000_000));
    }
    words.join(", ")
}

fn as_json(status: &GetStatusResponse) -> Value {
    let hosts = status.hosts.iter().map(|host| {
        json!({
            "host": host.host,
            "accounts": host.accounts,
            "is_self_signed": host.is_self_signed,
            "certificate_ends_at_ms": host.certificate_ends_at_ms,
        })
    });
    let checks = status.checks.iter().map(
        |check| json!({ "name": check.name, "is_ready": check.is_ready, "reason": check.reason }),
    );
    let store = status.store.clone().unwrap_or_default();
    let listeners = status
        .listeners
        .iter()
        .map(|listener| json!({ "protocol": listener.protocol, "address": listener.address }));
    json!({
        "node": status.node,
        "version": status.version,
        "started_at_ms": status.started_at_ms,
        "is_draining": status.is_draining,
        "data_folder": status.data_folder,
        "sessions": status.sessions,
        "silent_nodes": status.silent_nodes,
        "is_ready": status.is_ready,
        "checks": checks.collect::<Vec<_>>(),
        "store": {
            "problem": store.problem,
            "last_commit_micros": store.last_commit_micros,
            "free_bytes": store.free_bytes,
        },
        "listeners": listeners.collect::<Vec<_>>(),
        "hosts": hosts.collect::<Vec<_>>(),
    })
}

fn uptime(started_at_ms: i64) -> String {
    let started = Duration::from_millis(u64::try_from(started_at_ms).unwrap_or(0));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let up = now.saturating_sub(started);
    humantime::format_duration(Duration::from_secs(up.as_secs())).to_string()
}
