//! The gRPC form of `link`: frames between the nodes of a cluster in batches,
//! the questions of log-ins among them, other questions beside them, mutual TLS
//! around all.
//!
//! [`GrpcLink`] is the side that sends frames to whoever owns their shard, at
//! every node; [`Server`] is the side that takes them, at nodes that own shards.
//! What crosses is in `proto/starling/link/v1`. What a frame means is left to
//! `session`, who owns what to `cluster`.

mod answers;
mod asked;
mod asking;
mod attached;
mod attending;
#[doc(hidden)]
pub mod bench;
mod codec;
mod config;
mod connect;
mod control;
mod convert;
mod debt;
mod down;
mod envelope;
mod grpc;
mod identity;
mod inbound;
mod keeper;
mod lane;
mod listener;
mod news;
mod outbox;
mod outlets;
mod own;
pub(crate) mod pb;
mod peer;
mod peers;
mod questions;
mod reattach;
mod remote;
mod routes;
mod server;
mod stanza;
mod tls;
mod trace;
mod up;

pub use config::Config;
pub use grpc::GrpcLink;
pub use identity::Identity;
pub use server::{Bound, Server};
pub use tls::Tls;

/// The messages of both services, as `proto/` has them. Questions are sent as
/// these; frames are written and read without them.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::too_many_lines,
    clippy::large_futures,
    reason = "generated code"
)]
pub(crate) mod v1 {
    tonic::include_proto!("starling.link.v1");
}

/// The service of lanes, over messages that were written before.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::too_many_lines,
    clippy::large_futures,
    reason = "generated code"
)]
pub(crate) mod lanes {
    include!(concat!(env!("OUT_DIR"), "/lanes/starling.link.v1.rs"));
}

/// What the service of lanes takes its messages to be.
pub(crate) mod lane_types {
    pub(crate) use super::envelope::Message as Up;
    pub(crate) use super::envelope::Message as Down;
}
