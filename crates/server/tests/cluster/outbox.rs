//! Recipients whose node is gone, and nobody is there to take their shards: the
//! cluster has just given up one node, and does not give up another so soon.
//! Then the sender's node dies, too.

use futures_util::future::join_all;
use starling_testkit::sm::{acknowledged, enable};
use starling_testkit::{Account, World, message};
use tokio::time::{Instant, sleep};

use crate::shared::admin::Admin;
use crate::shared::ground::ground;
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, HOSTS, new_folder};
use crate::{DEADLINE, LEASE, LOOK_INTERVAL, MESSAGES, TURN, stop};

/// Enough that each of two nodes has some of them.
const PEOPLE: usize = 16;

/// One node is given up at once, and no other while the test lasts.
const FENCES: &str = "[cluster]\nfences_window = \"1h\"\nfences_percent = 1\n";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn a_recipient_out_of_reach_holds_nobody_up_and_loses_nothing() {
    let _turn = TURN.lock().await;
    let site = Site {
        ground: ground().clone(),
        folder: new_folder("outbox"),
        name: "outbox".to_owned(),
        lease: LEASE,
    };
    let settings = format!("{CONFIGURATION}{FENCES}");
    let mut nodes = Nodes::start(site, 2, 2, &settings).await;
    let admin = nodes.admin("session-0");
    let world = World::new(nodes.entrances().await, HOSTS, Box::new(admin.clone()));
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(world.account("person").await);
    }
    // The one that may be given up.
    nodes.take("session-1").kill().await;
    each_is_served(&admin, &people).await;
    nodes.run(&["session-1".to_owned()]).await;
    nodes.settle().await;

    nodes.take("session-1").kill().await;
    let (here, gone) = divided(&admin, people).await;
    let mut sender = world.connect(&here[0], "phone").await;
    enable(&mut sender, "").await;
    for body in 0..MESSAGES {
        for account in &gone {
            sender.chat(&account.jid(), &body.to_string()).await;
        }
    }
    let count = MESSAGES * u32::try_from(gone.len()).unwrap();
    acknowledged(&mut sender, count).await;
    let waiting = admin.metric("starling_session_outbox_stanzas").await;
    assert_eq!(waiting, Ok(f64::from(count)), "nobody has them yet");

    // What it had in memory goes with it.
    nodes.take("session-0").kill().await;
    nodes.run(&["session-0".into(), "session-1".into()]).await;
    nodes.settle().await;
    for account in &gone {
        gets_each_once(&world, account).await;
    }
    stop(nodes).await;
}

/// Waits until somebody serves all of them.
async fn each_is_served(admin: &Admin, people: &[Account]) {
    let deadline = Instant::now() + DEADLINE;
    while !served(admin, people).await.into_iter().all(|is| is) {
        assert!(Instant::now() < deadline, "somebody is not served");
        sleep(LOOK_INTERVAL).await;
    }
}

/// Those that are served, and those that are not.
async fn divided(admin: &Admin, people: Vec<Account>) -> (Vec<Account>, Vec<Account>) {
    let served = served(admin, &people).await;
    let (here, gone): (Vec<_>, Vec<_>) = people.into_iter().zip(served).partition(|(_, is)| *is);
    assert!(!here.is_empty() && !gone.is_empty(), "{here:?} {gone:?}");
    let accounts = |of: Vec<(Account, bool)>| of.into_iter().map(|(account, _)| account).collect();
    (accounts(here), accounts(gone))
}

async fn served(admin: &Admin, people: &[Account]) -> Vec<bool> {
    let looks = people.iter().map(|account| async {
        let jid = account.jid();
        admin.waiting(&jid).await.is_ok()
    });
    join_all(looks).await
}

/// In order, and then nothing more.
async fn gets_each_once(world: &World, account: &Account) {
    let mut client = world.connect(account, "phone").await;
    client.send("<presence/>").await;
    for body in 0..MESSAGES {
        let next = client.find(message()).await;
        assert_eq!(next.body(), Some(body.to_string()), "{}", account.jid());
    }
    let rest = client.settle().await;
    assert!(rest.iter().all(|rest| rest.name != "message"), "{rest:?}");
}
