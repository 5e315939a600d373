//! Shards that go from one engine to another over one store, with clients that
//! stay connected: the engines are real, the edge is written down here.
#![expect(clippy::unwrap_used, reason = "tests panic on failure")]

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt as _;
use smol_str::SmolStr;
use starling_cluster::{
    Changes, Epoch, Incarnation, Instance, Membership, NodeId, NodeInfo, Owner, Placement, Role,
    Shard,
};
use starling_link::{
    Attach, Bind, Body, Bound, Client, Close, ConflictPolicy, Detached, Downstream, Enable, Error,
    Frame, Full, Link, LogPlace, Management, MessageId, Note, Outlet, Reattach, ReattachError,
    Receipt, Refused, Registration, Resume, SessionKey, SessionNode, Settle, Unacknowledged,
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
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// No client here has said more before its session is brought.
const SAID: u32 = 9;

/// A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// The stream of a client at its edge.
#[derive(Default)]
struct Stream {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Everything that reached the edge, with its place in the log.
    stanzas: Vec<(Stanza, Option<LogPlace>)>,
    acked: u32,
    committed: u32,
    summary: Option<Bytes>,
    is_lost: bool,
    closed: Option<Close>,
}

impl Stream {
    async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if is_so(&self.state.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        };
        let waited = timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.ids());
    }

    fn ids(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let messages = state.stanzas.iter().map(|(stanza, _)| stanza);
        let ids = messages.filter_map(|stanza| stanza.head.id.as_ref());
        ids.map(ToString::to_string).collect()
    }

    async fn has(&self, ids: &[&str]) {
        self.until("stanzas", |state| state.stanzas.len() >= ids.len())
            .await;
        assert_eq!(self.ids(), ids);
    }

    /// What an edge knows: the client has the first ones.
    fn known(&self) -> (Bytes, Downstream) {
        let state = self.state.lock().unwrap();
        let numbered = state.stanzas.iter().zip(1..);
        let unacknowledged = numbered.filter(|(_, number)| *number > state.acked);
        let unacknowledged = unacknowledged.map(|((stanza, place), number)| Unacknowledged {
            number,
            body: match place {
                Some(place) => Body::Logged(*place),
                None => Body::Whole(stanza.to_bytes()),
            },
        });
        let downstream = Downstream {
            base: Some(0),
            sent: u32::try_from(state.stanzas.len()).unwrap(),
            acked: state.acked,
            unacknowledged: unacknowledged.collect(),
            seen: state
                .stanzas
                .iter()
                .filter_map(|(_, place)| *place)
                .collect(),
            seen_through: None,
        };
        (state.summary.clone().unwrap(), downstream)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
    }
}

impl Outlet for Stream {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.deliver_noted(stanza, Note::default())
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        self.change(|state| state.stanzas.push((stanza.clone(), note.place)));
        Ok(())
    }

    fn remember(&self, summary: Bytes) {
        self.change(|state| state.summary = Some(summary));
    }

    fn committed(&self, number: u32) {
        self.change(|state| state.committed = number);
    }

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, why: Close) {
        self.change(|state| state.closed = Some(why));
    }

    fn lost(&self) {
        self.change(|state| state.is_lost = true);
    }
}

/// Who owns everything, as everybody sees it at once.
struct Table {
    owner: Mutex<Owner>,
    engines: Mutex<Vec<(NodeId, Arc<Engine>)>>,
    changed: watch::Sender<u64>,
}

impl Table {
    fn owner(&self) -> Owner {
        self.owner.lock().unwrap().clone()
    }

    fn engine(&self) -> Option<Arc<Engine>> {
        let owner = self.owner();
        let engines = self.engines.lock().unwrap();
        let found = engines.iter().find(|(node, _)| *node == owner.node);
        found.map(|(_, engine)| Arc::clone(engine))
    }
}

struct Member(NodeId, Arc<Table>);

impl Membership for Member {
    fn local(&self) -> &NodeId {
        &self.0
    }

    fn owner(&self, _shard: Shard) -> Option<Owner> {
        Some(self.1.owner())
    }

    fn address(&self, _node: &NodeId) -> Option<SmolStr> {
        None
    }

    fn session_nodes(&self) -> Vec<NodeId> {
        Vec::new()
    }

    fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        vec![Arc::new(NodeInfo {
            instance: Instance {
                node: edge(),
                incarnation: Incarnation(0),
            },
            roles: vec![Role::Edge],
            version: String::new(),
            link: None,
            started: 0,
            is_draining: false,
            clients_at: None,
            clients: None,
            is_store_lost: false,
        })]
    }

    fn changes(&self) -> Changes {
        self.1.changed.subscribe()
    }
}

fn edge() -> NodeId {
    NodeId::new("edge")
}

/// Always to whoever owns everything.
struct Way(Arc<Table>);

impl Link for Way {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        match self.0.engine() {
            Some(engine) => engine.push(frame),
            None => Err(Refused::Unavailable(frame)),
        }
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        let engine = self.0.engine().ok_or(Error::Unavailable)?;
        Ok(engine)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}

struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}

/// Two engines over one store; the first owns everything.
struct World {
    store: Arc<Memory>,
    table: Arc<Table>,
    way: Arc<Way>,
    first: Arc<Engine>,
    second: Arc<Engine>,
}

impl World {
    fn start(config: &Config) -> Self {
        let store = Arc::new(Memory::default());
        let owner = Owner {
            node: NodeId::new("first"),
            epoch: Epoch::FIRST,
        };
        let table = Arc::new(Table {
            owner: Mutex::new(owner),
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
        let way = Arc::new(Way(Arc::clone(&table)));
        Self {
            store,
            table,
            way,
            first,
            second,
        }
    }

    async fn online(&self, name: &str) -> (Bound, Arc<Stream>) {
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

    fn say(&self, bound: &Bound, number: u32, attach: Attach, stanza: Stanza) {
        let frame = Frame::FromClient {
            session: key(bound),
            attach,
            number,
            stanza: stanza.from(bound.jid.clone()),
            trace: None,
        };
        self.way.push(frame).unwrap();
    }

    /// The table says that the second one owns everything.
    fn turn(&self) {
        *self.table.owner.lock().unwrap() = Owner {
            node: NodeId::new("second"),
            epoch: Epoch(2),
        };
        self.table.changed.send_modify(|revision| *revision += 1);
    }

    /// It is told to take it.
    fn take(&self) {
        Shard::all().for_each(|shard| self.second.take(shard, Epoch(2)));
    }

    /// Its edge has brought all.
    fn attended(&self) {
        let shards: Vec<_> = Shard::all().map(|shard| (shard, Epoch(2))).collect();
        self.second.attended(&edge(), &shards);
    }

    async fn bring(&self, bound: &Bound, stream: &Arc<Stream>) -> Result<Attach, ReattachError> {
        let (summary, downstream) = stream.known();
        self.bring_as(bound, stream, summary, downstream).await
    }

    async fn bring_as(
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

fn request(
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

fn engine(node: &NodeId, table: &Arc<Table>, store: &Arc<Memory>, config: Config) -> Arc<Engine> {
    let mut hosts = Hosts::default();
    hosts.add(&jid("localhost"), Host::default());
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let features = starling_features::all(&starling_features::Config::default(), UnixMillis(0));
    let env = Env {
        fence: Some(OwnFence::new(Arc::clone(&store), node.as_str())),
        config,
        hosts: ArcSwap::from_pointee(hosts),
        store,
        link: Arc::new(Way(Arc::clone(table))),
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

fn client() -> Client {
    Client {
        address: ([127, 0, 0, 1], 1).into(),
        is_encrypted: true,
        mechanism: "PLAIN".into(),
        user_agent_id: None,
        software: None,
    }
}

fn key(bound: &Bound) -> SessionKey {
    SessionKey {
        account: bound.jid.to_bare(),
        id: bound.session,
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn message(to: &Bound, id: &str) -> Stanza {
    let body = Element::new("jabber:client", "body").text(id);
    Stanza::message(Type::Chat)
        .id(id)
        .to(to.jid.to_bare())
        .child(&body)
}

/// The ids of everything in a log, oldest first.
async fn log(world: &World, bound: &Bound) -> Vec<String> {
    let query = Query::after(starling_store::Position::START, 1_000);
    let page = world.store.archive_page(&bound.jid.to_bare(), &query).await;
    let stanzas = page.unwrap().into_iter().map(|entry| entry.stanza);
    let stanzas = stanzas.map(|stanza| Stanza::parse(stanza).unwrap());
    stanzas.map(|s| s.head.id.unwrap().to_string()).collect()
}

/// What reached the edge is not sent again, what did not is, and what comes
/// meanwhile comes after.
#[tokio::test]
async fn a_session_goes_on_at_another_node_once_and_in_order() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for (number, id) in (2..).zip(["acked", "seen", "on-its-way"]) {
        world.say(&romeo, number, Attach::default(), message(&juliet, id));
    }
    let all = ["p", "acked", "seen", "on-its-way"];
    at_juliet.has(&all).await;
    at_romeo
        .until("all are dealt with", |state| state.committed == 4)
        .await;
    // The last one did not reach the edge before the node died.
    at_juliet.change(|state| {
        state.stanzas.pop();
        state.acked = 2;
    });
    world.turn();
    // The table is ahead of what the node is told.
    let early = message(&juliet, "early").from(romeo.jid.clone());
    let routed = starling_link::Routed {
        target: juliet.jid.to_bare(),
        stanza: early,
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    };
    world.way.push(Frame::Routed(routed)).unwrap();
    world.take();
    let attach = world.bring(&juliet, &at_juliet).await.unwrap();
    assert_eq!(attach, Attach(1));
    world.bring(&romeo, &at_romeo).await.unwrap();
    assert_eq!(
        at_juliet.ids(),
        ["p", "acked", "seen"],
        "nothing before all are there"
    );
    world.attended();
    at_juliet
        .has(&["p", "acked", "seen", "on-its-way", "early"])
        .await;
    // It goes on, in both directions, under the new number of its stream.
    world.say(
        &juliet,
        2,
        Attach::default(),
        message(&romeo, "of the old stream"),
    );
    world.say(&juliet, 2, Attach(1), message(&romeo, "after"));
    at_juliet
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    at_romeo.has(&["p", "after"]).await;
    let sessions = world.second.sessions(&juliet.jid.to_bare()).await.unwrap();
    assert_eq!(
        sessions[0].priority,
        Some(0),
        "it is as available as before"
    );
    assert_eq!(at_juliet.state.lock().unwrap().closed, None);
}

/// A stanza whose entry is in its sender's log is sent on again, and neither
/// stored nor delivered twice.
#[tokio::test]
async fn what_a_client_said_comes_again_and_counts_once() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "one"));
    at_juliet.has(&["p", "one"]).await;
    at_romeo
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    // The edge was not told so before the node died.
    at_romeo.change(|state| state.committed = 1);
    world.turn();
    world.take();
    let attach = world.bring(&romeo, &at_romeo).await.unwrap();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.attended();
    world.say(&romeo, 2, attach, message(&juliet, "one"));
    world.say(&romeo, 3, attach, message(&juliet, "two"));
    at_romeo
        .until("both are dealt with", |state| state.committed == 3)
        .await;
    at_juliet.has(&["p", "one", "two"]).await;
    for of in [&romeo, &juliet] {
        assert_eq!(log(&world, of).await, ["one", "two"]);
    }
}

/// A stanza that was handled long ago, and whose sender was not told so, because
/// somebody else it went to could not be reached: its recipient has forgotten its
/// number and finds it in the log.
#[tokio::test]
async fn what_was_said_long_ago_is_looked_for() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "old"));
    at_juliet.has(&["p", "old"]).await;
    // More than an account remembers.
    for number in 2..200 {
        let text = format!("own {number}");
        world.say(&juliet, number, Attach::default(), message(&juliet, &text));
    }
    at_juliet
        .until("all are dealt with", |state| state.committed == 199)
        .await;
    at_juliet
        .until("all came", |state| state.stanzas.len() == 200)
        .await;
    at_romeo.change(|state| state.committed = 1);
    world.turn();
    world.take();
    let attach = world.bring(&romeo, &at_romeo).await.unwrap();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.attended();
    world.say(&romeo, 2, attach, message(&juliet, "old"));
    world.say(&romeo, 3, attach, message(&juliet, "new"));
    at_romeo
        .until("both are dealt with", |state| state.committed == 3)
        .await;
    at_juliet
        .until("the new one", |state| state.stanzas.len() >= 201)
        .await;
    assert_eq!(at_juliet.ids()[200..], ["new"]);
}

/// A client had a message, said so when it resumed, and its node died at once:
/// its edge knows only what came since.
#[tokio::test]
async fn what_a_client_had_when_it_resumed_does_not_come_again() {
    let world = World::start(&Config::default());
    let (romeo, _) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.say(&romeo, 2, Attach::default(), message(&juliet, "had"));
    at_juliet.has(&["p", "had"]).await;
    let again = Arc::new(Stream::default());
    let resumption = juliet.management.clone().unwrap().resumption.unwrap();
    let resume = Resume {
        account: juliet.jid.to_bare(),
        token: resumption.token,
        h: 2,
        basis: None,
        client: client(),
        outlet: Arc::clone(&again) as _,
    };
    let resumed = world.first.resume(resume).await.unwrap();
    again
        .until("what it is like", |state| state.summary.is_some())
        .await;
    world.turn();
    world.take();
    let summary = again.state.lock().unwrap().summary.clone().unwrap();
    let downstream = Downstream {
        base: Some(0),
        sent: 2,
        acked: 2,
        ..Downstream::default()
    };
    let request = Reattach {
        attach: resumed.attach,
        ..request(&juliet, &again, summary, downstream)
    };
    world.second.reattach(request).await.unwrap();
    world.attended();
    let after = message(&juliet, "after").from(romeo.jid.clone());
    let routed = starling_link::Routed {
        target: juliet.jid.to_bare(),
        stanza: after,
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    };
    world.way.push(Frame::Routed(routed)).unwrap();
    again.has(&["after"]).await;
}

/// Edges may be quicker than the table, and are believed in any case.
#[tokio::test]
async fn an_edge_that_says_that_all_are_there_is_believed() {
    let world = World::start(&Config::default());
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.turn();
    world.attended();
    world.take();
    let refused = world.bring(&juliet, &at_juliet).await;
    assert_eq!(refused, Err(ReattachError::Late));
}

/// A planned move: what comes while the shard is with nobody waits, and goes to
/// whoever has it then, with the sessions.
#[tokio::test]
async fn sessions_of_a_shard_that_is_handed_over_go_along() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for shard in Shard::all() {
        assert!(world.first.freeze(shard).await);
    }
    let late = message(&juliet, "late").from(romeo.jid.clone());
    let routed = starling_link::Routed {
        target: juliet.jid.to_bare(),
        stanza: late,
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    };
    world.way.push(Frame::Routed(routed)).unwrap();
    for stream in [&at_romeo, &at_juliet] {
        stream.until("it is told", |state| state.is_lost).await;
    }
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    at_juliet.has(&["p", "late"]).await;
}

/// An edge that is gone is not waited for without end, and one that comes after
/// that is told so.
#[tokio::test]
async fn who_comes_too_late_is_refused() {
    let config = Config {
        reattach_timeout: Duration::from_millis(1),
        ..Config::default()
    };
    let world = World::start(&config);
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    world.turn();
    world.take();
    // Answered only when the shard is served.
    let sessions = world.second.sessions(&romeo.jid.to_bare()).await.unwrap();
    assert!(sessions.is_empty());
    let refused = world.bring(&romeo, &at_romeo).await;
    assert_eq!(refused, Err(ReattachError::Late));
}

/// A summary of another version ends the session, and nothing else.
#[tokio::test]
async fn a_summary_that_cannot_be_read_is_refused() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    world.turn();
    world.take();
    let (_, downstream) = at_romeo.known();
    let other = Bytes::from_static(&[255, 1, 2]);
    let refused = world.bring_as(&romeo, &at_romeo, other, downstream).await;
    assert!(
        matches!(refused, Err(ReattachError::Unreadable(_))),
        "{refused:?}"
    );
    world.attended();
    let sessions = world.second.sessions(&romeo.jid.to_bare()).await.unwrap();
    assert!(sessions.is_empty());
}

/// The answer was lost on the way, or came too late: the session is there once, and
/// what the first attempt says of its end is not taken for the end of the second.
#[tokio::test]
async fn a_session_that_is_brought_twice_is_there_once() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    world.turn();
    world.take();
    for number in 1..=2 {
        let attach = world.bring(&romeo, &at_romeo).await.unwrap();
        assert_eq!(attach, Attach(number));
    }
    let given_up = Frame::Detach {
        session: key(&romeo),
        attach: Attach(1),
        how: Detached::Lost,
        acked: None,
    };
    world.second.push(given_up).unwrap();
    world.attended();
    let sessions = world.second.sessions(&romeo.jid.to_bare()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert!(!sessions[0].is_hibernating, "its client is there");
}

/// The table tells edges and nodes at the same time, and an edge may be the first
/// to act: what it brings then is not kept waiting for itself.
#[tokio::test]
async fn a_session_that_comes_before_its_shard_is_not_left_behind() {
    let world = World::start(&Config::default());
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    world.turn();
    let (summary, downstream) = at_juliet.known();
    let early = world
        .second
        .reattach(request(&juliet, &at_juliet, summary, downstream));
    let mut early = pin!(early);
    assert!(early.as_mut().now_or_never().is_none(), "nobody serves it");
    // Behind it in the mailbox, so that it has been looked at.
    settled_all(&world.second).await;
    world.take();
    let brought = timeout(DEADLINE, early).await.unwrap();
    assert_eq!(brought.map(|brought| brought.attach), Ok(Attach(1)));
    world.attended();
    let sessions = world.second.sessions(&juliet.jid.to_bare()).await.unwrap();
    assert_eq!(sessions.len(), 1);
}

/// A planned move that is called off when the shard is frozen already: the
/// clients were told to look for its new owner, which is the old one.
#[tokio::test]
async fn sessions_of_a_shard_that_stays_after_all_go_on() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    for shard in Shard::all() {
        assert!(world.first.freeze(shard).await);
    }
    let meanwhile = message(&juliet, "meanwhile").from(romeo.jid.clone());
    let routed = starling_link::Routed {
        target: juliet.jid.to_bare(),
        stanza: meanwhile,
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    };
    world.way.push(Frame::Routed(routed)).unwrap();
    for stream in [&at_romeo, &at_juliet] {
        stream.until("it is told", |state| state.is_lost).await;
    }
    let (summary, downstream) = at_juliet.known();
    let back = world
        .first
        .reattach(request(&juliet, &at_juliet, summary, downstream));
    let mut back = pin!(back);
    assert!(back.as_mut().now_or_never().is_none(), "it is frozen");
    Shard::all().for_each(|shard| world.first.keep(shard));
    let back = timeout(DEADLINE, back).await.unwrap();
    let attach = back.unwrap().attach;
    assert_eq!(attach, Attach(1));
    at_juliet
        .until("the message", |state| state.stanzas.len() >= 2)
        .await;
    world.say(&juliet, 2, attach, message(&juliet, "to herself"));
    at_juliet
        .until("it is dealt with", |state| state.committed == 2)
        .await;
    assert_eq!(at_juliet.state.lock().unwrap().closed, None);
}

/// Counts what is settled.
#[derive(Default)]
struct Settled(AtomicUsize);

impl Settle for Settled {
    fn settle(&self, _number: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// All that was said to an account while it was out of reach comes at once, and
/// may have come before: it was promised to its senders, so none of it is refused,
/// and the log is not looked through for each.
#[tokio::test]
async fn what_comes_again_by_the_hundred_is_neither_refused_nor_doubled() {
    let config = Config {
        account_waiting_stanzas_max: 10,
        ..Config::default()
    };
    let world = World::start(&config);
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let settled = Arc::new(Settled::default());
    let say = |number: u64, is_repeated| {
        let said = message(&juliet, &number.to_string()).from(romeo.jid.clone());
        let routed = starling_link::Routed {
            target: juliet.jid.to_bare(),
            stanza: said,
            receipt: Some(Receipt::new(Arc::clone(&settled) as _, number)),
            id: Some(MessageId(number.into())),
            is_repeated,
            trace: None,
        };
        world.way.push(Frame::Routed(routed)).unwrap();
    };
    (0..200).for_each(|number| say(number, false));
    at_juliet
        .until("the first ones", |state| state.stanzas.len() == 201)
        .await;
    world.turn();
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    (0..300).for_each(|number| say(number, true));
    at_juliet
        .until("the others", |state| state.stanzas.len() >= 301)
        .await;
    settled_all(&world.second).await;
    let numbers: Vec<String> = (0..300).map(|number: u64| number.to_string()).collect();
    assert_eq!(at_juliet.ids()[1..], numbers, "each once and in order");
    assert_eq!(at_romeo.ids(), ["p"], "nothing was refused");
    assert_eq!(settled.0.load(Ordering::Relaxed), 500);
}

/// Waits until an engine has done everything that was given to it.
async fn settled_all(engine: &Engine) {
    assert!(timeout(DEADLINE, engine.drain(DEADLINE)).await.unwrap());
}

fn routed(to: &Bound, stanza: Stanza) -> Frame {
    Frame::Routed(starling_link::Routed {
        target: to.jid.to_bare(),
        stanza: stanza.to(to.jid.clone()),
        receipt: None,
        id: None,
        is_repeated: false,
        trace: None,
    })
}

/// Answers are in no log: whatever is in hand when a shard is frozen reaches the
/// client's edge before that is told to go, and the rest follows the shard.
#[tokio::test]
async fn nothing_on_its_way_is_lost_when_a_shard_moves() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let mut all = vec!["p".to_owned()];
    let mut frozen = None;
    for number in 0..40 {
        let (stored, answer) = (format!("stored-{number}"), format!("answer-{number}"));
        let message = message(&juliet, &stored).from(romeo.jid.clone());
        world.way.push(routed(&juliet, message)).unwrap();
        let result = Stanza::iq(Type::Result, &answer).from(romeo.jid.clone());
        world.way.push(routed(&juliet, result)).unwrap();
        all.extend([stored, answer]);
        tokio::task::yield_now().await;
        if number == 20 {
            let first = Arc::clone(&world.first);
            frozen = Some(tokio::spawn(async move {
                let shards = Shard::all().map(|shard| first.freeze(shard));
                futures_util::future::join_all(shards).await;
            }));
        }
    }
    timeout(DEADLINE, frozen.unwrap()).await.unwrap().unwrap();
    for stream in [&at_romeo, &at_juliet] {
        stream.until("it is told", |state| state.is_lost).await;
    }
    world.turn();
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    at_juliet.has(&all).await;
}

/// RFC 6120 §8.2.3: what a dead node had of requests is gone; who asked is told
/// so after a while, and is not told of those that were answered.
#[tokio::test(start_paused = true)]
async fn a_request_that_a_dead_node_had_is_answered_with_an_error() {
    let world = World::start(&Config::default());
    let (romeo, at_romeo) = world.online("romeo@localhost").await;
    let (juliet, at_juliet) = world.online("juliet@localhost").await;
    let ping = Element::new("urn:xmpp:ping", "ping");
    for (number, id) in [(2, "answered"), (3, "lost")] {
        let ask = Stanza::iq(Type::Get, id)
            .to(juliet.jid.clone())
            .child(&ping);
        world.say(&romeo, number, Attach::default(), ask);
    }
    at_juliet.has(&["p", "answered", "lost"]).await;
    let answer = Stanza::iq(Type::Result, "answered").to(romeo.jid.clone());
    world.say(&juliet, 2, Attach::default(), answer);
    at_romeo.has(&["p", "answered"]).await;
    at_romeo
        .until("both are sent on", |state| state.committed == 3)
        .await;
    // It did not reach the edge of the one asked before the node died.
    at_juliet.change(|state| {
        state.stanzas.pop();
        state.acked = 2;
    });
    world.turn();
    // It is dead: it says nothing more.
    Shard::all().for_each(|shard| world.first.give_up(shard));
    world.take();
    world.bring(&juliet, &at_juliet).await.unwrap();
    world.bring(&romeo, &at_romeo).await.unwrap();
    world.attended();
    at_romeo.has(&["p", "answered", "lost"]).await;
    let error = at_romeo.state.lock().unwrap().stanzas[2].0.clone();
    assert_eq!(error.head.type_, Type::Error);
    assert_eq!(error.head.from, Some(juliet.jid.clone()));
}
