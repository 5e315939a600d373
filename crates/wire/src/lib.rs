//! Everything that crosses the network between processes: protobuf and gRPC.
//!
//! - [`admin`]: the administration API, generated from `proto/starling/admin`.
//! - [`grpc`]: what services and their callers need of the library beneath.
//! - [`unix`]: serving a gRPC service on a Unix socket, and connecting to one.
//! - [`link`]: the link between the nodes of a cluster.
//! - [`certificates`]: the certificates those nodes show each other.
//! - [`error`]: what can go wrong in any of them.
//!
//! What the calls do is `api`'s and `session`'s; this crate only carries them.

#![expect(
    clippy::result_large_err,
    reason = "a refused frame is handed back whole so that nothing is lost; refusals are rare"
)]

pub mod admin;
pub mod certificates;
pub mod error;
pub mod grpc;
pub mod link;
pub mod metrics;
mod status;
pub mod unix;

pub use admin::{Admin, AdminClient, AdminServer};
pub use admin::{ClusterAdmin, ClusterAdminClient, ClusterAdminServer};
pub use error::Error;
