//! XEP-0198 §5: a client is away when the node of its session ends, and is told
//! how much of what it sent was dealt with. It sends the rest again in a new
//! session, and everything has arrived once.

use starling_link::{Attach, Bound, Detached, Frame, Link as _, ResumeError, SessionNode as _};
use starling_session::Feature;
use starling_store::account::Read as _;
use starling_store::archive::{Query, Read as _};
use starling_store::{Memory, Position};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{Element, Stanza, Type};
use tokio::time::{Duration, Instant, sleep};

use crate::support::{Heard, Node, jid, key, resume};

/// Where the number of a lost session is kept.
const ATTRIBUTE: &str = "sessions.lost";

fn features() -> Vec<Box<dyn Feature>> {
    starling_features::all(&starling_features::Config::default(), UnixMillis(0))
}

fn successor(store: std::sync::Arc<Memory>) -> Node {
    Node::with(store, 2, features())
}

/// The stream of a client breaks.
fn lose(node: &Node, bound: &Bound) {
    let frame = Frame::Detach {
        session: key(bound),
        attach: Attach(0),
        how: Detached::Lost,
        acked: None,
    };
    assert!(node.link.push(frame).is_ok());
}

/// Waits until it is stored that so many stanzas were dealt with; `None` for no
/// number.
async fn counts(node: &Node, bound: &Bound, count: Option<u32>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let account = node.store.account(&bound.jid.to_bare()).await.unwrap();
        let noted = account.unwrap().attributes.remove(ATTRIBUTE);
        let is_so = match count {
            Some(count) => noted.as_ref().is_some_and(|of| {
                let number = of.trim().rsplit_once(':');
                number.is_some_and(|(_, number)| number == count.to_string())
            }),
            None => noted.is_none(),
        };
        if is_so {
            return;
        }
        assert!(Instant::now() < deadline, "{noted:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What a client is told that comes back to another node.
async fn told(node: &Node, bound: &Bound) -> Option<u32> {
    let (request, _) = resume(bound, 0);
    match node.engine.resume(request).await {
        Err(ResumeError::Unknown { h }) => h,
        other => panic!("{other:?}"),
    }
}

fn message(to: &Bound, id: &str) -> Stanza {
    let body = Element::new("jabber:client", "body").text(id);
    let origin = Element::new("urn:xmpp:sid:0", "origin-id").attr("id", id);
    Stanza::message(Type::Chat)
        .id(id)
        .to(to.jid.to_bare())
        .child(&body)
        .child(&origin)
}

/// The messages that are in a log, oldest first.
async fn log(node: &Node, account: &str) -> Vec<String> {
    let query = Query::after(Position::START, 1_000);
    let page = node.store.archive_page(&jid(account), &query).await;
    let stanzas = page.unwrap().into_iter().map(|entry| entry.stanza);
    let stanzas = stanzas.map(|stanza| Stanza::parse(stanza).unwrap());
    stanzas.map(|s| s.head.id.unwrap().to_string()).collect()
}

/// The messages that a client hears, up to one.
async fn hears(client: &Heard, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|id| id != last) {
        let stanza = client.stanza().await;
        if stanza.head.kind == starling_xmpp::Kind::Message {
            heard.push(stanza.head.id.unwrap().to_string());
        }
    }
    heard
}

/// Requests and presence are not in any log, and count all the same.
#[tokio::test(start_paused = true)]
async fn stanzas_of_every_kind_are_counted() {
    let node = Node::start_with(features()).await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (romeo, _) = node.bind("romeo@localhost").await;
    let roster = Element::new("jabber:iq:roster", "query");
    let stanzas = [
        Stanza::presence(Type::Available),
        message(&romeo, "one"),
        Stanza::iq(Type::Get, "roster").child(&roster),
        message(&romeo, "two"),
        Stanza::presence(Type::Available),
        Stanza::iq(Type::Get, "roster again").child(&roster),
    ];
    for (stanza, number) in stanzas.into_iter().zip(1..) {
        node.send_stanza(&juliet, Attach(0), number, stanza);
    }
    balcony.committed(6).await;
    lose(&node, &juliet);
    counts(&node, &juliet, Some(6)).await;
    let node = successor(node.kill().await);
    assert_eq!(told(&node, &juliet).await, Some(6));
    // However often it asks; and others learn nothing.
    assert_eq!(told(&node, &juliet).await, Some(6));
    assert_eq!(told(&node, &romeo).await, None);
}

/// What was under way when the stream was lost counts once it is dealt with.
#[tokio::test(start_paused = true)]
async fn a_session_is_counted_to_its_end() {
    let node = Node::start_with(features()).await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (romeo, _) = node.bind("romeo@localhost").await;
    node.send_stanza(&juliet, Attach(0), 1, message(&romeo, "one"));
    balcony.committed(1).await;
    node.link.block_secretly("romeo@localhost");
    node.send_stanza(&juliet, Attach(0), 2, message(&romeo, "two"));
    node.link.keeps(1).await;
    lose(&node, &juliet);
    counts(&node, &juliet, Some(1)).await;
    node.link.clear();
    counts(&node, &juliet, Some(2)).await;
    // It goes on, and may be told of more than any number in the store.
    let (request, _balcony) = resume(&juliet, 0);
    assert!(node.engine.resume(request).await.is_ok());
    counts(&node, &juliet, None).await;
}

/// The node ended before it was done with the last one, which its recipient
/// has, and with the one before it, which came no further: the client says both
/// again.
#[tokio::test(start_paused = true)]
async fn what_is_said_again_behind_the_number_arrives_once() {
    let node = Node::start_with(features()).await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    let (romeo, _) = node.bind("romeo@localhost").await;
    let (tybalt, _) = node.bind("tybalt@localhost").await;
    node.send_stanza(&juliet, Attach(0), 1, message(&romeo, "one"));
    balcony.committed(1).await;
    node.link.block_secretly("romeo@localhost");
    node.link.block_secretly("tybalt@localhost");
    node.send_stanza(&juliet, Attach(0), 2, message(&tybalt, "two"));
    node.send_stanza(&juliet, Attach(0), 3, message(&romeo, "three"));
    node.link.keeps(2).await;
    node.link.drop_for("tybalt@localhost");
    lose(&node, &juliet);
    counts(&node, &juliet, Some(1)).await;

    let node = node.kill_before(successor).await;
    assert_eq!(told(&node, &juliet).await, Some(1));
    let (again, balcony) = node.bind("juliet@localhost").await;
    let rest = [
        message(&tybalt, "two"),
        message(&romeo, "three"),
        message(&romeo, "four"),
    ];
    for (stanza, number) in rest.into_iter().zip(1..) {
        node.send_stanza(&again, Attach(0), number, stanza);
    }
    balcony.committed(3).await;
    assert_eq!(
        log(&node, "juliet@localhost").await,
        ["one", "two", "three", "four"]
    );
    assert_eq!(
        log(&node, "romeo@localhost").await,
        ["one", "three", "four"]
    );
    assert_eq!(log(&node, "tybalt@localhost").await, ["two"]);
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    node.send_stanza(&romeo, Attach(0), 1, Stanza::presence(Type::Available));
    assert_eq!(hears(&orchard, "four").await, ["one", "three", "four"]);
}

/// The database does not answer: a message for somebody who has to be read from
/// it waits, and so does its sender.
#[tokio::test(start_paused = true)]
async fn a_message_waits_for_an_account_that_cannot_be_read() {
    let node = Node::start_with(features()).await;
    let (juliet, balcony) = node.bind("juliet@localhost").await;
    node.store.set_silent(true);
    let romeo = jid("romeo@localhost");
    let body = Element::new("jabber:client", "body").text("one");
    let one = Stanza::message(Type::Chat)
        .id("one")
        .to(starling_xmpp::Jid::from(romeo));
    node.send_stanza(&juliet, Attach(0), 1, one.child(&body));
    sleep(Duration::from_secs(20)).await;
    assert!(balcony.is_silent(), "it was refused");
    assert_eq!(balcony.committed_now(), 0);
    node.store.set_silent(false);
    balcony.committed(1).await;
    assert_eq!(log(&node, "romeo@localhost").await, ["one"]);
}
