//! Pairs of sessions, one writing to the other as fast as the server takes it.
//!
//! Every body has one [`MARK`] and nothing else on the stream has any, so
//! counting messages is counting those.

use std::path::Path;
use std::time::Instant;

use starling_testkit::client::Client;
use starling_testkit::wire::Wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::node::Node;

const PAIRS: usize = 50;
const MESSAGES_PER_PAIR: usize = 10_000;
/// Messages handed to the socket at once.
const BURST: usize = 20;
const READ_BYTES: usize = 64 * 1024;
const MARK: char = '~';
const BODY: &str = "It was the lark, the herald of the morn, no nightingale: look, love, \
    what envious streaks do lace the severing clouds";

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To a session, nothing to be kept.
    NoStore,
    /// To a session, stamped as what a log keeps.
    Chat,
    /// To an account without a session: durable before it counts.
    Offline,
}

pub(crate) async fn measure(program: &Path, kind: Kind, count: Option<usize>) {
    let messages = count.unwrap_or(MESSAGES_PER_PAIR);
    let node = Node::start(program, 2 * PAIRS).await;
    let online = if kind == Kind::Offline {
        PAIRS
    } else {
        2 * PAIRS
    };
    let clients = node.connect(online).await;
    let mut wires: Vec<_> = clients.into_iter().map(wire).collect();
    let receivers = wires.split_off(PAIRS);
    let (begun, since) = (node.cpu(), now());
    let mut tasks = JoinSet::new();
    for (pair, wire) in wires.into_iter().enumerate() {
        tasks.spawn(send(wire, pair, messages, kind));
    }
    for wire in receivers {
        tasks.spawn(receive(wire, messages));
    }
    let wires = tasks.join_all().await;
    let (cpu, seconds) = (node.cpu() - begun, since.elapsed().as_secs_f64());
    let total = (PAIRS * messages) as f64;
    println!(
        "messages        {total:.0} in {seconds:.1} s, {:.0} a second",
        total / seconds
    );
    println!(
        "CPU of a message {:.1} µs, of the server alone",
        cpu * 1e6 / total
    );
    drop(wires);
    node.end().await;
}

fn wire(client: Client) -> Box<dyn Wire> {
    client.into_stream().into_wire()
}

async fn send(mut wire: Box<dyn Wire>, pair: usize, messages: usize, kind: Kind) -> Box<dyn Wire> {
    let recipient = format!("user{}@localhost", pair + PAIRS);
    let (resource, extra) = match kind {
        Kind::NoStore => ("/phone", "<no-store xmlns='urn:xmpp:hints'/>"),
        Kind::Chat => ("/phone", ""),
        Kind::Offline => ("", ""),
    };
    let message = format!(
        "<message to='{recipient}{resource}' type='chat' id='b7c5a3e8-4f1d'>\
         <body>{BODY}{MARK}</body>{extra}</message>"
    );
    let burst = message.repeat(BURST);
    for _ in 0..messages / BURST {
        wire.write_all(burst.as_bytes()).await.unwrap();
    }
    if kind == Kind::Offline {
        // RFC 6120 §10.1: answered when all that went before it is stored.
        let last =
            format!("<iq type='get' id='{MARK}' to='{recipient}'><vCard xmlns='vcard-temp'/></iq>");
        wire.write_all(last.as_bytes()).await.unwrap();
    }
    wire.flush().await.unwrap();
    receive(wire, usize::from(kind == Kind::Offline)).await
}

async fn receive(mut wire: Box<dyn Wire>, messages: usize) -> Box<dyn Wire> {
    let mut buffer = vec![0; READ_BYTES];
    let mut left = messages;
    while left > 0 {
        let read = wire.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server closed the stream");
        let arrived = buffer[..read].iter().filter(|byte| **byte == MARK as u8);
        left = left.saturating_sub(arrived.count());
    }
    wire
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load is measured by the real clock"
)]
fn now() -> Instant {
    Instant::now()
}
