//! A node with one engine and its link, clients that keep what they are sent,
//! and a feature that panics when it is asked to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use starling_cluster::{NodeId, Placement, SingleNode};
use starling_link::{
    Attach, Bind, BindError, Bound, Client, Close, ConflictPolicy, Frame, Full, Link, LocalLink,
    Management, Outlet, Registration, SessionKey, SessionNode,
};
use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Phase, Side, Spec, To};
use starling_session::{
    Config, Engine, EntryIds, Env, Host, Hosts, OwnFence, PasswordDeriver, Registry, Software,
    SystemClock,
};
use starling_xmpp::credentials::{Fingerprint, ScramVerifier};
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Keeps what its client would have read.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) stanzas: Mutex<Vec<Stanza>>,
    pub(crate) closed: Mutex<Option<Close>>,
    pub(crate) committed: Mutex<u32>,
    changed: Notify,
}

impl Recorder {
    pub(crate) async fn next(&self) -> Stanza {
        loop {
            let changed = self.changed.notified();
            if let Some(stanza) = self.take() {
                return stanza;
            }
            changed.await;
        }
    }

    pub(crate) async fn closed(&self) {
        while self.closed.lock().unwrap().is_none() {
            self.changed.notified().await;
        }
    }

    pub(crate) async fn committed_up_to(&self, count: u32) {
        while *self.committed.lock().unwrap() < count {
            self.changed.notified().await;
        }
    }

    pub(crate) fn take(&self) -> Option<Stanza> {
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
                Hook::message(Side::Both, Phase::Admit),
                Hook::iq_get(To::Account, "urn:example:faulty", "fail-there"),
                Hook::iq_get(To::Own, "urn:example:faulty", "fail"),
            ]
        }
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        let word = match ctx.side() {
            Side::Sender => "fail",
            _ => "fail-there",
        };
        assert!(!message.has("urn:example:faulty", word), "as asked");
        Outcome::Pass
    }

    fn handle<'a>(&'a self, _iq: &'a Stanza, _ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            tokio::task::yield_now().await;
            panic!("as asked")
        })
    }
}

pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) link: Arc<LocalLink>,
    /// How many stanzas each session has sent.
    numbers: Mutex<HashMap<SessionKey, u32>>,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    pub(crate) fn start_with(fence: Option<OwnFence>) -> Self {
        let link = LocalLink::new();
        let mut hosts = Hosts::default();
        hosts.add(&jid("localhost"), Host::default());
        let env = Env {
            fence,
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
        link.join(&parts.node);
        Self {
            engine: parts.node,
            link,
            numbers: Mutex::default(),
        }
    }

    pub(crate) async fn register(&self, account: &str) {
        let registration = Registration {
            account: jid(account),
            verifiers: Vec::new(),
        };
        assert!(self.engine.register(registration).await.unwrap());
    }

    pub(crate) async fn bind(
        &self,
        account: &str,
        resource: &str,
    ) -> Result<(Bound, Arc<Recorder>), BindError> {
        self.bind_with(account, resource, None).await
    }

    pub(crate) async fn bind_with(
        &self,
        account: &str,
        resource: &str,
        basis: Option<Fingerprint>,
    ) -> Result<(Bound, Arc<Recorder>), BindError> {
        let outlet = Arc::new(Recorder::default());
        let bind = Bind {
            account: jid(account),
            resource: Some(resource.into()),
            tag: None,
            basis,
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
            outlet: outlet.clone(),
        };
        Ok((self.engine.bind(bind).await?, outlet))
    }

    pub(crate) fn send(&self, from: &Bound, stanza: Stanza) {
        let session = SessionKey {
            account: from.jid.to_bare(),
            id: from.session,
        };
        let mut numbers = self.numbers.lock().unwrap();
        let number = numbers.entry(session.clone()).or_default();
        *number += 1;
        let frame = Frame::FromClient {
            session,
            attach: Attach::default(),
            number: *number,
            stanza: stanza.from(from.jid.clone()),
            trace: None,
        };
        assert!(self.link.push(frame).is_ok());
    }
}

pub(crate) fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}
