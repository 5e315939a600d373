//! The port over real TCP, with requests written by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::check::tests::Part;

async fn serve(monitoring: Monitoring) -> SocketAddr {
    let port = Port::open(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = port.address();
    tokio::spawn(port.serve(monitoring, CancellationToken::new()));
    address
}

/// What the port says to these bytes, until it ends the connection.
async fn say(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A refusal may come with a reset, since not all was read.
    let _ = tcp.read_to_string(&mut answer).await;
    answer
}

async fn get(address: SocketAddr, path: &str) -> String {
    say(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

fn body(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn metrics_come_as_prometheus_reads_them() {
    let address = serve(Monitoring {
        metrics: Some(Arc::new(|| "up 1\n".into())),
        ..Monitoring::default()
    })
    .await;
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
    let nothing = serve(Monitoring::default()).await;
    assert!(get(nothing, "/metrics").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn ready_names_what_is_not() {
    let address = serve(Monitoring {
        checks: Checks::new(vec![
            Arc::new(Part("ports", Some(Ok(())))),
            Arc::new(Part("store", Some(Err("the store is full".into())))),
        ]),
        ..Monitoring::default()
    })
    .await;
    let answer = get(address, "/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let expected = serde_json::json!({
        "is_ready": false,
        "checks": [
            { "name": "ports", "is_ready": true },
            { "name": "store", "is_ready": false, "reason": "the store is full" },
        ],
    });
    assert_eq!(body(&answer), expected);
    // The process lives all the same.
    let answer = get(address, "/health").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(body(&answer), serde_json::json!({ "is_alive": true }));
}

#[tokio::test]
async fn what_is_not_a_question_is_refused() {
    let address = serve(Monitoring::default()).await;
    let cases = [
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            "405",
        ),
        ("GET /admin HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
    ];
    for (request, status) in cases {
        let answer = say(address, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    let large = "x".repeat(2 * REQUEST_BYTES_MAX);
    let answer = say(address, &format!("GET / HTTP/1.1\r\nA: {large}\r\n\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_sends_nothing_is_let_go_and_more_than_the_bound_wait() {
    let address = serve(Monitoring::default()).await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // Behind them all, and answered once they are gone.
    assert!(get(address, "/health").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = Port::open(([127, 0, 0, 1], 0).into()).await.unwrap();
    let refused = Port::open(taken.address()).await.unwrap_err().to_string();
    assert!(refused.contains("api.http.listen"), "{refused}");
    assert!(refused.contains(&taken.address().to_string()), "{refused}");
}
