//! DESIGN §3, §5: a recipient out of reach does not hold its senders up, and
//! what was promised to them arrives, once and in order, whatever dies.

use std::sync::Arc;

use starling_link::{Attach, Bound, SessionNode as _};
use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_store::outbox::{Bucket, Change, Read as _, Row};
use starling_store::{Position, Stamp, Store as _, Write};
use starling_xmpp::{Condition, Element, Stanza, Type};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep};

use crate::support::{Heard, Node, jid};

/// As many as one worker looks after.
const STANZAS_MAX: u32 = 16_384;

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it takes too long");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Juliet and Romeo at one node, which has no way to where Romeo is.
async fn parted() -> (Node, [(Bound, Arc<Heard>); 2]) {
    let node = Node::start().await;
    let both = [
        node.bind("juliet@localhost").await,
        node.bind("romeo@localhost").await,
    ];
    node.link.block("romeo@localhost");
    (node, both)
}

/// Waits until a shard owes nothing.
async fn settles(node: &Node, account: &str) {
    until(async || node.owes(account).await.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_does_not_wait_for_whoever_is_out_of_reach() {
    let (node, [(juliet, balcony), (romeo, orchard)]) = parted().await;
    let began = Instant::now();
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    node.send(&juliet, Attach(0), 2, &romeo, "2");
    node.link.keeps(2).await;
    assert_eq!(balcony.committed_now(), 0, "nothing is promised yet");
    balcony.committed(2).await;
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "it may come back"
    );
    assert_eq!(node.owes("juliet@localhost").await.len(), 2);
    // What comes later is behind it, also in the store.
    node.send(&juliet, Attach(0), 3, &romeo, "3");
    balcony.committed(3).await;
    assert_eq!(node.owes("juliet@localhost").await.len(), 3);

    node.link.clear();
    node.send(&juliet, Attach(0), 4, &romeo, "4");
    for id in ["1", "2", "3", "4"] {
        assert_eq!(orchard.id().await, id);
    }
    settles(&node, "juliet@localhost").await;
    assert!(orchard.is_silent(), "nothing comes twice");
}

/// A message that is refused is dealt with once its sender has the error: else
/// one that is lost on its way would leave it acknowledged and nowhere.
#[tokio::test(start_paused = true)]
async fn a_refusal_arrives_before_its_message_is_dealt_with() {
    let node = Node::start().await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    node.link.block("juliet@localhost");
    let message = Stanza::message(Type::Chat).id("1");
    let message = message.to(jid("nobody@localhost"));
    node.send_stanza(&juliet, Attach(0), 1, message);
    node.link.keeps(1).await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(balcony.committed_now(), 0);
    node.link.clear();
    assert_eq!(balcony.stanza().await.head.type_, Type::Error);
    balcony.committed(1).await;
}

/// Also if it is back within a second, which is what a failover takes.
#[tokio::test(start_paused = true)]
async fn what_is_back_soon_costs_no_row() {
    let (node, [(juliet, balcony), (romeo, orchard)]) = parted().await;
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    node.link.keeps(1).await;
    sleep(Duration::from_millis(900)).await;
    assert_eq!(balcony.committed_now(), 0);
    node.link.clear();
    assert_eq!(orchard.id().await, "1");
    balcony.committed(1).await;
    assert!(node.owes("juliet@localhost").await.is_empty());
}

/// The sender's node dies, another takes its shard, and only then the
/// recipient is there again.
#[tokio::test(start_paused = true)]
async fn what_was_promised_survives_the_node_that_promised() {
    let (node, [(juliet, balcony), (romeo, _)]) = parted().await;
    for number in 1..=3 {
        node.send(&juliet, Attach(0), number, &romeo, &number.to_string());
    }
    balcony.committed(3).await;
    let store = node.kill().await;

    let node = Node::over(store, 2);
    node.link.block("romeo@localhost");
    node.link.keeps(3).await;
    assert_eq!(node.link.kept_ids(), ["1", "2", "3"]);
    let (juliet, _) = node.bind("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    node.send(&juliet, Attach(0), 1, &romeo, "4");
    node.link.keeps(4).await;
    assert_eq!(node.link.kept_ids(), ["1", "2", "3", "4"]);
    node.link.clear();
    for id in ["1", "2", "3", "4"] {
        assert_eq!(orchard.id().await, id);
    }
    settles(&node, "juliet@localhost").await;
    let store = node.kill().await;

    // Nothing of it is sent a third time.
    let node = Node::over(store, 3);
    node.link.block("romeo@localhost");
    let (juliet, _) = node.bind("juliet@localhost").await;
    node.send(&juliet, Attach(0), 1, &romeo, "5");
    node.link.keeps(1).await;
    assert_eq!(node.link.kept_ids(), ["5"]);
}

/// Each peer comes back when it likes, and is done by itself: another node
/// sends again only what is for those that are still away.
#[tokio::test(start_paused = true)]
async fn each_peer_is_done_by_itself() {
    let node = Node::start().await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    let (tybalt, street) = node.bind("tybalt@localhost").await;
    node.link.block("romeo@localhost");
    node.link.block("tybalt@localhost");
    node.send(&juliet, Attach(0), 1, &tybalt, "t1");
    node.send(&juliet, Attach(0), 2, &romeo, "r1");
    node.send(&juliet, Attach(0), 3, &tybalt, "t2");
    node.send(&juliet, Attach(0), 4, &romeo, "r2");
    balcony.committed(4).await;
    node.link.unblock("romeo@localhost");
    assert_eq!(
        (orchard.id().await, orchard.id().await),
        ("r1".into(), "r2".into())
    );
    until(async || node.owes("juliet@localhost").await.len() == 2).await;
    let store = node.kill().await;
    drop(street);

    let node = Node::over(store, 2);
    node.link.block("romeo@localhost");
    node.link.block("tybalt@localhost");
    node.link.keeps(2).await;
    assert_eq!(node.link.kept_ids(), ["t1", "t2"]);
    let (_tybalt, street) = node.bind("tybalt@localhost").await;
    node.link.clear();
    assert_eq!(
        (street.id().await, street.id().await),
        ("t1".into(), "t2".into())
    );
    settles(&node, "juliet@localhost").await;
}

/// What an owner writes after its shard is another's was never promised: nobody
/// sends it, whoever has the shard later.
#[tokio::test(start_paused = true)]
async fn a_row_that_comes_too_late_is_nobodys() {
    let (node, [(juliet, balcony), (romeo, _)]) = parted().await;
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    balcony.committed(1).await;
    let row = node.owes("juliet@localhost").await.remove(0);
    let node = Node::over(node.kill().await, 2);
    node.link.block("romeo@localhost");
    node.link.keeps(1).await;
    let late = Row {
        position: Position::new(1, row.position.seq + 1),
        id: row.id + 1,
        ..row
    };
    let write = Write::new(
        jid("juliet@localhost"),
        Stamp::new(1, 99),
        Change::Put(late),
    );
    node.store.commit(vec![write]).await.unwrap();
    let node = Node::over(node.kill().await, 3);
    node.link.block("romeo@localhost");
    let (juliet, _) = node.bind("juliet@localhost").await;
    node.send(&juliet, Attach(0), 1, &romeo, "2");
    node.link.keeps(2).await;
    assert_eq!(node.link.kept_ids(), ["1", "2"]);
}

/// Hours of which nothing is owed go as a whole.
#[tokio::test(start_paused = true)]
async fn hours_that_are_done_are_removed() {
    let node = Node::start().await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    let (tybalt, street) = node.bind("tybalt@localhost").await;
    node.link.block("romeo@localhost");
    node.link.block("tybalt@localhost");
    node.send(&juliet, Attach(0), 1, &tybalt, "1");
    balcony.committed(1).await;
    node.clock.advance_millis(2 * 3_600_000);
    node.send(&juliet, Attach(0), 2, &romeo, "2");
    balcony.committed(2).await;
    let shard = Node::shard_of("juliet@localhost");
    let hours = async || node.store.outbox(shard).await.unwrap().extent.hours;
    let both = hours().await.unwrap();
    assert_eq!(both.last, both.first + 2);
    node.link.unblock("tybalt@localhost");
    assert_eq!(street.id().await, "1");
    until(async || hours().await.unwrap().first == both.last).await;
    let bucket = |hour| Bucket { shard, hour };
    let first = node
        .store
        .outbox_page(bucket(both.first), Position::START, 9)
        .await;
    assert_eq!(first, Ok(Vec::new()));
    assert_eq!(node.owes("juliet@localhost").await.len(), 1);
    node.link.clear();
    assert_eq!(orchard.id().await, "2");
    until(async || hours().await.is_none()).await;
    let last = node
        .store
        .outbox_page(bucket(both.last), Position::START, 9)
        .await;
    assert_eq!(last, Ok(Vec::new()));
}

/// Answers nothing until it is told to: its account is away meanwhile.
struct Slow(Arc<Notify>);

impl Feature for Slow {
    fn manifest(&self) -> &'static Manifest {
        const MANIFEST: Manifest = Manifest {
            spec: Spec::Xep(0),
            version: "0",
            disco: &[],
            disco_account: &[],
        };
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        const HOOKS: &[Hook] = &[Hook::iq_get(To::Own, "slow", "query")];
        HOOKS
    }

    fn handle<'a>(&'a self, _iq: &'a Stanza, _ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            self.0.notified().await;
            Outcome::Done
        })
    }
}

/// The rows of a shard are one table, and its accounts write them as they can:
/// what one of them was asked to remove must not take what another put there
/// afterwards.
#[tokio::test(start_paused = true)]
async fn an_account_that_is_slow_takes_no_row_of_another() {
    let go = Arc::new(Notify::new());
    let node = Node::start_with(vec![Box::new(Slow(Arc::clone(&go)))]).await;
    let neighbour = node.neighbour("juliet@localhost").await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (nurse, kitchen) = node.bind(&neighbour).await;
    let (romeo, _orchard) = node.bind("romeo@localhost").await;
    let (tybalt, street) = node.bind("tybalt@localhost").await;
    node.link.block("romeo@localhost");
    node.link.block("tybalt@localhost");
    node.send(&juliet, Attach(0), 1, &tybalt, "1");
    balcony.committed(1).await;
    let ask = Stanza::iq(Type::Get, "slow").child(&Element::new("slow", "query"));
    node.send_stanza(&juliet, Attach(0), 2, ask);
    // Nothing is owed any more, which juliet is asked to write.
    node.link.unblock("tybalt@localhost");
    assert_eq!(street.id().await, "1");
    sleep(Duration::from_secs(1)).await;
    node.send(&nurse, Attach(0), 1, &romeo, "2");
    sleep(Duration::from_secs(5)).await;
    go.notify_one();
    balcony.committed(2).await;
    kitchen.committed(1).await;
    let owed = node.owes("juliet@localhost").await;
    assert_eq!(owed.len(), 1, "what the nurse was promised");

    let node = Node::over(node.kill().await, 2);
    node.link.block("romeo@localhost");
    node.link.keeps(1).await;
    assert_eq!(node.link.kept_ids(), ["2"]);
}

/// A node that died had sent some of it: the recipient knows what it has.
#[tokio::test(start_paused = true)]
async fn what_comes_again_is_known_by_its_number() {
    let (node, [(juliet, balcony), (romeo, orchard)]) = parted().await;
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    balcony.committed(1).await;
    // As if juliet's shard had come to another node, while romeo's stays.
    let other = Node::over(Arc::clone(&node.store), 2);
    other.link.block("romeo@localhost");
    other.link.keeps(1).await;
    node.link.clear();
    assert_eq!(orchard.id().await, "1");
    node.link.take_from(&other.link);
    node.engine.sessions(&jid("romeo@localhost")).await.unwrap();
    assert!(orchard.is_silent(), "it came twice");
}

/// While the link takes nothing, what is sent now must not overtake what was
/// promised before: it is refused.
#[tokio::test(start_paused = true)]
async fn nothing_overtakes_what_waits_for_a_link_that_is_full() {
    let (node, [(juliet, balcony), (romeo, _)]) = parted().await;
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    balcony.committed(1).await;
    let store = node.kill().await;

    let node = Node::over(store, 2);
    node.link.block("romeo@localhost");
    node.link.fill(true);
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    node.link.clear_only();
    node.send(&juliet, Attach(0), 1, &romeo, "2");
    let answer = balcony.stanza().await;
    let error = answer.stanza_error().unwrap();
    assert_eq!(error.condition, Condition::ResourceConstraint);
    node.link.fill(false);
    assert_eq!(orchard.id().await, "1");
    node.send(&juliet, Attach(0), 2, &romeo, "3");
    assert_eq!(orchard.id().await, "3");
}

/// Questions are dealt with once they are sent on: no row for them.
#[tokio::test(start_paused = true)]
async fn only_what_would_be_lost_is_stored() {
    let (node, [(juliet, balcony), (romeo, _)]) = parted().await;
    let ping = Element::new("urn:xmpp:ping", "ping");
    let ask = Stanza::iq(Type::Get, "1")
        .to(romeo.jid.clone())
        .child(&ping);
    node.send_stanza(&juliet, Attach(0), 1, ask);
    let subscribe = Stanza::presence(Type::Subscribe).id("2");
    node.send_stanza(&juliet, Attach(0), 2, subscribe.to(romeo.jid.to_bare()));
    balcony.committed(2).await;
    let owed = node.owes("juliet@localhost").await;
    assert_eq!(owed.len(), 1, "{owed:?}");
}

/// The bound, and what senders are told beyond it.
#[tokio::test(start_paused = true)]
async fn a_full_outbox_refuses() {
    let (node, [(juliet, balcony), (romeo, _)]) = parted().await;
    for number in 1..=STANZAS_MAX + 1 {
        node.send(&juliet, Attach(0), number, &romeo, &number.to_string());
    }
    let answer = balcony.stanza().await;
    let error = answer.stanza_error().unwrap();
    assert_eq!(error.condition, Condition::ResourceConstraint);
    let refused = (STANZAS_MAX + 1).to_string();
    assert_eq!(answer.head.id.as_deref(), Some(&*refused));
    balcony.committed(STANZAS_MAX + 1).await;
    assert_eq!(node.link.kept_ids().len(), STANZAS_MAX as usize);
}
