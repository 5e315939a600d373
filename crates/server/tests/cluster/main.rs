//! A cluster of real processes, two edges and two session nodes on a real etcd
//! and a real database, of which session nodes and edges are killed.
//!
//! It needs programs that may not be there, so it is ignored unless asked for:
//! `cargo xtask test --only cluster`. That a cluster does what a node does is
//! what the scenarios prove (`scenarios/world.rs`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "tests panic on failure and print pauses; parts of the shared files are not used here"
)]

mod both;
mod moving;
mod operations;
mod outbox;
mod refused;
mod resuming;
#[path = "../shared/mod.rs"]
mod shared;

use std::time::Duration;

use starling_testkit::{Account, Client, World, iq, message};
use tokio::time::{Instant, sleep};

use shared::admin::Admin;
use shared::ground::ground;
use shared::nodes::{Nodes, Site};
use shared::{CONFIGURATION, HOSTS, new_folder};

/// Accounts that hear of things while a node dies: enough that both nodes have
/// some of them.
const ACCOUNTS: usize = 8;

/// Messages that wait for each of them.
const MESSAGES: u32 = 5;

/// How long a cluster may take for what is waited for. A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// One cluster at a time is enough for a small machine.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// For how long a node may be silent: one that is busy must not look like one
/// that is dead.
const LEASE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn nothing_acknowledged_is_lost_with_a_session_node() {
    let _turn = TURN.lock().await;
    let site = Site {
        ground: ground().clone(),
        folder: new_folder("cluster"),
        name: "cluster".to_owned(),
        lease: LEASE,
    };
    let mut nodes = Nodes::start(site, 2, 2, CONFIGURATION).await;
    let admin = nodes.admin("session-1");
    let world = World::new(nodes.entrances().await, HOSTS, Box::new(admin.clone()));
    two_edges_know_each_other(&world).await;
    moving::all(&mut nodes, &world).await;

    let mut sender = world.online("sender").await;
    let mut accounts = Vec::new();
    let mut online = Vec::new();
    for number in 0..ACCOUNTS {
        let account = world.account("witness").await;
        for body in 0..MESSAGES {
            sender.chat(&account.jid(), &body.to_string()).await;
        }
        let resident = world.account("resident").await;
        let mut client = world.connect_available(&resident, "phone").await;
        put(&mut client, &format!("contact-{number}@example.org")).await;
        online.push(resident);
        accounts.push(account);
    }
    for account in &accounts {
        sees(&admin, account, |waiting| waiting == MESSAGES).await;
    }
    nodes.take("session-0").kill().await;
    for account in accounts.iter().chain(&online) {
        sees(&admin, account, |_| true).await;
    }
    for account in &accounts {
        gets_all(&world, account).await;
    }
    for (number, resident) in online.iter().enumerate() {
        let mut client = world.connect(resident, "phone").await;
        let roster = client.get("", "<query xmlns='jabber:iq:roster'/>").await;
        let contact = format!("contact-{number}@example.org");
        assert!(format!("{roster:?}").contains(&contact), "{roster:?}");
    }
    stop(nodes).await;
}

/// RFC 6121: presence and messages from a client at one edge to one at another.
async fn two_edges_know_each_other(world: &World) {
    let (romeo, juliet) = (world.account("romeo").await, world.account("juliet").await);
    // Doors take turns.
    let mut at_one = world.connect_available(&romeo, "phone").await;
    let mut at_two = world.connect_available(&juliet, "phone").await;
    at_one.chat(&juliet.jid(), "across").await;
    at_two.find(message().body("across")).await;
    at_two.chat(&romeo.jid(), "and back").await;
    at_one.find(message().body("and back")).await;
}

/// Waits until somebody serves an account, and so many messages wait for it.
async fn sees(admin: &Admin, account: &Account, is_so: impl Fn(u32) -> bool) {
    let jid = account.jid();
    let deadline = Instant::now() + DEADLINE;
    loop {
        match admin.waiting(&jid).await {
            Ok(waiting) if is_so(waiting) => return,
            seen => assert!(Instant::now() < deadline, "{jid}: {seen:?}"),
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// RFC 6121 §2.3: what was answered is stored.
async fn put(client: &mut Client, contact: &str) {
    let set = format!(
        "<iq type='set' id='{contact}'><query xmlns='jabber:iq:roster'><item jid='{contact}'/>\
         </query></iq>"
    );
    client.send(set).await;
    client.find(iq().type_("result").id(contact)).await;
}

async fn gets_all(world: &World, account: &Account) {
    let mut client = world.connect(account, "phone").await;
    client.send("<presence/>").await;
    for body in 0..MESSAGES {
        client.find(message().body(&body.to_string())).await;
    }
}

/// Waits until something is so.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(LOOK_INTERVAL).await;
    }
}

/// Every node ends by itself when told to.
async fn stop(mut nodes: Nodes) {
    use starling_cluster::Role;
    for role in [Role::Edge, Role::Session] {
        for name in nodes.of(role) {
            let process = nodes.take(&name);
            process.signal("TERM").await;
            assert_eq!(process.ends().await, Some(0), "{name}");
        }
    }
}
