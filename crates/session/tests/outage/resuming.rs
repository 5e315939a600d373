//! XEP-0198 §5: a client that resumes may send again what it was not told of,
//! or not. Either way nothing of it is lost and nothing comes twice.

use std::sync::Arc;

use starling_link::{Attach, Close, Error, ResumeError, SessionNode as _};

use crate::support::{Node, key, resume};

/// It is told of all that came before, and what it sends then is new.
#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_again_is_listened_to() {
    let node = Node::start().await;
    let (juliet, before) = node.bind("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    node.link.block("romeo@localhost");
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    node.send(&juliet, Attach(0), 2, &romeo, "2");
    node.link.keeps(2).await;

    let (request, _after) = resume(&juliet, 0);
    let engine = Arc::clone(&node.engine);
    let resuming = tokio::spawn(async move { engine.resume(request).await });
    // What the stream before still has is not listened to, so it comes again.
    assert_eq!(before.closed().await, Close::Conflict);
    node.send(&juliet, Attach(0), 3, &romeo, "late");
    node.engine.sessions(&key(&juliet).account).await.unwrap();
    node.link.clear();
    let resumed = resuming.await.unwrap().unwrap();
    assert_eq!(resumed.committed, 2);

    node.send(&juliet, resumed.attach, 3, &romeo, "3");
    for id in ["1", "2", "3"] {
        assert_eq!(orchard.id().await, id);
    }
}

/// Whoever comes while another waits takes its place.
#[tokio::test(start_paused = true)]
async fn the_last_one_who_asks_gets_the_session() {
    let node = Node::start().await;
    let (juliet, _) = node.bind("juliet@localhost").await;
    let (romeo, _orchard) = node.bind("romeo@localhost").await;
    node.link.block("romeo@localhost");
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    node.link.keeps(1).await;
    let ask = || {
        let engine = Arc::clone(&node.engine);
        let (request, _) = resume(&juliet, 0);
        tokio::spawn(async move { engine.resume(request).await })
    };
    let first = ask();
    // It is heard before the second one.
    while !node.engine.sessions(&key(&juliet).account).await.unwrap()[0].is_hibernating {
        tokio::task::yield_now().await;
    }
    let second = ask();
    let first = first.await.unwrap();
    assert_eq!(first, Err(ResumeError::Link(Error::ShuttingDown)));
    node.link.clear();
    assert!(second.await.unwrap().is_ok());
}

/// It does not wait for ever, and may try again: the session stays.
#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_told_and_can_be_tried_again() {
    let node = Node::start().await;
    let (juliet, _) = node.bind("juliet@localhost").await;
    let (romeo, orchard) = node.bind("romeo@localhost").await;
    node.link.block_secretly("romeo@localhost");
    node.send(&juliet, Attach(0), 1, &romeo, "1");
    node.link.keeps(1).await;
    let (request, _) = resume(&juliet, 0);
    let refused = node.engine.resume(request).await;
    assert_eq!(refused, Err(ResumeError::Link(Error::Unavailable)));
    node.link.clear();
    assert_eq!(orchard.id().await, "1");
    let (request, _) = resume(&juliet, 0);
    let resumed = node.engine.resume(request).await.unwrap();
    assert_eq!(resumed.committed, 1);
}
