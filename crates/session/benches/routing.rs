//! What one message costs between the edge that read it and the edge that
//! writes it: mailbox, both sides' phases with every feature, commit, router.
//!
//! Sockets and disks have no part in it: outlets only count, and the store is
//! the one in memory. Every round is of [`ROUND_MESSAGES`] messages, so that a
//! single one can be counted in instructions:
//!
//!     valgrind --tool=callgrind --toggle-collect='*deliver_round*' \
//!         <this program> --bench --test <name of a benchmark>
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_cluster::{NodeId, Placement, SingleNode};
use starling_link::{
    Attach, Bind, Client, Close, ConflictPolicy, Frame, Full, Link, LocalLink, Management, Outlet,
    Registration, SessionKey, SessionNode,
};
use starling_session::{
    Config, Engine, EntryIds, Env, Host, Hosts, PasswordDeriver, Registry, Software, SystemClock,
};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::{BareJid, Stanza, UnixMillis};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Accounts that write to each other, two by two, and messages of each.
const PAIRS: usize = 64;
const MESSAGES_PER_PAIR: usize = 16;
const ROUND_MESSAGES: usize = PAIRS * MESSAGES_PER_PAIR;

const BODY: &str = "<body>Neither, fair saint, if either thee dislike.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/>\
    <request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='b7c5a3e8-4f1d-9'/>";

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Counter {
    delivered: AtomicU64,
    expected: AtomicU64,
    reached: Notify,
}

struct CountingOutlet(Arc<Counter>);

impl Outlet for CountingOutlet {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        black_box(stanza);
        let counter = &self.0;
        let delivered = counter.delivered.fetch_add(1, Ordering::Relaxed) + 1;
        if delivered == counter.expected.load(Ordering::Relaxed) {
            counter.reached.notify_one();
        }
        Ok(())
    }

    fn committed(&self, _number: u32) {}

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, why: Close) {
        panic!("a session was closed: {why:?}");
    }
}

struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}

/// A session, what it sends, and how often it did.
type Sender = (SessionKey, Stanza, AtomicU32);

/// An engine with one worker, and who writes to whom.
struct Node {
    runtime: Runtime,
    link: Arc<LocalLink>,
    counter: Arc<Counter>,
    /// Of every pair: the sender's session, and what it sends.
    senders: Vec<Sender>,
}

impl Node {
    fn start(extra: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (link, counter) = (LocalLink::new(), Arc::new(Counter::default()));
        let senders = runtime.block_on(async {
            let env = Arc::new(env(link.clone()));
            let mut parts = Engine::start(env, 1, &CancellationToken::new());
            parts.workers.detach_all();
            link.join(&parts.node);
            let mut senders = Vec::new();
            for pair in 0..PAIRS {
                senders.push(join_pair(&parts.node, &counter, pair, extra).await);
            }
            senders
        });
        Self {
            runtime,
            link,
            counter,
            senders,
        }
    }

    /// Everything at once: what a busy node does.
    #[inline(never)]
    fn deliver_round(&self) {
        self.expect(ROUND_MESSAGES);
        for _ in 0..MESSAGES_PER_PAIR {
            for sender in &self.senders {
                self.push(sender);
            }
        }
        self.runtime.block_on(self.counter.reached.notified());
    }

    /// One after the other: what a node does that has little to do.
    #[inline(never)]
    fn deliver_round_singly(&self) {
        for _ in 0..MESSAGES_PER_PAIR {
            for sender in &self.senders {
                self.expect(1);
                self.push(sender);
                self.runtime.block_on(self.counter.reached.notified());
            }
        }
    }

    fn expect(&self, messages: usize) {
        let delivered = self.counter.delivered.load(Ordering::Relaxed);
        let expected = delivered + messages as u64;
        self.counter.expected.store(expected, Ordering::Relaxed);
    }

    fn push(&self, (session, stanza, number): &Sender) {
        let frame = Frame::FromClient {
            session: session.clone(),
            attach: Attach::default(),
            number: number.fetch_add(1, Ordering::Relaxed) + 1,
            stanza: stanza.clone(),
            trace: None,
        };
        assert!(self.link.push(frame).is_ok());
    }
}

fn env(link: Arc<LocalLink>) -> Env {
    let mut hosts = Hosts::default();
    hosts.add(&jid("localhost"), Host::default());
    let features = starling_features::all(&starling_features::Config::default(), UnixMillis(0));
    Env {
        fence: None,
        config: Config::default(),
        hosts: ArcSwap::from_pointee(hosts),
        store: Arc::new(starling_store::Memory::default()),
        link,
        placement: Placement::new([1; 16]),
        membership: Arc::new(SingleNode::new(NodeId::new("alone"))),
        clock: Arc::new(SystemClock),
        passwords: Arc::new(NoPasswords),
        entry_ids: EntryIds::new([2; 16]),
        registry: Registry::new(features),
        software: Software {
            name: "Starling".into(),
            version: "0".into(),
            os: None,
        },
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// Two accounts with a session each; the first is to write to the second.
async fn join_pair(node: &Engine, counter: &Arc<Counter>, pair: usize, extra: &str) -> Sender {
    let [sender, recipient] = ["romeo", "juliet"].map(|name| format!("{name}{pair}@localhost"));
    let sender = bind(node, counter, &sender).await;
    let recipient = bind(node, counter, &recipient).await;
    let text = format!(
        "<message xmlns='jabber:client' type='chat' id='b7c5a3e8-4f1d' \
         to='{}' from='{}'>{BODY}{extra}</message>",
        recipient.1, sender.1
    );
    let stanza = Stanza::parse(Bytes::from(text)).unwrap();
    (sender.0, stanza, AtomicU32::new(0))
}

async fn bind(
    node: &Engine,
    counter: &Arc<Counter>,
    account: &str,
) -> (SessionKey, starling_xmpp::Jid) {
    let account = jid(account);
    let registration = Registration {
        account: account.clone(),
        verifiers: Vec::new(),
    };
    assert!(node.register(registration).await.unwrap());
    let bind = Bind {
        account: account.clone(),
        resource: Some("phone".into()),
        tag: None,
        basis: None,
        is_anonymous: false,
        conflict: ConflictPolicy::Replace,
        client: Client {
            address: ([127, 0, 0, 1], 1).into(),
            is_encrypted: true,
            mechanism: "PLAIN".into(),
            user_agent_id: None,
            software: None,
        },
        management: None,
        inline: Vec::new(),
        outlet: Arc::new(CountingOutlet(Arc::clone(counter))),
    };
    let bound = node.bind(bind).await.unwrap();
    let key = SessionKey {
        account,
        id: bound.session,
    };
    (key, bound.jid)
}

fn routing(c: &mut Criterion) {
    let mut group = c.benchmark_group("routing");
    group.throughput(Throughput::Elements(ROUND_MESSAGES as u64));
    for (name, extra) in [
        ("no-store", "<no-store xmlns='urn:xmpp:hints'/>"),
        ("chat", ""),
    ] {
        let node = Node::start(extra);
        group.bench_function(name, |b| b.iter(|| node.deliver_round()));
        let name = format!("{name}, one in flight");
        group.bench_function(name, |b| b.iter(|| node.deliver_round_singly()));
    }
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
