//! An engine whose way to one account can be blocked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use starling_cluster::{Epoch, NodeId, Placement, Shard, SingleNode};
use starling_link::{
    Attach, Bind, Bound, Client, Close, ConflictPolicy, Enable, Frame, Full, Link, LocalLink,
    Management, Outlet, Registration, Resume, SessionKey, SessionNode,
};
use starling_session::{
    Config, Engine, EntryIds, Env, Feature, Host, Hosts, ManualClock, OwnFence, PasswordDeriver,
    Registry, Software,
};
use starling_store::outbox::{Bucket, Read as _, Row};
use starling_store::{Memory, Position};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Stanza, Type};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::barrier::Barrier;

/// When every engine begins.
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// How long anything may take before it counts as lost.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until something is there.
pub(crate) async fn eventually<T>(changed: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            let notified = changed.notified();
            if let Some(found) = look() {
                return found;
            }
            notified.await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap()
}

/// What a client was told.
#[derive(Default)]
pub(crate) struct Heard {
    stanzas: Mutex<Vec<Stanza>>,
    closed: Mutex<Option<Close>>,
    committed: Mutex<u32>,
    changed: Notify,
}

impl Heard {
    /// The next stanza.
    pub(crate) async fn stanza(&self) -> Stanza {
        eventually(&self.changed, || {
            let mut stanzas = self.stanzas.lock().unwrap();
            (!stanzas.is_empty()).then(|| stanzas.remove(0))
        })
        .await
    }

    pub(crate) async fn id(&self) -> String {
        self.stanza().await.head.id.unwrap().to_string()
    }

    /// Waits until so many of its stanzas are dealt with.
    pub(crate) async fn committed(&self, count: u32) {
        let is_it = || (*self.committed.lock().unwrap() >= count).then_some(());
        eventually(&self.changed, is_it).await;
    }

    /// How many are.
    pub(crate) fn committed_now(&self) -> u32 {
        *self.committed.lock().unwrap()
    }

    /// Whether it was told anything that nobody has looked at.
    pub(crate) fn is_silent(&self) -> bool {
        self.stanzas.lock().unwrap().is_empty()
    }

    pub(crate) async fn closed(&self) -> Close {
        eventually(&self.changed, || *self.closed.lock().unwrap()).await
    }
}

impl Outlet for Heard {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.stanzas.lock().unwrap().push(stanza.clone());
        self.changed.notify_one();
        Ok(())
    }

    fn committed(&self, number: u32) {
        *self.committed.lock().unwrap() = number;
        self.changed.notify_one();
    }

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, why: Close) {
        self.closed.lock().unwrap().get_or_insert(why);
        self.changed.notify_one();
    }
}

pub(crate) struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}

/// An engine, as one of a cluster.
pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) link: Arc<Barrier>,
    pub(crate) store: Arc<Memory>,
    pub(crate) clock: Arc<ManualClock>,
    workers: JoinSet<Result<(), starling_store::Error>>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// The same, with features.
    pub(crate) async fn start_with(features: Vec<Box<dyn Feature>>) -> Self {
        let node = Self::with(Arc::default(), 1, features);
        for account in ["romeo@localhost", "juliet@localhost", "tybalt@localhost"] {
            node.register(account).await;
        }
        node
    }

    async fn register(&self, account: &str) {
        let registration = Registration {
            account: jid(account),
            verifiers: Vec::new(),
        };
        assert!(self.engine.register(registration).await.unwrap());
    }

    /// Registers somebody in the shard of an account.
    pub(crate) async fn neighbour(&self, account: &str) -> String {
        let mut names = (0..).map(|number| format!("neighbour-{number}@localhost"));
        let is_near = |name: &String| Self::shard_of(name) == Self::shard_of(account);
        let name = names.find(is_near).unwrap();
        self.register(&name).await;
        name
    }

    /// An engine that owns every shard under this epoch.
    pub(crate) fn over(store: Arc<Memory>, epoch: u32) -> Self {
        Self::with(store, epoch, Vec::new())
    }

    /// The same, with features.
    pub(crate) fn with(store: Arc<Memory>, epoch: u32, features: Vec<Box<dyn Feature>>) -> Self {
        let way = LocalLink::new();
        let link = Barrier::new(&way);
        let clock = Arc::new(ManualClock::at(NOW));
        let mut hosts = Hosts::default();
        hosts.add(&jid("localhost"), Host::default());
        let env = Env {
            fence: Some(OwnFence::new(Arc::clone(&store) as _, "session-1")),
            config: Config::default(),
            hosts: ArcSwap::from_pointee(hosts),
            store: Arc::clone(&store) as _,
            link: Arc::clone(&link) as _,
            placement: placement(),
            membership: Arc::new(SingleNode::new(NodeId::new("alone"))),
            clock: Arc::clone(&clock) as _,
            passwords: Arc::new(NoPasswords),
            entry_ids: EntryIds::new([2; 16]),
            registry: Registry::new(features),
            software: Software {
                name: "Starling".into(),
                version: "0".into(),
                os: None,
            },
        };
        let parts = Engine::start(Arc::new(env), 2, &CancellationToken::new());
        way.join(&parts.node);
        for shard in Shard::all() {
            parts.node.take(shard, Epoch(epoch));
        }
        Self {
            engine: parts.node,
            link,
            store,
            clock,
            workers: parts.workers,
        }
    }

    /// Ends it at once. What is stored stays.
    pub(crate) async fn kill(mut self) -> Arc<Memory> {
        self.workers.shutdown().await;
        self.link.forget();
        self.store
    }

    /// The same, but what it has sent on arrives at another.
    pub(crate) async fn kill_before(mut self, other: impl FnOnce(Arc<Memory>) -> Self) -> Self {
        self.workers.shutdown().await;
        let other = other(self.store);
        other.link.take_from(&self.link);
        other
    }

    /// The shard of an account.
    pub(crate) fn shard_of(account: &str) -> u16 {
        placement().shard_of(&jid(account)).number()
    }

    /// What the shard of an account owes.
    pub(crate) async fn owes(&self, account: &str) -> Vec<Row> {
        let shard = Self::shard_of(account);
        let outline = self.store.outbox(shard).await.unwrap();
        let mut owed = Vec::new();
        if let Some(hours) = outline.extent.hours {
            for hour in hours.first..=hours.last {
                let bucket = Bucket { shard, hour };
                let page = self.store.outbox_page(bucket, Position::START, 500).await;
                let rows = page.unwrap().into_iter();
                owed.extend(rows.filter(|row| outline.is_owed(row)));
            }
        }
        owed
    }

    /// A session that its client may resume.
    pub(crate) async fn bind(&self, account: &str) -> (Bound, Arc<Heard>) {
        let outlet = Arc::new(Heard::default());
        let bind = Bind {
            account: jid(account),
            resource: Some("x".into()),
            tag: None,
            basis: None,
            is_anonymous: false,
            conflict: ConflictPolicy::Replace,
            client: client(),
            management: Some(Enable {
                wants_resume: true,
                max: None,
            }),
            inline: Vec::new(),
            outlet: Arc::clone(&outlet) as _,
        };
        (self.engine.bind(bind).await.unwrap(), outlet)
    }

    /// A client sends a message to an address.
    pub(crate) fn send(&self, from: &Bound, attach: Attach, number: u32, to: &Bound, id: &str) {
        let message = Stanza::message(Type::Chat).id(id).to(to.jid.clone());
        self.send_stanza(from, attach, number, message);
    }

    /// A client sends a stanza.
    pub(crate) fn send_stanza(&self, from: &Bound, attach: Attach, number: u32, stanza: Stanza) {
        let frame = Frame::FromClient {
            session: key(from),
            attach,
            number,
            stanza: stanza.from(from.jid.clone()),
            trace: None,
        };
        assert!(self.link.push(frame).is_ok());
    }
}

pub(crate) fn key(bound: &Bound) -> SessionKey {
    SessionKey {
        account: bound.jid.to_bare(),
        id: bound.session,
    }
}

fn placement() -> Placement {
    Placement::new([1; 16])
}

/// A request for a session back, and where its stanzas go.
pub(crate) fn resume(bound: &Bound, h: u32) -> (Resume, Arc<Heard>) {
    let outlet = Arc::new(Heard::default());
    let management = bound.management.as_ref().unwrap();
    let request = Resume {
        account: bound.jid.to_bare(),
        token: management.resumption.as_ref().unwrap().token.clone(),
        h,
        basis: None,
        client: client(),
        outlet: Arc::clone(&outlet) as _,
    };
    (request, outlet)
}

fn client() -> Client {
    Client {
        address: ([127, 0, 0, 1], 1).into(),
        is_encrypted: true,
        mechanism: "PLAIN".into(),
        user_agent_id: None,
        software: None,
    }
}

pub(crate) fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}
