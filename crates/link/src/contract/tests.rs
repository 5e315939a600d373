//! The suite against the link of one process.

use super::*;
use crate::LocalLink;

fn local() -> (Arc<LocalLink>, Arc<ScriptedNode>) {
    let link = LocalLink::new();
    let node = ScriptedNode::new();
    link.join(&node);
    (link, node)
}

#[tokio::test]
async fn local_frames_of_a_session_arrive_in_order() {
    let (link, node) = local();
    frames_of_a_session_arrive_in_order(&*link, &node).await;
}

#[tokio::test]
async fn local_full_node_makes_senders_wait() {
    let (link, node) = local();
    a_full_node_makes_senders_wait(&*link, &node).await;
}

#[tokio::test]
async fn local_receipts_are_settled_by_number() {
    let (link, node) = local();
    receipts_are_settled_by_number(&*link, &node).await;
}

#[tokio::test]
async fn local_outlets_keep_their_order() {
    let (link, node) = local();
    outlets_keep_their_order(&*link, &node).await;
}

#[tokio::test]
async fn local_questions_are_answered() {
    let (link, node) = local();
    questions_are_answered(&*link, &node).await;
}

#[tokio::test]
async fn local_outlets_hear_what_to_keep() {
    let (link, node) = local();
    an_outlet_hears_what_to_keep(&*link, &node).await;
}

#[tokio::test]
async fn local_sessions_are_brought_whole() {
    let (link, node) = local();
    a_session_is_brought_whole(&*link, &node).await;
}
