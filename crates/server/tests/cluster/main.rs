//! A cluster of real processes: two edges and two session nodes on a real etcd
//! and a real database. Scenarios of the single node run on it unchanged, and a
//! session node is killed.
//!
//! It needs programs that may not be there, so it is ignored unless asked for:
//! `cargo xtask test --only cluster`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    reason = "tests panic on failure; parts of the shared files are not used here"
)]

/// Runs the scenarios of a file one after the other.
macro_rules! scenarios {
    ($($scenario:ident),+ $(,)?) => {
        pub(crate) async fn all(world: &starling_testkit::World) {
            $(
                eprintln!("{}::{}", module_path!(), stringify!($scenario));
                $scenario(world).await;
            )+
        }
    };
}

#[path = "../scenarios/delivery.rs"]
mod delivery;
mod nodes;
#[path = "../scenarios/offline.rs"]
mod offline;
#[path = "../scenarios/ping_version_time_last.rs"]
mod ping;
#[path = "../scenarios/roster.rs"]
mod roster;
#[path = "../scenarios/world.rs"]
mod world;

use starling_testkit::{Account, Client, World, cassandra, iq, message};

use nodes::Nodes;

/// Accounts that hear of things while a node dies: enough that both nodes have
/// some of them.
const ACCOUNTS: usize = 8;

/// Messages that wait for each of them.
const MESSAGES: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn a_cluster_serves_as_a_node_does_and_loses_nothing_with_a_session_node() {
    if cassandra::wanted() == cassandra::Wanted::Skip {
        eprintln!("left out: no database is wanted");
        return;
    }
    let mut nodes = Nodes::start().await;
    let world = nodes.world().await;
    two_edges_know_each_other(&world).await;
    ping::all(&world).await;
    roster::all(&world).await;
    offline::all(&world).await;
    delivery::all(&world).await;
    nothing_acknowledged_is_lost(&mut nodes, &world).await;
    nodes.stop().await;
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

async fn nothing_acknowledged_is_lost(nodes: &mut Nodes, world: &World) {
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
        nodes.has_waiting(&account.jid(), MESSAGES).await;
    }
    nodes.kill_session_node(0).await;
    for account in accounts.iter().chain(&online) {
        nodes.answers_for(&account.jid()).await;
    }
    for account in &accounts {
        gets_all(world, account).await;
    }
    for (number, resident) in online.iter().enumerate() {
        let mut client = world.connect(resident, "phone").await;
        let roster = client.get("", "<query xmlns='jabber:iq:roster'/>").await;
        let contact = format!("contact-{number}@example.org");
        assert!(format!("{roster:?}").contains(&contact), "{roster:?}");
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
