//! Clients that stay connected while their accounts come to be served by
//! another session node: a node that is drained, one that gets shards back, one
//! that is killed. Pairs of them talk all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use starling_cluster::{Incarnation, Instance, NodeId, NodeInfo, Role};
use starling_cluster_etcd::Cluster;
use starling_testkit::element::Element;
use starling_testkit::reader::Item;
use starling_testkit::{Client, World, ns, presence, sm};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::shared::ground::NAME;
use crate::shared::nodes::Nodes;

/// The node that all of it happens to.
const FIRST: &str = "session-0";

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Pairs that talk: enough that every node has some of their accounts, and that
/// in some of them one is at each.
const PAIRS: u32 = 12;

/// Messages of one side that may be without an answer.
const WINDOW: u32 = 4;

/// Answers of each pair before something happens, and after.
const ROUNDS: u32 = 25;

/// A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(180);

/// What happens to the nodes, one after the other.
pub(crate) async fn all(nodes: &mut Nodes, world: &World) {
    let first = NodeId::new(FIRST);
    let cluster = observe(nodes).await;
    let mut talks = Talks::begin(world, "drained").await;
    cluster.drain(&first).await.unwrap();
    owns_nothing(nodes).await;
    talks.end("a session node was drained").await;

    let mut talks = Talks::begin(world, "given back").await;
    cluster.undrain(&first).await.unwrap();
    nodes.settle().await;
    talks.end("a session node got shards back").await;

    let mut talks = Talks::begin(world, "killed").await;
    nodes.take(FIRST).kill().await;
    talks.end("a session node was killed").await;
    cluster.leave().await;
    nodes.run(&[FIRST.to_owned()]).await;
    nodes.settle().await;
}

/// A member that serves nothing, to ask the cluster for something.
async fn observe(nodes: &Nodes) -> Cluster {
    let site = &nodes.site;
    let config = starling_cluster_etcd::Config {
        endpoints: site.ground.endpoints.clone(),
        name: NAME.to_owned(),
        prefix: format!("/{}", site.name),
        ..starling_cluster_etcd::Config::default()
    };
    let instance = Instance {
        node: NodeId::new("observer"),
        incarnation: Incarnation(1),
    };
    let info = NodeInfo::new(instance, vec![Role::Api]);
    Cluster::join(config, info, None).await.unwrap()
}

async fn owns_nothing(nodes: &Nodes) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let shards = nodes.shards(FIRST).await;
        if shards == Ok(0) {
            return;
        }
        assert!(Instant::now() < deadline, "{shards:?}");
        sleep(LOOK_INTERVAL).await;
    }
}

/// All that are talking.
pub(crate) struct Talks {
    tasks: JoinSet<Pair>,
    rounds: Vec<Arc<AtomicU32>>,
    changed: Arc<Notify>,
    is_over: watch::Sender<bool>,
}

/// Two that have talked.
struct Pair {
    number: u32,
    /// The longest that the first one waited for an answer since it happened.
    pause: Duration,
}

impl Talks {
    pub(crate) async fn begin(world: &World, name: &str) -> Self {
        let is_over = watch::Sender::new(false);
        let changed = Arc::new(Notify::new());
        let mut talks = Self {
            tasks: JoinSet::new(),
            rounds: Vec::new(),
            changed: Arc::clone(&changed),
            is_over,
        };
        eprintln!("{name}: {PAIRS} pairs begin to talk");
        for number in 0..PAIRS {
            // Every combination of those who count and those who do not.
            let one = Talker::new(world, "one", number % 2 == 0).await;
            let other = Talker::new(world, "other", number % 4 < 2).await;
            let rounds = Arc::new(AtomicU32::new(0));
            talks.rounds.push(Arc::clone(&rounds));
            let conversation = Conversation {
                number,
                rounds,
                changed: Arc::clone(&changed),
                is_over: talks.is_over.subscribe(),
            };
            talks.tasks.spawn(conversation.run(one, other));
        }
        talks.have_come(ROUNDS).await;
        talks
    }

    /// Waits until every pair has had so many more answers.
    async fn have_come(&mut self, more: u32) {
        let wanted: Vec<u32> = self.counts().iter().map(|count| count + more).collect();
        let coming = async {
            loop {
                let changed = self.changed.notified();
                let now = self.counts();
                if now.iter().zip(&wanted).all(|(now, wanted)| now >= wanted) {
                    return;
                }
                tokio::select! {
                    () = changed => {}
                    // One that ended too early has failed.
                    Some(ended) = self.tasks.join_next() => panic!("it ended: {:?}", ended.err()),
                }
            }
        };
        let come = timeout(DEADLINE, coming).await;
        assert!(come.is_ok(), "they stand still: {:?}", self.counts());
    }

    fn counts(&self) -> Vec<u32> {
        let counts = self.rounds.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// They go on, come to an end, and have missed nothing.
    pub(crate) async fn end(&mut self, what: &str) {
        self.have_come(ROUNDS).await;
        self.is_over.send_replace(true);
        let mut pauses = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            let pair = ended.unwrap();
            pauses.push((pair.pause, pair.number));
        }
        pauses.sort();
        let (median, longest) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
        println!(
            "{what}: longest pause of a pair {:?} (pair {}), in the middle {:?}",
            longest.0, longest.1, median.0
        );
    }
}

/// What a pair shares with the test.
struct Conversation {
    number: u32,
    rounds: Arc<AtomicU32>,
    changed: Arc<Notify>,
    is_over: watch::Receiver<bool>,
}

impl Conversation {
    async fn run(self, mut one: Talker, mut other: Talker) -> Pair {
        one.client.befriend(&mut other.client).await;
        one.enable().await;
        other.enable().await;
        let (at_one, at_other) = (one.jid(), other.jid());
        let (pause, ()) = tokio::join!(self.ask(&mut one, &at_other), answer(&mut other, &at_one));
        one.is_told_of_all().await;
        other.is_told_of_all().await;
        resume_one(one, &mut other).await;
        Pair {
            number: self.number,
            pause,
        }
    }

    /// Says one thing after the other and gets an answer to each, once and in
    /// order.
    async fn ask(&self, one: &mut Talker, to: &str) -> Duration {
        let (mut said, mut heard) = (0, 0);
        let (mut pause, mut last) = (Duration::ZERO, Instant::now());
        loop {
            let is_over = *self.is_over.borrow();
            while said < heard + WINDOW && !is_over {
                one.say(to, &said.to_string()).await;
                said += 1;
            }
            if heard == said {
                one.say(to, "end").await;
                return pause;
            }
            let message = one.hears().await;
            assert_eq!(message.body(), Some(format!("re: {heard}")), "{message}");
            heard += 1;
            pause = pause.max(last.elapsed());
            last = Instant::now();
            self.rounds.fetch_add(1, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }
}

/// Answers everything, each thing once and in order.
async fn answer(other: &mut Talker, to: &str) {
    for number in 0.. {
        let message = other.hears().await;
        let body = message.body().unwrap();
        if body == "end" {
            return;
        }
        assert_eq!(body, number.to_string(), "{message}");
        other.say(to, &format!("re: {number}")).await;
    }
}

/// What a session had is what it has: whoever may come back can, and the one
/// who leaves is seen to.
async fn resume_one(one: Talker, other: &mut Talker) {
    let Talker {
        client,
        token,
        heard,
        ..
    } = one;
    let from = client.jid().to_owned();
    let account = client.account().clone();
    drop(client);
    if let Some(token) = token {
        let entrance = other.entrance;
        let (mut stream, answer) = sm::resume(&account, &entrance, &token, heard).await;
        assert!(answer.is(ns::SM, "resumed"), "{answer}");
        assert_eq!(other.presences, 0, "nobody saw it go or come");
        stream.send("</stream:stream>").await;
    }
    let gone = presence().from(&from).type_("unavailable");
    other.client.find(gone).await;
}

/// A client that counts what it says and hears.
struct Talker {
    client: Client,
    entrance: starling_testkit::world::Entrance,
    is_managed: bool,
    token: Option<String>,
    said: u32,
    heard: u32,
    told: u32,
    presences: u32,
}

impl Talker {
    async fn new(world: &World, name: &str, is_managed: bool) -> Self {
        Self {
            client: world.online(name).await,
            entrance: *world.entrance(),
            is_managed,
            token: None,
            said: 0,
            heard: 0,
            told: 0,
            presences: 0,
        }
    }

    fn jid(&self) -> String {
        self.client.jid().to_owned()
    }

    /// XEP-0198 §3.
    async fn enable(&mut self) {
        // Whatever it was to hear before.
        self.client.settle().await;
        if self.is_managed {
            self.token = Some(sm::enable_resumable(&mut self.client).await);
        }
    }

    async fn say(&mut self, to: &str, body: &str) {
        self.said += 1;
        self.client.chat(to, body).await;
        if self.is_managed && self.said.is_multiple_of(8) {
            self.client.send(format!("<r xmlns='{}'/>", ns::SM)).await;
        }
    }

    /// The next message; whoever counts does so, and is told no lies.
    async fn hears(&mut self) -> Element {
        loop {
            let element = match self.client.item().await {
                Item::Element(element) => element,
                other => panic!("{} was closed: {other:?}", self.client.jid()),
            };
            if element.is(ns::SM, "r") {
                sm::acknowledge(&mut self.client, self.heard).await;
            } else if element.is(ns::SM, "a") {
                self.is_told(&element);
            } else {
                self.heard += 1;
                if element.is(ns::CLIENT, "message") {
                    return element;
                }
                assert!(
                    !element.is(ns::CLIENT, "presence"),
                    "presence flaps: {element}"
                );
            }
        }
    }

    /// XEP-0198 §4: `h` is honest and does not go back.
    fn is_told(&mut self, answer: &Element) {
        let h: u32 = answer.need_attr("h").parse().unwrap();
        assert!(h >= self.told && h <= self.said, "{h} of {}", self.said);
        self.told = h;
    }

    /// Everything it said is acknowledged.
    async fn is_told_of_all(&mut self) {
        if self.is_managed && self.told < self.said {
            self.client.send(format!("<r xmlns='{}'/>", ns::SM)).await;
            sm::acknowledged(&mut self.client, self.said).await;
        }
    }
}
