//! Stanzas through a whole engine: workers, shards, commit and router, over
//! the in-memory store.
#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use starling_cluster::{NodeId, Placement, SingleNode};
use starling_link::{
    Bind, BindError, Bound, Client, Close, ConflictPolicy, Frame, Full, Link, LocalLink, Outlet,
    Registration, SessionKey, SessionNode,
};
use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Phase, Side, Spec, To};
use starling_session::{
    Config, Engine, EntryIds, Env, Host, Hosts, PasswordDeriver, Registry, Software, SystemClock,
};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::{BareJid, Condition, Stanza, Type};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Keeps what its client would have read.
#[derive(Default)]
struct Recorder {
    stanzas: Mutex<Vec<Stanza>>,
    closed: Mutex<Option<Close>>,
    committed: Mutex<u32>,
    changed: Notify,
}

impl Recorder {
    async fn next(&self) -> Stanza {
        loop {
            let changed = self.changed.notified();
            if let Some(stanza) = self.take() {
                return stanza;
            }
            changed.await;
        }
    }

    async fn closed(&self) {
        while self.closed.lock().unwrap().is_none() {
            self.changed.notified().await;
        }
    }

    async fn committed(&self, count: u32) {
        while *self.committed.lock().unwrap() < count {
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Stanza> {
        let mut stanzas = self.stanzas.lock().unwrap();
        (!stanzas.is_empty()).then(|| stanzas.remove(0))
    }
}

impl Outlet for Recorder {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.stanzas.lock().unwrap().push(stanza.clone());
        self.changed.notify_one();
        Ok(())
    }

    fn committed(&self, count: u32) {
        *self.committed.lock().unwrap() += count;
        self.changed.notify_one();
    }

    fn report_drained(&self) {}

    fn close(&self, why: Close) {
        self.closed.lock().unwrap().get_or_insert(why);
        self.changed.notify_one();
    }
}

struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}

/// Panics on a word, before and after it has had to wait.
struct Faulty;

const FAULTY: Manifest = Manifest {
    spec: Spec::Own("faulty"),
    version: "1",
    disco: &[],
    disco_account: &[],
};

impl Feature for Faulty {
    fn manifest(&self) -> &'static Manifest {
        &FAULTY
    }

    fn hooks(&self) -> &'static [Hook] {
        const {
            &[
                Hook::message(Side::Sender, Phase::Admit),
                Hook::iq_get(To::Own, "urn:example:faulty", "fail"),
            ]
        }
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, _ctx: &mut Ctx) -> Outcome {
        assert!(!message.has("urn:example:faulty", "fail"), "as asked");
        Outcome::Pass
    }

    fn handle<'a>(&'a self, _iq: &'a Stanza, _ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            tokio::task::yield_now().await;
            panic!("as asked")
        })
    }
}

struct Node {
    engine: Arc<Engine>,
    link: Arc<LocalLink>,
}

impl Node {
    fn start() -> Self {
        let link = LocalLink::new();
        let mut hosts = Hosts::default();
        hosts.add(&jid("localhost"), Host::default());
        let env = Env {
            config: Config::default(),
            hosts: ArcSwap::from_pointee(hosts),
            store: Arc::new(starling_store::Memory::default()),
            link: link.clone(),
            placement: Placement::new([1; 16]),
            membership: Arc::new(SingleNode::new(NodeId::new("alone"))),
            clock: Arc::new(SystemClock),
            passwords: Arc::new(NoPasswords),
            entry_ids: EntryIds::new([2; 16]),
            registry: Registry::new(vec![Box::new(Faulty)]),
            software: Software {
                name: "Starling".into(),
                version: "0".into(),
                os: None,
            },
        };
        let mut parts = Engine::start(Arc::new(env), 2, &CancellationToken::new());
        parts.workers.detach_all();
        link.join(parts.node.clone());
        Self {
            engine: parts.node,
            link,
        }
    }

    async fn register(&self, account: &str) {
        let registration = Registration {
            account: jid(account),
            verifiers: Vec::new(),
        };
        assert!(self.engine.register(registration).await.unwrap());
    }

    async fn bind(
        &self,
        account: &str,
        resource: &str,
    ) -> Result<(Bound, Arc<Recorder>), BindError> {
        let outlet = Arc::new(Recorder::default());
        let bind = Bind {
            account: jid(account),
            resource: Some(resource.into()),
            tag: None,
            is_anonymous: false,
            conflict: ConflictPolicy::Replace,
            client: Client {
                address: ([127, 0, 0, 1], 1).into(),
                is_encrypted: true,
                mechanism: "PLAIN".into(),
                user_agent_id: None,
                software: None,
            },
            outlet: outlet.clone(),
        };
        Ok((self.engine.bind(bind).await?, outlet))
    }

    fn send(&self, from: &Bound, stanza: Stanza) {
        let session = SessionKey {
            account: from.jid.to_bare(),
            id: from.session,
        };
        let stanza = stanza.from(from.jid.clone());
        assert!(
            self.link
                .push(Frame::FromClient { session, stanza })
                .is_ok()
        );
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

#[tokio::test]
async fn a_message_reaches_the_session_it_is_addressed_to() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (romeo, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (juliet, balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    node.send(&romeo, Stanza::message(Type::Chat).id("m1").to(juliet.jid));
    let received = balcony.next().await;
    assert_eq!(received.head.id.as_deref(), Some("m1"));
    assert_eq!(received.head.from, Some(romeo.jid));
}

#[tokio::test]
async fn a_message_to_nobody_is_answered() {
    // RFC 6121 §8.5.1: as for an account that has nobody to take it.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    node.send(
        &romeo,
        Stanza::message(Type::Chat)
            .id("m1")
            .to(jid("nobody@localhost")),
    );
    let answer = orchard.next().await;
    assert_eq!(answer.head.type_, Type::Error);
    assert_eq!(
        answer.stanza_error().unwrap().condition,
        Condition::ServiceUnavailable
    );
}

#[tokio::test]
async fn a_request_nobody_knows_gets_exactly_one_answer() {
    // RFC 6120 §8.3.3.19, §8.2.3.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let payload = starling_xmpp::Element::new("urn:example:unknown", "query");
    node.send(
        &romeo,
        Stanza::iq(Type::Get, "q1")
            .to(jid("localhost"))
            .child(&payload),
    );
    node.send(
        &romeo,
        Stanza::message(Type::Chat)
            .id("after")
            .to(romeo.jid.clone()),
    );
    assert_eq!(orchard.next().await.head.id.as_deref(), Some("q1"));
    assert_eq!(orchard.next().await.head.id.as_deref(), Some("after"));
}

#[tokio::test]
async fn a_newcomer_takes_the_resource_and_the_older_session_learns_why() {
    // RFC 6120 §7.7.2.2, §4.9.3.3.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (_, older) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (newer, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    assert_eq!(*older.closed.lock().unwrap(), Some(Close::Conflict));
    let sessions = node.engine.sessions(&jid("romeo@localhost")).await.unwrap();
    assert_eq!(
        sessions.iter().map(|s| s.session).collect::<Vec<_>>(),
        [newer.session]
    );
}

#[tokio::test]
async fn an_account_that_is_not_there_gets_no_session() {
    let node = Node::start();
    let refused = node
        .bind("nobody@localhost", "x")
        .await
        .map(|(bound, _)| bound);
    assert_eq!(refused, Err(BindError::NoAccount));
}

#[tokio::test]
async fn a_removed_account_is_gone_and_its_name_is_free() {
    // XEP-0077 §3.2.
    let node = Node::start();
    node.register("romeo@localhost").await;
    let (_, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    assert!(node.engine.remove(&jid("romeo@localhost")).await.unwrap());
    assert_eq!(*orchard.closed.lock().unwrap(), Some(Close::NotAuthorized));
    assert!(!node.engine.remove(&jid("romeo@localhost")).await.unwrap());
    node.register("romeo@localhost").await;
    assert!(node.bind("romeo@localhost", "orchard").await.is_ok());
}

#[tokio::test]
async fn a_panic_ends_the_sessions_of_one_account_and_nothing_else() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (juliet, balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    let fail = starling_xmpp::Element::new("urn:example:faulty", "fail");
    for bad in [
        Stanza::message(Type::Chat)
            .to(juliet.jid.clone())
            .child(&fail),
        Stanza::iq(Type::Get, "f1").child(&fail),
    ] {
        let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
        node.send(&romeo, bad);
        orchard.closed().await;
        assert_eq!(
            *orchard.closed.lock().unwrap(),
            Some(Close::InternalServerError)
        );
    }
    let (romeo, _) = node.bind("romeo@localhost", "orchard").await.unwrap();
    node.send(
        &romeo,
        Stanza::message(Type::Chat).id("after").to(juliet.jid),
    );
    assert_eq!(balcony.next().await.head.id.as_deref(), Some("after"));
}

#[tokio::test]
async fn credit_for_every_stanza_comes_back_wherever_it_went() {
    let node = Node::start();
    node.register("romeo@localhost").await;
    node.register("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost", "orchard").await.unwrap();
    let (juliet, _balcony) = node.bind("juliet@localhost", "balcony").await.unwrap();
    let ping = starling_xmpp::Element::new("urn:xmpp:ping", "ping");
    let fail = starling_xmpp::Element::new("urn:example:faulty", "fail");
    let message = || Stanza::message(Type::Chat);
    let stanzas = [
        message().to(juliet.jid.clone()),
        message().to(jid("juliet@localhost")),
        message().to(jid("nobody@localhost")),
        message().to(jid("localhost")),
        message().to(jid("far.example")),
        message(),
        Stanza::presence(Type::Available),
        Stanza::presence(Type::Available).to(juliet.jid.clone()),
        Stanza::iq(Type::Get, "1").child(&ping),
        Stanza::iq(Type::Get, "2").to(juliet.jid).child(&ping),
        Stanza::iq(Type::Get, "3")
            .to(jid("juliet@localhost"))
            .child(&fail),
        Stanza::iq(Type::Result, "4").to(jid("localhost")),
    ];
    let count = u32::try_from(stanzas.len()).unwrap();
    for stanza in stanzas {
        node.send(&romeo, stanza);
    }
    orchard.committed(count).await;
    assert_eq!(*orchard.committed.lock().unwrap(), count);
}
