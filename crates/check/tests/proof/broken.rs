//! The checker finds a guarantee that is broken on purpose: real streams of a
//! real server, and between them somebody who swallows, repeats, swaps or
//! acknowledges.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use starling_check::link::Door;
use starling_check::passage::Passage;
use starling_check::target::Target;
use starling_check::verdict::Promise;
use starling_check::{Report, Script, life};
use starling_testkit::reader::{Item, Reader};
use starling_testkit::{Element, ns, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};

/// Messages of each run: enough that every sender writes to every reader again
/// after whatever was done, so that it shows.
const SENDS: u64 = 500;
/// A bound for a machine that is very slow, not a wait.
const TIME_MAX: Duration = Duration::from_secs(600);

/// What the proxy does, once in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mischief {
    Swallow,
    Repeat,
    Swap,
    Acknowledge,
    None,
}

/// All of them at once, each with accounts of its own on one server: a run mostly
/// waits for sessions to end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs STARLING_BINARY; cargo xtask test --only check runs it"]
async fn a_broken_guarantee_is_found() {
    let mut target = Target::starling(&crate::starling(), None).unwrap();
    target.start().await.unwrap();
    let server = target.doors[0];
    let cases = [
        (Mischief::None, None),
        (Mischief::Swallow, Some(Promise::NoLoss)),
        (Mischief::Repeat, Some(Promise::NoDuplicate)),
        (Mischief::Swap, Some(Promise::Order)),
        (Mischief::Acknowledge, Some(Promise::HonestH)),
    ];
    let mut runs = JoinSet::new();
    let check = |seed, mischief, promise| async move {
        let report = run(seed, server, mischief).await;
        match promise {
            None => assert!(report.verdict.violations.is_empty(), "{report}"),
            Some(promise) => assert!(report.broken(promise) > 0, "{mischief:?}: {report}"),
        }
    };
    let all = LocalSet::new();
    for (seed, (mischief, promise)) in (1..).zip(cases) {
        runs.spawn_local_on(check(seed, mischief, promise), &all);
    }
    all.await;
    while let Some(done) = runs.join_next().await {
        done.unwrap();
    }
    target.lives().unwrap();
}

async fn run(seed: u64, server: SocketAddr, mischief: Mischief) -> Report {
    let mut target = Target::running(server, "localhost");
    let passages = [Passage::to(server).await.unwrap()];
    let script = Script {
        seed,
        clients: 8,
        devices: 1,
        sends_again: false,
        sends: SENDS,
        time_max: TIME_MAX,
        cuts: 0,
        silence: Duration::from_millis(12),
        faults: Vec::new(),
        is_thorough: false,
        fault_every: Duration::from_secs(60),
        settle_max: match mischief {
            // What is swallowed never comes. That more may be missing then does
            // not matter: it is to be found that something is.
            Mischief::Swallow => Duration::from_secs(5),
            _ => Duration::from_secs(120),
        },
    };
    let door = Door {
        addresses: vec![proxy(passages[0].address(), mischief).await],
        host: "localhost".to_owned(),
        is_tls: false,
    };
    let history = life::run_through(&script, &mut target, &passages, &door).await;
    Report::of(&format!("{mischief:?}"), seed, &history.unwrap())
}

/// Whether the mischief is done, and what it was done to.
#[derive(Default)]
struct Done {
    is_done: AtomicBool,
    /// The text that nobody may ever see, not in an archive either.
    swallowed: OnceLock<String>,
}

/// Takes TLS off, so that it sees what passes, and does its mischief once.
async fn proxy(server: SocketAddr, mischief: Mischief) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let done = Arc::new(Done::default());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, server, mischief, Arc::clone(&done)));
        }
    });
    address
}

async fn pass(client: TcpStream, server: SocketAddr, mischief: Mischief, done: Arc<Done>) {
    let plain = wire::connect(server).await.unwrap();
    let tls = wire::secure(plain, "localhost", &["xmpp-client"], None).await;
    let (mut from_server, mut to_server) = split(tls.unwrap().0);
    let (mut from_client, mut to_client) = client.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        // Else the server would not see that its client is gone.
        to_server.shutdown().await
    });
    let (mut reader, mut buffer) = (Reader::new(), vec![0; 16_384]);
    let mut held: Option<Element> = None;
    while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
        let mut bytes = String::new();
        let mut is_new = false;
        for item in reader.push(&buffer[..count]).unwrap() {
            match item {
                Item::Open(_) => bytes.push_str(
                    "<stream:stream xmlns='jabber:client' version='1.0' \
                     xmlns:stream='http://etherx.jabber.org/streams'>",
                ),
                Item::Element(element) => {
                    is_new |= element.is(ns::SASL, "success");
                    meddle(mischief, &done, element, &mut held, &mut bytes);
                }
                Item::Close => bytes.push_str("</stream:stream>"),
                Item::Text(text) => bytes.push_str(&text),
                Item::End => {}
            }
        }
        if is_new {
            reader = Reader::new();
        }
        if to_client.write_all(bytes.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Which client a message is for: its name ends with its number.
fn reader(message: &Element) -> u32 {
    let to = message.need_attr("to");
    let name = to.split('@').next().unwrap_or_default();
    let number = name.rsplit('-').next().unwrap_or_default();
    number.parse().unwrap()
}

/// Passes an element on, or does what it must not.
fn meddle(
    mischief: Mischief,
    done: &Done,
    element: Element,
    held: &mut Option<Element>,
    bytes: &mut String,
) {
    let is_chat = element.name == "message" && element.body().is_some();
    let has_held = held.is_some();
    let is_target = match mischief {
        Mischief::None => false,
        Mischief::Acknowledge => element.is(ns::SM, "r"),
        // Whether something is lost is decided only for who stays.
        _ => is_chat && !life::parts(reader(&element)),
    };
    if is_target && !has_held && !done.is_done.swap(true, Ordering::Relaxed) {
        match mischief {
            Mischief::Swap => *held = Some(element),
            Mischief::Repeat => bytes.push_str(&element.raw.repeat(2)),
            Mischief::Acknowledge => {
                bytes.push_str("<a xmlns='urn:xmpp:sm:3' h='4000000'/>");
            }
            Mischief::Swallow => {
                let _ = done.swallowed.set(element.body().unwrap_or_default());
            }
            Mischief::None => {}
        }
        return;
    }
    let swallowed = done.swallowed.get();
    if swallowed.is_some_and(|text| element.raw.contains(&format!(">{text}<"))) {
        return;
    }
    bytes.push_str(&element.raw);
    // One of the same sender must overtake it, else nothing shows.
    let overtakes = |held: &mut Element| is_chat && held.from() == element.from();
    if let Some(late) = held.take_if(overtakes) {
        bytes.push_str(&late.raw);
    }
}
