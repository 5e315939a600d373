//! What an operator is shown: metrics, health and readiness over HTTP, and what
//! `starling` says while nothing can be stored.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use starling_testkit::message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::installed::Installed;
use crate::one_node::OneNode;
use crate::shared::CONFIGURATION;

const MONITORED: &str = "\n[api.http]\nlisten = \"127.0.0.1:0\"\n";

/// More than any disk has, so that none of them has room.
const NO_ROOM: &str = "\n[store.embedded]\nfree_bytes_min = 9_000_000_000_000_000_000\n";

/// A bound on failure, not a wait.
const DEADLINE: Duration = Duration::from_secs(120);

fn configure(installed: &Installed, more: &str) {
    let text = format!("{CONFIGURATION}{MONITORED}{more}");
    std::fs::write(installed.data().join("starling.toml"), text).unwrap();
}

async fn status(installed: &Installed) -> Value {
    let status = installed.run_ok(&["status", "--json"]).await;
    serde_json::from_str(&status).unwrap()
}

async fn port(installed: &Installed) -> SocketAddr {
    let status = status(installed).await;
    let mut listeners = status["listeners"].as_array().unwrap().iter();
    let http = listeners.find(|one| one["protocol"] == "http").unwrap();
    http["address"].as_str().unwrap().parse().unwrap()
}

/// Status line and body.
async fn get(port: SocketAddr, path: &str) -> (String, String) {
    let mut tcp = TcpStream::connect(port).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// The sum over the labels of a metric.
fn value(text: &str, metric: &str) -> f64 {
    let of_metric = text.lines().filter(|line| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    let values = of_metric.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

#[tokio::test]
async fn metrics_tell_what_happened_each_with_its_sentence() {
    if OneNode::Process.is_left_out("metrics_tell_what_happened_each_with_its_sentence") {
        return;
    }
    let installed = Installed::new("metrics");
    configure(&installed, "");
    let node = installed.start().await;
    let (romeo, juliet) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut sender = installed.connect(&romeo).await;
    let mut recipient = installed.connect(&juliet).await;
    recipient.become_available().await;
    // One stanza in 64, drawn by lot, is timed: of 2,000 none is less likely than
    // a broken machine.
    for number in 0..2_000 {
        sender.chat(&juliet.jid(), &number.to_string()).await;
        recipient.find(message().body(&number.to_string())).await;
    }
    let (status, text) = get(port(&installed).await, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        value(&text, "starling_session_delivered_stanzas_total") >= 2_000.0,
        "{text}"
    );
    assert!(
        value(&text, "starling_edge_login_seconds_count") >= 2.0,
        "{text}"
    );
    assert!(
        value(&text, "starling_edge_delivery_seconds_count") >= 1.0,
        "{text}"
    );
    assert!(
        value(&text, "starling_store_embedded_sync_seconds_count") >= 2.0,
        "{text}"
    );
    assert!(
        value(&text, "process_resident_memory_bytes") > 0.0,
        "{text}"
    );
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let metric = line.split(' ').nth(2).unwrap();
        assert!(
            text.contains(&format!("# HELP {metric} ")),
            "{metric} has no sentence"
        );
    }
    node.kill().await;
}

/// A load balancer is told at once, and for as long as somebody is still here.
#[tokio::test]
async fn a_node_is_ready_until_it_drains() {
    if OneNode::Process.is_left_out("a_node_is_ready_until_it_drains") {
        return;
    }
    // More than what the system holds for a connection of its own accord.
    const MESSAGES: usize = 150;
    let body = "x".repeat(200_000);
    let installed = Installed::with(
        "ready",
        &[
            ("api.http", "listen = \"127.0.0.1:0\""),
            ("edge.limits", "outbound_bytes_max = 134_217_728"),
            // More than all of this takes on a busy machine.
            ("edge.limits", "write_stall_timeout = \"5m\""),
            ("edge.tcp", "drain_timeout = \"5m\""),
        ],
    );
    let node = installed.start().await;
    let (romeo, juliet) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let port = port(&installed).await;
    assert_eq!(get(port, "/ready").await.0, "HTTP/1.1 200 OK");
    assert_eq!(get(port, "/health").await.0, "HTTP/1.1 200 OK");
    // A client that takes nothing keeps the node draining.
    let mut romeo = installed.connect(&romeo).await;
    let mut juliet = installed.connect(&juliet).await;
    juliet.become_available().await;
    for _ in 0..MESSAGES {
        let to = juliet.jid();
        romeo
            .send(format!(
                "<message to='{to}' type='headline'><body>{body}</body></message>"
            ))
            .await;
    }
    romeo.settle().await;
    node.signal("TERM").await;
    romeo.ends_with("system-shutdown").await;
    // It was told to go before the first client was.
    let (line, why) = get(port, "/ready").await;
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable", "{why}");
    assert!(why.contains("draining"), "{why}");
    assert_eq!(get(port, "/health").await.0, "HTTP/1.1 200 OK");
    let status = status(&installed).await;
    assert_eq!(status["is_draining"], true, "{status}");
    drop(juliet);
    assert_eq!(node.ends().await, Some(0));
}

/// While the disk is full, everything that is asked says so.
#[tokio::test]
async fn a_full_store_is_named_wherever_one_looks() {
    if OneNode::Disk.is_left_out("a_full_store_is_named_wherever_one_looks") {
        return;
    }
    let installed = Installed::new("full-store");
    configure(&installed, "");
    let node = installed.start().await;
    installed.account("romeo").await;
    node.signal("TERM").await;
    node.ends().await;
    configure(&installed, NO_ROOM);
    let node = installed.start().await;

    let text = installed.run_ok(&["status"]).await;
    assert!(text.contains("NOT READY"), "{text}");
    assert!(text.contains("NOT WRITABLE: the store is full"), "{text}");
    let (ready, body) = get(port(&installed).await, "/ready").await;
    assert_eq!(ready, "HTTP/1.1 503 Service Unavailable");
    assert!(body.contains("the store is full"), "{body}");
    assert_eq!(
        get(port(&installed).await, "/health").await.0,
        "HTTP/1.1 200 OK"
    );

    // Refused at once, so that it does not happen by itself later on.
    let password = installed.data().join("password");
    std::fs::write(&password, "another").unwrap();
    let password = password.to_str().unwrap();
    let passwd = [
        "user",
        "passwd",
        "romeo@localhost",
        "--password-file",
        password,
    ];
    let refused = installed.run(&passwd).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("the store is full"), "{refused:?}");

    // Accepted, not stored: told after a bounded time, with the cause.
    let remove = ["user", "remove", "romeo@localhost", "--yes"];
    let late = tokio::time::timeout(DEADLINE, installed.run(&remove))
        .await
        .unwrap();
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(
        late.err
            .contains("not stored within 10 s: the store is full"),
        "{late:?}"
    );
    node.kill().await;
}

#[tokio::test]
async fn a_port_of_monitoring_that_is_taken_is_named() {
    if OneNode::NothingRuns.is_left_out("a_port_of_monitoring_that_is_taken_is_named") {
        return;
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let installed = Installed::new("monitoring-taken");
    let text = format!("{CONFIGURATION}\n[api.http]\nlisten = \"{address}\"\n");
    std::fs::write(installed.data().join("starling.toml"), text).unwrap();
    let refused = installed.run(&["serve"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains(&address.to_string()), "{refused:?}");
    assert!(refused.err.contains("api.http.listen"), "{refused:?}");
}
