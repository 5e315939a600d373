//! The gRPC form of the link over loopback, with real TLS: the contract of
//! `link`, and what happens when things break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

mod faults;
mod ownership;
mod questions;
mod security;
mod support;

use starling_link::contract;

use support::World;

#[tokio::test]
async fn grpc_frames_of_a_session_arrive_in_order() {
    let world = World::new().await;
    contract::frames_of_a_session_arrive_in_order(&*world.edge, &world.owner.node).await;
}

#[tokio::test]
async fn grpc_full_node_makes_senders_wait() {
    let world = World::new().await;
    contract::a_full_node_makes_senders_wait(&*world.edge, &world.owner.node).await;
}

#[tokio::test]
async fn grpc_receipts_are_settled_by_number() {
    let world = World::new().await;
    contract::receipts_are_settled_by_number(&*world.edge, &world.owner.node).await;
}

#[tokio::test]
async fn grpc_outlets_keep_their_order() {
    let world = World::new().await;
    contract::outlets_keep_their_order(&*world.edge, &world.owner.node).await;
}

#[tokio::test]
async fn grpc_questions_are_answered() {
    let world = World::new().await;
    contract::questions_are_answered(&*world.edge, &world.owner.node).await;
}

/// During an upgrade some nodes answer calls only.
#[tokio::test]
async fn grpc_questions_are_answered_as_calls() {
    let world = World::called_only().await;
    contract::questions_are_answered(&*world.edge, &world.owner.node).await;
}

#[tokio::test]
async fn grpc_outlets_hear_what_to_keep() {
    let world = World::new().await;
    contract::an_outlet_hears_what_to_keep(&*world.edge, &world.owner.node).await;
}

#[tokio::test]
async fn grpc_sessions_are_brought_whole() {
    let world = World::new().await;
    contract::a_session_is_brought_whole(&*world.edge, &world.owner.node).await;
}

/// A node that owns the account itself asks nobody else.
#[tokio::test]
async fn the_owner_talks_to_itself_directly() {
    let world = World::new().await;
    let owner = &world.owner;
    contract::frames_of_a_session_arrive_in_order(&*owner.link, &owner.node).await;
    assert_eq!(world.proxy.connections(), 0);
}
