//! XEP-0198 §5 where processes die: clients by other hands whose edge is killed
//! resume at another, and clients who are away when a session node is killed are
//! told how much of what they sent was dealt with.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Stdio;

use starling_cluster::Role;
use starling_testkit::element::Element;
use starling_testkit::pattern::element;
use starling_testkit::{Account, Client, World, iq, login, message, ns, sm};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Duration, timeout};

use crate::shared::ground::ground;
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, HOSTS, new_folder};
use crate::{LEASE, TURN, sees, stop, until};

/// The users of the scripts.
const USERS: [&str; 2] = ["romeo", "juliet"];
const PASSWORD: &str = "Call me but love";

/// A bound on failure: the scripts have bounds of their own.
const DEADLINE: Duration = Duration::from_secs(600);

/// The edge that dies, and the session node.
const EDGE: &str = "edge-0";
const SESSION: &str = "session-0";

/// Clients who are away: enough that the node that dies has some of them.
const AWAY: usize = 12;

/// Messages that each of them has sent before it left.
const SENT: u32 = 3;

/// All its stanzas until then: presence and a request as well.
const COUNTED: &str = "5";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn clients_come_back_when_a_node_has_died() {
    let _turn = TURN.lock().await;
    let site = Site {
        ground: ground().clone(),
        folder: new_folder("resuming"),
        name: "resuming".to_owned(),
        lease: LEASE,
    };
    let mut nodes = Nodes::start(site, 2, 2, CONFIGURATION).await;
    let admin = nodes.admin("session-1");
    let world = World::new(nodes.entrances().await, HOSTS, Box::new(admin));
    away(&mut nodes, &world).await;
    by_other_hands(&mut nodes, &world, "STARLING_TEST_SLIXMPP", HOSTS.main).await;
    by_other_hands(&mut nodes, &world, "STARLING_TEST_XMPP_JS", HOSTS.other).await;
    stop(nodes).await;
}

/// Runs the command that a variable holds, one word a line, and kills an edge
/// when it says so.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration but the environment"
)]
async fn by_other_hands(nodes: &mut Nodes, world: &World, variable: &str, host: &str) {
    let Ok(words) = std::env::var(variable) else {
        let _ = writeln!(std::io::stderr(), "left out: {variable} names no client");
        return;
    };
    for user in USERS {
        let account = Account {
            user: user.to_owned(),
            host: host.to_owned(),
            password: PASSWORD.to_owned(),
        };
        world.create(&account).await;
    }
    let mut ports = Vec::new();
    for edge in nodes.of(Role::Edge) {
        let entrance = nodes.admin(&edge).entrance().await.unwrap();
        ports.push(entrance.tls.port().to_string());
    }
    let mut words = words.lines();
    let mut script = Command::new(words.next().unwrap())
        .args(words)
        .env("XMPP_HOST", host)
        .env("XMPP_TLS_PORTS", ports.join(" "))
        .env("XMPP_PASSWORD", PASSWORD)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let running = async {
        let mut last = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let _ = writeln!(std::io::stderr(), "{line}");
            if line == "kill" {
                nodes.take(EDGE).kill().await;
            }
            last = line;
        }
        last
    };
    let last = timeout(DEADLINE, running).await.unwrap();
    assert!(script.wait().await.unwrap().success(), "{variable}: {last}");
    assert!(last.ends_with(" 0 failed"), "{variable}: {last}");
    nodes.run(&[EDGE.to_owned()]).await;
    nodes.settle().await;
}

/// Clients lose their connections, and then a session node dies.
async fn away(nodes: &mut Nodes, world: &World) {
    let witness = world.account("witness").await;
    let mut gone = Vec::new();
    for number in 0..AWAY {
        let account = world.account("traveller").await;
        let mut client = world.connect(&account, "phone").await;
        let token = sm::enable_resumable(&mut client).await;
        set_out(&mut client, &witness, number).await;
        gone.push((account, token));
    }
    // Their numbers are in the store when they are counted.
    until("all are away", || async {
        lost_streams(nodes).await == AWAY
    })
    .await;
    nodes.take(SESSION).kill().await;
    let admin = nodes.admin("session-1");
    sees(&admin, &witness, |_| true).await;
    let mut failed = 0;
    for (number, (account, token)) in gone.iter().enumerate() {
        sees(&admin, account, |_| true).await;
        let (mut stream, answer) = sm::resume(account, world.entrance(), token, 0).await;
        // Whichever it is, it is told the truth, and sends what comes next.
        assert_eq!(answer.need_attr("h"), COUNTED, "{answer}");
        let mut jid = format!("{}/phone", account.jid());
        if !answer.is(ns::SM, "resumed") {
            assert!(answer.is(ns::SM, "failed"), "{answer}");
            failed += 1;
            jid = login::bind(&mut stream, Some("phone")).await;
        }
        let mut client = Client::new(stream, account.clone(), jid);
        client.send(chat(&witness, number, SENT)).await;
        client.settle().await;
    }
    assert!(failed > 0, "nobody's session was at {SESSION}");
    each_message_came_once(world, &witness).await;
}

/// Streams that were lost, as the session nodes count them.
async fn lost_streams(nodes: &Nodes) -> usize {
    let mut count = 0.0;
    for node in nodes.of(Role::Session) {
        let metric = "starling_session_lost_streams_total";
        // None yet, or a node that is busy.
        count += nodes.admin(&node).metric(metric).await.unwrap_or(0.0);
    }
    // A count, which the node shows as a float without a fraction.
    count.to_string().parse().unwrap()
}

/// A client sends stanzas of every kind, hears that they are dealt with, and
/// loses its connection.
async fn set_out(client: &mut Client, witness: &Account, number: usize) {
    client.send("<presence/>").await;
    for body in 0..SENT {
        client.send(chat(witness, number, body)).await;
    }
    client
        .send("<iq type='get' id='last'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    client.find(iq().type_("result").id("last")).await;
    client.send(format!("<r xmlns='{}'/>", ns::SM)).await;
    client.find(element(ns::SM, "a").attr("h", COUNTED)).await;
}

fn chat(to: &Account, number: usize, body: u32) -> String {
    let to = to.jid();
    format!("<message type='chat' to='{to}'><body>{number}.{body}</body></message>")
}

async fn each_message_came_once(world: &World, witness: &Account) {
    let mut client = world.connect(witness, "phone").await;
    client.send("<presence/>").await;
    let mut heard: HashMap<String, Vec<String>> = HashMap::new();
    let mut left = AWAY * (SENT as usize + 1);
    while left > 0 {
        let message = client.find(message()).await;
        note(&mut heard, &message);
        left -= 1;
    }
    for element in client.settle().await {
        assert!(!element.is(ns::CLIENT, "message"), "{element}");
    }
    assert_eq!(heard.len(), AWAY);
    let wanted: Vec<String> = (0..=SENT).map(|body| body.to_string()).collect();
    for (number, bodies) in heard {
        assert_eq!(bodies, wanted, "of {number}, in order");
    }
}

fn note(heard: &mut HashMap<String, Vec<String>>, message: &Element) {
    let body = message.body().unwrap();
    let (number, body) = body.split_once('.').unwrap();
    heard
        .entry(number.to_owned())
        .or_default()
        .push(body.to_owned());
}
