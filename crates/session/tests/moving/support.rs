//! Two engines over one store, and who owns what.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use starling_cluster::{Epoch, NodeId, Owner, Placement, Shard};
use starling_link::{
    Attach, Bind, Bound, Client, ConflictPolicy, Downstream, Enable, Frame, Link, Reattach,
    ReattachError, Registration, SessionKey, SessionNode,
};
use starling_session::{
    Config, Engine, EntryIds, Env, Host, Hosts, OwnFence, PasswordDeriver, Registry, Software,
    SystemClock,
};
use starling_store::archive::{Query, Read as _};
use starling_store::{Memory, Store};
use starling_xmpp::credentials::ScramVerifier;
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Element, Stanza, Type};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stream::*;
use super::table::{Member, Table, Way};

/// No client here has said more before its session is brought.
pub(crate) const SAID: u32 = 9;

/// A bound, not a wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn edge() -> NodeId {
    NodeId::new("edge")
}

pub(crate) struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}

/// Two engines over one store; the first owns everything.
pub(crate) struct World {
    pub(crate) store: Arc<Memory>,
    pub(crate) table: Arc<Table>,
    pub(crate) way: Arc<Way>,
    pub(crate) first: Arc<Engine>,
    pub(crate) second: Arc<Engine>,
}

impl World {
    pub(crate) fn start(config: &Config) -> Self {
        let store = Arc::new(Memory::default());
        let owner = Owner {
            node: NodeId::new("first"),
            epoch: Epoch::FIRST,
        };
        let table = Arc::new(Table {
            owner: Mutex::new(owner),
            heard: Mutex::default(),
            leaving: Mutex::default(),
            engines: Mutex::default(),
            changed: watch::channel(0).0,
        });
        let [first, second] = ["first", "second"].map(|name| {
            let node = NodeId::new(name);
            let engine = engine(&node, &table, &store, config.clone());
            let mut engines = table.engines.lock().unwrap();
            engines.push((node, Arc::clone(&engine)));
            drop(engines);
            engine
        });
        Shard::all().for_each(|shard| first.take(shard, Epoch::FIRST));
        let way = Arc::new(Way {
            node: None,
            table: Arc::clone(&table),
        });
        Self {
            store,
            table,
            way,
            first,
            second,
        }
    }

    pub(crate) async fn online(&self, name: &str) -> (Bound, Arc<Stream>) {
        let account = jid(name);
        let registration = Registration {
            account: account.clone(),
            verifiers: Vec::new(),
        };
        assert!(self.first.register(registration).await.unwrap());
        let stream = Arc::new(Stream::default());
        let bind = Bind {
            account,
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
            outlet: Arc::clone(&stream) as _,
        };
        let bound = self.first.bind(bind).await.unwrap();
        self.say(
            &bound,
            1,
            Attach::default(),
            Stanza::presence(Type::Available).id("p"),
        );
        stream.until("presence", |state| state.committed == 1).await;
        stream.has(&["p"]).await;
        stream.change(|state| state.acked = 1);
        (bound, stream)
    }

    pub(crate) fn say(&self, bound: &Bound, number: u32, attach: Attach, stanza: Stanza) {
        let frame = Frame::FromClient {
            session: key(bound),
            attach,
            number,
            stanza: stanza.from(bound.jid.clone()),
            trace: None,
        };
        self.way.push(frame).unwrap();
    }

    /// A message to somebody that comes from another account while nobody may
    /// serve it.
    pub(crate) fn send(&self, from: &Bound, to: &Bound, id: &str) {
        let routed = starling_link::Routed {
            target: to.jid.to_bare(),
            stanza: message(to, id).from(from.jid.clone()),
            receipt: None,
            id: None,
            is_repeated: false,
            trace: None,
        };
        self.way.push(Frame::Routed(routed)).unwrap();
    }

    /// Everything is the second one's, and both have been brought there; how the
    /// first of them goes on.
    pub(crate) async fn move_both(&self, both: [(&Bound, &Arc<Stream>); 2]) -> Attach {
        self.turn();
        self.take();
        let [first, second] = both;
        let attach = self.bring(first.0, first.1).await.unwrap();
        self.bring(second.0, second.1).await.unwrap();
        self.attended();
        attach
    }

    /// The table says that the second one owns everything.
    pub(crate) fn turn(&self) {
        *self.table.owner.lock().unwrap() = Owner {
            node: NodeId::new("second"),
            epoch: Epoch(2),
        };
        self.table.changed.send_modify(|revision| *revision += 1);
    }

    /// The table says that the first one owns everything once more.
    pub(crate) fn turn_back(&self) {
        *self.table.owner.lock().unwrap() = Owner {
            node: NodeId::new("first"),
            epoch: Epoch(3),
        };
        self.table.changed.send_modify(|revision| *revision += 1);
    }

    /// It is told to take it.
    pub(crate) fn take(&self) {
        Shard::all().for_each(|shard| self.second.take(shard, Epoch(2)));
    }

    /// Its edge has brought all.
    pub(crate) fn attended(&self) {
        let shards: Vec<_> = Shard::all().map(|shard| (shard, Epoch(2))).collect();
        self.second.attended(&edge(), &shards);
    }

    pub(crate) async fn bring(
        &self,
        bound: &Bound,
        stream: &Arc<Stream>,
    ) -> Result<Attach, ReattachError> {
        let (summary, downstream) = stream.known();
        self.bring_as(bound, stream, summary, downstream).await
    }

    pub(crate) async fn bring_as(
        &self,
        bound: &Bound,
        stream: &Arc<Stream>,
        summary: Bytes,
        downstream: Downstream,
    ) -> Result<Attach, ReattachError> {
        let request = request(bound, stream, summary, downstream);
        let brought = timeout(DEADLINE, self.second.reattach(request)).await;
        brought.unwrap().map(|reattached| reattached.attach)
    }
}

pub(crate) fn request(
    bound: &Bound,
    stream: &Arc<Stream>,
    summary: Bytes,
    downstream: Downstream,
) -> Reattach {
    Reattach {
        session: key(bound),
        attach: Attach::default(),
        jid: bound.jid.clone(),
        summary,
        committed: stream.state.lock().unwrap().committed,
        said: SAID,
        downstream,
        outlet: Arc::clone(stream) as _,
    }
}

pub(crate) fn engine(
    node: &NodeId,
    table: &Arc<Table>,
    store: &Arc<Memory>,
    config: Config,
) -> Arc<Engine> {
    let mut hosts = Hosts::default();
    hosts.add(&jid("localhost"), Host::default());
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let features = starling_features::all(&starling_features::Config::default(), UnixMillis(0));
    let env = Env {
        fence: Some(OwnFence::new(Arc::clone(&store), node.as_str())),
        config,
        hosts: ArcSwap::from_pointee(hosts),
        store,
        link: Arc::new(Way {
            node: Some(node.clone()),
            table: Arc::clone(table),
        }),
        placement: Placement::new([1; 16]),
        membership: Arc::new(Member(node.clone(), Arc::clone(table))),
        clock: Arc::new(SystemClock),
        passwords: Arc::new(NoPasswords),
        entry_ids: EntryIds::new([2; 16]),
        registry: Registry::new(features),
        software: Software {
            name: "Starling".into(),
            version: "0".into(),
            os: None,
        },
    };
    let mut parts = Engine::start(Arc::new(env), 2, &CancellationToken::new());
    parts.workers.detach_all();
    parts.node
}

pub(crate) fn client() -> Client {
    Client {
        address: ([127, 0, 0, 1], 1).into(),
        is_encrypted: true,
        mechanism: "PLAIN".into(),
        user_agent_id: None,
        software: None,
    }
}

pub(crate) fn key(bound: &Bound) -> SessionKey {
    SessionKey {
        account: bound.jid.to_bare(),
        id: bound.session,
    }
}

pub(crate) fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

pub(crate) fn message(to: &Bound, id: &str) -> Stanza {
    let body = Element::new("jabber:client", "body").text(id);
    Stanza::message(Type::Chat)
        .id(id)
        .to(to.jid.to_bare())
        .child(&body)
}

/// The ids of everything in a log, oldest first.
pub(crate) async fn log(world: &World, bound: &Bound) -> Vec<String> {
    let query = Query::after(starling_store::Position::START, 1_000);
    let page = world.store.archive_page(&bound.jid.to_bare(), &query).await;
    let stanzas = page.unwrap().into_iter().map(|entry| entry.stanza);
    let stanzas = stanzas.map(|stanza| Stanza::parse(stanza).unwrap());
    stanzas.map(|s| s.head.id.unwrap().to_string()).collect()
}

/// Waits until an engine has done everything that was given to it.
pub(crate) async fn settled_all(engine: &Engine) {
    assert!(timeout(DEADLINE, engine.drain(DEADLINE)).await.unwrap());
}

pub(crate) fn routed(to: &Bound, stanza: Stanza) -> Frame {
    Frame::Routed(starling_link::Routed {
        target: to.jid.to_bare(),
        stanza: stanza.to(to.jid.clone()),
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    })
}
