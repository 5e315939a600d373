//! An engine with every feature whose clients only count: for benchmarks.
//!
//! Sockets and disks have no part in it: the store is the one in memory.
#![allow(dead_code, reason = "each benchmark needs a part")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use starling_cluster::{NodeId, Placement, SingleNode};
use starling_link::{
    Attach, Bind, Client, Close, ConflictPolicy, Enable, Frame, Full, LocalLink, Management,
    Outlet, Registration, SessionKey, SessionNode,
};
use starling_session::{
    Config, Engine, EntryIds, Env, Host, Hosts, PasswordDeriver, Registry, Software, SystemClock,
};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::{BareJid, Jid, Stanza, UnixMillis};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) mod crowd;

/// Accounts that write to each other, two by two, and messages of each.
const PAIRS: usize = 64;
const MESSAGES_PER_PAIR: usize = 16;
pub(crate) const ROUND_MESSAGES: usize = PAIRS * MESSAGES_PER_PAIR;

/// Without an `<origin-id/>`: with the same one again, it would be the same
/// message said once more.
const BODY: &str = "<body>Neither, fair saint, if either thee dislike.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/>\
    <request xmlns='urn:xmpp:receipts'/>";

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

/// Who writes to whom, what, and how often so far. What was delivered is
/// acknowledged in its turn (XEP-0198), as an edge does: all of it at once.
struct Pair {
    sender: SessionKey,
    recipient: SessionKey,
    stanza: Stanza,
    number: AtomicU32,
}

/// An engine with one worker.
struct Alone {
    runtime: Runtime,
    engine: Arc<Engine>,
    counter: Arc<Counter>,
}

/// The same, and who writes to whom.
pub(crate) struct Node {
    alone: Alone,
    pairs: Vec<Pair>,
}

impl Alone {
    fn start(store: starling_store::Memory) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let link = LocalLink::new();
        let engine = runtime.block_on(async {
            let env = Arc::new(env(store, link.clone()));
            let mut parts = Engine::start(env, 1, &CancellationToken::new());
            parts.workers.detach_all();
            parts.node
        });
        link.join(&engine);
        Self {
            runtime,
            engine,
            counter: Arc::default(),
        }
    }

    /// So many stanzas are to be delivered from now on.
    fn expect(&self, stanzas: usize) {
        let delivered = self.counter.delivered.load(Ordering::Relaxed);
        let expected = delivered + stanzas as u64;
        self.counter.expected.store(expected, Ordering::Relaxed);
    }

    /// Works until they are.
    fn work(&self) {
        self.runtime.block_on(self.counter.reached.notified());
    }

    fn say(&self, session: &SessionKey, number: u32, stanza: Stanza) {
        let frame = Frame::FromClient {
            session: session.clone(),
            attach: Attach::default(),
            number,
            stanza,
            trace: None,
        };
        assert!(self.engine.push(frame).is_ok());
    }
}

impl Node {
    pub(crate) fn start(extra: &str) -> Self {
        let alone = Alone::start(starling_store::Memory::default());
        let pairs = alone.runtime.block_on(async {
            let mut pairs = Vec::new();
            for pair in 0..PAIRS {
                pairs.push(join_pair(&alone, pair, extra).await);
            }
            pairs
        });
        Self { alone, pairs }
    }

    /// Everything at once: what a busy node does.
    pub(crate) fn deliver_round(&self) {
        self.alone.expect(ROUND_MESSAGES);
        for _ in 0..MESSAGES_PER_PAIR {
            for pair in &self.pairs {
                self.push(pair);
            }
        }
        self.alone.work();
        for pair in &self.pairs {
            self.acknowledge(pair);
        }
    }

    /// One after the other: what a node does that has little to do.
    pub(crate) fn deliver_round_singly(&self) {
        for _ in 0..MESSAGES_PER_PAIR {
            for pair in &self.pairs {
                self.alone.expect(1);
                self.push(pair);
                self.alone.work();
                self.acknowledge(pair);
            }
        }
    }

    fn push(&self, pair: &Pair) {
        let number = pair.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.alone.say(&pair.sender, number, pair.stanza.clone());
    }

    /// The recipient has all that it was sent.
    fn acknowledge(&self, pair: &Pair) {
        let frame = Frame::Acked {
            session: pair.recipient.clone(),
            attach: Attach::default(),
            number: pair.number.load(Ordering::Relaxed),
        };
        assert!(self.alone.engine.push(frame).is_ok());
    }
}

fn env(store: starling_store::Memory, link: Arc<LocalLink>) -> Env {
    let mut hosts = Hosts::default();
    hosts.add(&jid("localhost"), Host::default());
    let features = starling_features::all(&starling_features::Config::default(), UnixMillis(0));
    Env {
        fence: None,
        config: Config::default(),
        hosts: ArcSwap::from_pointee(hosts),
        store: Arc::new(store),
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
async fn join_pair(alone: &Alone, pair: usize, extra: &str) -> Pair {
    let [sender, recipient] = ["romeo", "juliet"].map(|name| format!("{name}{pair}@localhost"));
    register(alone, &sender).await;
    register(alone, &recipient).await;
    let sender = bind(alone, &sender).await;
    let recipient = bind(alone, &recipient).await;
    let text = format!(
        "<message xmlns='jabber:client' type='chat' id='b7c5a3e8-4f1d' \
         to='{}' from='{}'>{BODY}{extra}</message>",
        recipient.1, sender.1
    );
    let stanza = Stanza::parse(Bytes::from(text)).unwrap();
    Pair {
        sender: sender.0,
        recipient: recipient.0,
        stanza,
        number: AtomicU32::new(0),
    }
}

async fn register(alone: &Alone, account: &str) {
    let registration = Registration {
        account: jid(account),
        verifiers: Vec::new(),
    };
    assert!(alone.engine.register(registration).await.unwrap());
}

async fn bind(alone: &Alone, account: &str) -> (SessionKey, Jid) {
    let account = jid(account);
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
        management: Some(Enable {
            wants_resume: true,
            max: None,
        }),
        inline: Vec::new(),
        outlet: Arc::new(CountingOutlet(Arc::clone(&alone.counter))),
    };
    let bound = alone.engine.bind(bind).await.unwrap();
    let key = SessionKey {
        account,
        id: bound.session,
    };
    (key, bound.jid)
}
