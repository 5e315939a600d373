//! Opens many TLS sessions as clients do, leaves them alone and reads the
//! node's memory.

use std::path::Path;
use std::time::Duration;

use crate::node::{Memory, Node};

/// After the last log-in: longer than the allocator keeps what is free.
const SETTLE: Duration = Duration::from_secs(20);

pub(crate) async fn measure(program: &Path, sessions: usize) {
    let node = Node::start(program, sessions).await;
    let (before, begun) = (node.memory(), node.cpu());
    let clients = node.connect(sessions).await;
    let cpu_ms = (node.cpu() - begun) * 1e3 / sessions as f64;
    let fresh = node.memory();
    tokio::time::sleep(SETTLE).await;
    let settled = node.memory();
    println!("sessions         {}", clients.len());
    println!("CPU of a log-in  {cpu_ms:.2} ms, with roster and presence");
    let tell = |when: &str, memory: &Memory| {
        let each = |bytes: f64, before: f64| (bytes - before) / sessions as f64;
        println!(
            "{when} {:.0} KiB resident, {:.1} for each session; private {:.1} for each",
            memory.resident,
            each(memory.resident, before.resident),
            each(memory.private, before.private),
        );
    };
    tell("without sessions", &before);
    tell("after log-ins   ", &fresh);
    tell("when settled    ", &settled);
    drop(clients);
    node.end().await;
}
