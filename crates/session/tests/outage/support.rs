//! An engine whose way to one account can be blocked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use starling_cluster::{NodeId, Placement, SingleNode};
use starling_link::{
    Attach, Bind, Bound, Client, Close, ConflictPolicy, Enable, Error, Frame, Full, Link,
    LocalLink, Management, Outlet, Refused, Registration, Resume, SessionKey, SessionNode,
};
use starling_session::{
    Config, Engine, EntryIds, Env, Host, Hosts, PasswordDeriver, Registry, Software, SystemClock,
};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::{BareJid, Stanza, Type};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

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

/// A link that keeps what is for one account.
pub(crate) struct Barrier {
    way: Arc<LocalLink>,
    blocked: Mutex<Option<BareJid>>,
    kept: Mutex<Vec<Frame>>,
    changed: Notify,
}

impl Barrier {
    /// Keeps what comes for an account from now on.
    pub(crate) fn block(&self, account: &str) {
        *self.blocked.lock().unwrap() = Some(jid(account));
    }

    /// Waits until so much is kept.
    pub(crate) async fn keeps(&self, count: usize) {
        let is_it = || (self.kept.lock().unwrap().len() >= count).then_some(());
        eventually(&self.changed, is_it).await;
    }

    /// Lets all of it go.
    pub(crate) fn clear(&self) {
        *self.blocked.lock().unwrap() = None;
        for frame in std::mem::take(&mut *self.kept.lock().unwrap()) {
            assert!(self.way.push(frame).is_ok());
        }
    }
}

impl Link for Barrier {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let is_blocked = self.blocked.lock().unwrap().as_ref() == Some(frame.target());
        if is_blocked && matches!(frame, Frame::Routed(_)) {
            self.kept.lock().unwrap().push(frame);
            self.changed.notify_one();
            return Ok(());
        }
        self.way.push(frame)
    }

    fn owner(&self, account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        self.way.owner(account)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        self.way.nodes()
    }
}

pub(crate) struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}

/// An engine with two accounts.
pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) link: Arc<Barrier>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let way = LocalLink::new();
        let link = Arc::new(Barrier {
            way: Arc::clone(&way),
            blocked: Mutex::default(),
            kept: Mutex::default(),
            changed: Notify::new(),
        });
        let mut hosts = Hosts::default();
        hosts.add(&jid("localhost"), Host::default());
        let env = Env {
            fence: None,
            config: Config::default(),
            hosts: ArcSwap::from_pointee(hosts),
            store: Arc::new(starling_store::Memory::default()),
            link: Arc::clone(&link) as _,
            placement: Placement::new([1; 16]),
            membership: Arc::new(SingleNode::new(NodeId::new("alone"))),
            clock: Arc::new(SystemClock),
            passwords: Arc::new(NoPasswords),
            entry_ids: EntryIds::new([2; 16]),
            registry: Registry::new(Vec::new()),
            software: Software {
                name: "Starling".into(),
                version: "0".into(),
                os: None,
            },
        };
        let mut parts = Engine::start(Arc::new(env), 2, &CancellationToken::new());
        parts.workers.detach_all();
        way.join(&parts.node);
        for account in ["romeo@localhost", "juliet@localhost"] {
            let registration = Registration {
                account: jid(account),
                verifiers: Vec::new(),
            };
            assert!(parts.node.register(registration).await.unwrap());
        }
        Self {
            engine: parts.node,
            link,
        }
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
        let frame = Frame::FromClient {
            session: key(from),
            attach,
            number,
            stanza: message.from(from.jid.clone()),
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
